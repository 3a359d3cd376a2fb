"""Tests that a revocation arrives after the connections to Redis were idle for longer than every time limit."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis import Redis

import realtime.feed.freshness
import realtime.feed.reader
import realtime.redis.links
from embedded.redis import RedisServer
from realtime.connect.connections import Connections, MaxConnections
from realtime.connect.link_health import Health
from realtime.connect.revocation import Revocations
from realtime.connect.revocation_marks import user_subject
from realtime.feed.hub import Hub
from realtime.feed.reader import FeedReader
from realtime.redis import links
from tests.realtime.waiting import until

TIME_LIMIT = 1.5
REDIS_TIME_LIMIT = 1
"""After how many seconds Redis closes an idle connection. Redis accepts only a whole number."""
IDLE_SECONDS = 4.0


class Process:
    """The parts of a web process that listen to Redis. None of them sends anything by itself."""

    def __init__(self, server: RedisServer) -> None:
        self.reader = FeedReader.from_url(server.url)
        self.hub = Hub(self.reader)
        revocations = Revocations(links.client(server.url, socket_timeout=TIME_LIMIT))
        self.health = Health(self.reader, self.hub, Connections(MaxConnections(1, 1, 1)), 3600.0, revocations)
        self.received: list[bytes] = []
        self.reader.link.listen_to_revocations(self)

    def on_revocation(self, message: bytes) -> None:
        self.received.append(message)
        self.health.on_revocation(message)

    def on_revocations_confirmed(self) -> None:
        self.health.on_revocations_confirmed()

    async def start(self) -> None:
        self.hub.start()
        await until(lambda: self.reader.link.connected)
        await until(lambda: self.reader.link.delivered_until > float("-inf"))


@pytest.fixture
async def processes(own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Process]]:
    monkeypatch.setattr(realtime.feed.reader, "REDIS_TIMEOUT_SECONDS", TIME_LIMIT)
    monkeypatch.setattr(realtime.redis.links, "OLD_SECONDS", TIME_LIMIT)
    monkeypatch.setattr(realtime.feed.reader, "SERVER_SECONDS", 3600.0)
    monkeypatch.setattr(realtime.feed.freshness, "PULSE_SECONDS", 3600.0)
    with Redis.from_url(own_redis.url) as redis:
        redis.config_set("timeout", REDIS_TIME_LIMIT)
    processes = [Process(own_redis) for _ in range(3)]
    for process in processes:
        await process.start()
    yield processes
    for process in processes:
        await process.hub.close()


async def test_a_revocation_after_idle_times_reaches_every_process_over_the_same_connection(
    own_redis: RedisServer, processes: list[Process], tenant_id: int
) -> None:
    before = [process.reader.link._connection for process in processes]
    revoking = Revocations(links.client(own_redis.url, socket_timeout=TIME_LIMIT))
    revoking.add(tenant_id, user_subject(1), time.time() * 1000)
    await until(lambda: all(len(process.received) == 1 for process in processes))
    await asyncio.sleep(IDLE_SECONDS)
    assert [process.reader.link._connection for process in processes] == before, "An idle link was given up."
    revoking.add(tenant_id, user_subject(2), time.time() * 1000)
    await until(lambda: all(len(process.received) == 2 for process in processes))
    assert [process.reader.link._connection for process in processes] == before
