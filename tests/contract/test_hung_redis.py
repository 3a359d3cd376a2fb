"""Tests of a Redis that hangs: clients get the frame `delayed`, and no pings until Redis answers again."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from embedded.plan import Web
from harness.asyncapi import hold
from harness.event_stream import EventStream
from harness.system import System, new_ticket, tenant_of
from harness.watcher import Frame, Watcher
from realtime.publish import Publisher


@contextmanager
def hanging(system: System) -> Iterator[None]:
    """Let Redis accept connections but answer nothing, as on a machine that swaps or whose disk hangs."""
    assert system.redis.pid is not None
    os.kill(system.redis.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(system.redis.pid, signal.SIGCONT)


async def until(watcher: Watcher, kind: str, count: int = 1) -> list[Frame]:
    """Read frames until `count` of this kind have arrived, and return all that were read."""
    before = len(watcher.frames)
    for _ in range(count):
        await watcher.read_until(kind)
    return watcher.frames[before:]


async def all_until(watchers: list[Watcher], kind: str, count: int = 1) -> list[list[Frame]]:
    """Read the frames of all watchers at the same time, because each has to answer its pings."""
    return await asyncio.gather(*(until(watcher, kind, count) for watcher in watchers))


@pytest.fixture
def pinging(own_system: System) -> Iterator[Web]:
    with own_system.another_web(REALTIME_PING_SECONDS="0.5") as web:
        yield web


async def test_while_redis_hangs_clients_get_delayed_instead_of_pings(own_system: System, pinging: Web) -> None:
    async with own_system.client() as client, httpx.AsyncClient(timeout=30) as bare:
        ticket = (await new_ticket(client))["ticket"]
        socket_url, events_url = (
            pinging.address.replace("http", "ws") + "/ws/events/",
            pinging.address + "/api/v1/events/",
        )
        async with (
            await Watcher.connect(socket_url, ticket) as watcher,
            await EventStream.open(events_url, ticket) as stream,
        ):
            both = [watcher, stream]
            await all_until(both, "ping")
            with hanging(own_system):
                await all_until(both, "delayed")
                for after in await all_until(both, "delayed", 4):
                    assert {frame["type"] for frame in after} == {"delayed"}
                    assert [frame["seconds"] for frame in after] == sorted(frame["seconds"] for frame in after)
                async with await Watcher.connect(socket_url, ticket) as newcomer:
                    kinds = [frame["type"] for frame in await until(newcomer, "delayed")]
                assert kinds == ["welcome", "snapshot", "delayed"]
                polled = await bare.get(
                    pinging.address + "/api/v1/realtime/snapshot/", headers={"Authorization": f"Bearer {ticket}"}
                )
                assert (polled.status_code, polled.json()["code"]) == (503, "unavailable")
            await all_until(both, "ping")
            with Publisher.from_url(own_system.redis.url) as publisher:
                publisher.status(tenant_id=tenant_of(own_system, "hanbit"), topic="job:after", attempt=1, status="DONE")
            for *_, last in await all_until(both, "records"):
                assert [record["topic"] for record in last["records"]] == ["job:after"]
    for seen, operation in ((watcher, "pushOverWebSocket"), (stream, "pushAsEvents")):
        assert [frame["type"] for frame in seen.frames].count("welcome") == 1  # it was the same connection all the time
        for frame in seen.frames:
            hold(frame, operation)
