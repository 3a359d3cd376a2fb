"""Tests of Redis at its memory limit: what it refuses, what is still written, and how much cannot be evicted."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import cast

import pytest
from django.utils import timezone
from pytest_django import Settings
from redis import Redis
from redis.exceptions import OutOfMemoryError

from embedded.redis import RedisServer
from realtime import conf
from realtime.feed.reader import FeedReader
from realtime.models import OutboxEntry
from realtime.outbox.outbox import RECORD
from realtime.outbox.relay import Relay
from realtime.publish import Publisher
from realtime.records.metrics import counts
from realtime.records.record import Draft, draft_record
from realtime.records.scripts import Limits
from realtime.repair.sweeper import Sweeper
from tests.faults.refusing import memory_full
from tests.realtime.outbox.rows import note_filled
from tests.realtime.sources import ListedSource

TOPIC = "job:a1"
WEEK_SECONDS = 7 * 86_400


@pytest.fixture
def limited(own_redis: RedisServer) -> Iterator[Redis]:
    """Yield a client of an empty Redis, whose memory limit the tests set."""
    client: Redis = Redis.from_url(own_redis.url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def source(tenant_id: int) -> ListedSource:
    return ListedSource(tenant_ids=[tenant_id])


def record(number: int, status: str = "DONE") -> Draft:
    return draft_record(topic=f"job:n{number}", attempt=1, status=status, published_at=time.time())


def status_key(tenant_id: int, topic: str = TOPIC) -> str:
    return f"tenant:{tenant_id}:{topic}:status"


def status_of(publisher: Publisher, tenant_id: int, topic: str = TOPIC) -> str | None:
    found = publisher.record(tenant_id, topic)
    return found.status.value if found else None


# What a Redis at the limit refuses, and what it accepts.


def test_ends_of_jobs_are_published_and_unfinished_states_are_refused(
    own_redis: RedisServer, limited: Redis, tenant_id: int
) -> None:
    with Publisher(limited) as publisher:
        publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING")
        refused = counts.refused_writes["OOM"]
        with memory_full(own_redis):
            for status in ("PENDING", "PROCESSING"):
                with pytest.raises(OutOfMemoryError):
                    publisher.status(tenant_id=tenant_id, topic="job:new", attempt=1, status=status)
            assert publisher.progress(tenant_id=tenant_id, topic=TOPIC, attempt=1, percent=50) is None
            assert publisher.dropped["refused"] == 1
            assert counts.refused_writes["OOM"] == refused + 3
            assert publisher.renew_lease(tenant_id=tenant_id, topic=TOPIC, attempt=1)
            publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="DONE")
            publisher.publish_many((tenant_id, record(number, "FAILED")) for number in range(3))
            assert publisher.restore(tenant_id, record(99))
        assert status_of(publisher, tenant_id) == "DONE"
        assert status_of(publisher, tenant_id, "job:n2") == "FAILED"
        assert status_of(publisher, tenant_id, "job:new") is None


async def test_a_feed_that_is_new_can_be_read(own_redis: RedisServer, limited: Redis, tenant_id: int) -> None:
    reader = FeedReader.from_url(own_redis.url)
    with memory_full(own_redis):
        async with asyncio.timeout(60):
            snapshot = await reader.read(tenant_id, "", 0)
            named = await reader.read_topics(tenant_id + 1, [TOPIC])
    await reader.close()
    assert (snapshot.offset, snapshot.records) == (0, [])
    assert named.epoch


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("limited")
class TestRelay:
    @pytest.fixture(autouse=True)
    def use(self, own_redis: RedisServer, settings: Settings, forget_clients: Callable[[], None]) -> None:
        settings.REALTIME_REDIS_URL = own_redis.url
        settings.REALTIME_SOURCE = None
        forget_clients()
        note_filled()

    def test_states_that_redis_refuses_do_not_delay_ends_of_jobs(self, own_redis: RedisServer, tenant_id: int) -> None:
        for number in range(20):
            self.left_behind(tenant_id, f"job:waits{number}", "PENDING")
        self.left_behind(tenant_id, TOPIC, "DONE")
        with memory_full(own_redis):
            Relay().round()
            assert status_of(conf.publisher(), tenant_id) == "DONE"
        for _ in range(20):  # each round sends some of the rows
            Relay().round()
        assert not OutboxEntry.objects.filter(sent_at=None).exists()
        assert status_of(conf.publisher(), tenant_id, "job:waits7") == "PENDING"

    def test_a_redis_that_comes_back_full_is_filled(
        self, own_redis: RedisServer, limited: Redis, tenant_id: int
    ) -> None:
        self.left_behind(tenant_id, "job:waits", "PENDING")
        self.left_behind(tenant_id, TOPIC, "DONE")
        OutboxEntry.objects.update(sent_at=timezone.now())
        limited.set("realtime:relay", "another life")
        with memory_full(own_redis):
            Relay().round()
            assert limited.get("realtime:relay") == conf.publisher().run_id().encode()
        assert status_of(conf.publisher(), tenant_id) == "DONE"
        assert status_of(conf.publisher(), tenant_id, "job:waits") == "PENDING"

    @staticmethod
    def left_behind(tenant_id: int, topic: str, status: str) -> None:
        payload = {"topic": topic, "attempt": 1, "status": status, "published_at": time.time()}
        entry = OutboxEntry.objects.create(kind=RECORD, tenant_id=tenant_id, payload=payload)
        OutboxEntry.objects.filter(pk=entry.pk).update(created_at=timezone.now() - timedelta(minutes=1))


# How much memory ended topics use, and for how long.


def test_the_memory_of_ended_jobs_is_bounded(limited: Redis, tenant_id: int) -> None:
    limit = limited.info("memory")["used_memory"] + 3_000_000
    limited.config_set("maxmemory", limit)
    publisher = Publisher(limited)
    most = 0
    try:
        for first in range(0, 20_000, 1000):  # 567 bytes each, together three times the room
            publisher.publish_many((tenant_id, record(number)) for number in range(first, first + 1000))
            publisher.status(tenant_id=tenant_id, topic="job:begins", attempt=first + 1, status="PROCESSING")
            most = max(most, limited.info("memory")["used_memory"])
        shown = limited.zrange(f"tenant:{tenant_id}:feed:index", 0, -1)
        names = [status_key(tenant_id, topic.decode()) for topic in cast("list[bytes]", shown)]
        assert len(names) == 101
        assert limited.exists(*names) == 101
    finally:
        limited.config_set("maxmemory", 0)
    assert most < 1.2 * limit
    assert limited.info("stats")["evicted_keys"] > 0


@pytest.mark.parametrize("ttl", [0, WEEK_SECONDS])
def test_an_ended_topic_has_no_expiry_while_it_is_shown_and_one_afterwards(
    redis: Redis, tenant_id: int, ttl: int
) -> None:
    publisher = Publisher(redis, limits=Limits(terminal_ttl_seconds=ttl, recent_terminal=2))
    publisher.publish_many((tenant_id, record(number)) for number in range(5))
    expiries = [redis.ttl(status_key(tenant_id, f"job:n{number}")) for number in range(5)]
    assert expiries[3:] == [-1, -1]
    assert expiries[:3] == [ttl or -1] * 3
    assert status_of(publisher, tenant_id, "job:n0") == "DONE"  # it can be asked for by name


@pytest.mark.parametrize("ttl", [0, WEEK_SECONDS])
def test_without_publishes_the_sweeper_lets_old_topics_expire(
    redis: Redis, source: ListedSource, tenant_id: int, ttl: int
) -> None:
    publisher = Publisher(redis, limits=Limits(terminal_ttl_seconds=ttl, recent_terminal_seconds=86_400))
    publisher.status(tenant_id=tenant_id, topic="job:open", attempt=1, status="PENDING")
    publisher.publish_many((tenant_id, record(number)) for number in range(3))
    redis.zadd(f"tenant:{tenant_id}:feed:terminal", {"job:n0": time.time() - 90_000, "job:n2": time.time() - 90_000})
    Sweeper(redis, source, limits=Limits(terminal_ttl_seconds=ttl)).maintain([tenant_id])
    assert redis.zrange(f"tenant:{tenant_id}:feed:index", 0, -1) == [b"job:open", b"job:n1"]
    assert set(cast("dict[bytes, bytes]", redis.hgetall(f"tenant:{tenant_id}:feed:fence"))) == {b"job:open", b"job:n1"}
    assert redis.hget(f"tenant:{tenant_id}:feed", "floor") == b"4"
    assert [redis.ttl(status_key(tenant_id, f"job:n{number}")) for number in range(3)] == [ttl or -1, -1, ttl or -1]


def test_ended_topics_of_older_versions_get_an_expiry_step_by_step(
    redis: Redis, source: ListedSource, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Publisher(redis, limits=Limits(terminal_ttl_seconds=0, recent_terminal=10)).publish_many(
        (tenant_id, record(number)) for number in range(500)
    )
    redis.set("tenant:7:note:status:other", 1)
    monkeypatch.setattr("realtime.repair.sweeper.SEARCH_KEYS", 20)
    sweeper = Sweeper(redis, source)
    assert 0 < sweeper.expire_ended() < 100
    for _ in range(100):
        sweeper.expire_ended()
    expiries = [redis.ttl(status_key(tenant_id, f"job:n{number}")) for number in range(500)]
    assert expiries[490:] == [-1] * 10
    assert all(0 < expiry <= WEEK_SECONDS for expiry in expiries[:490])
    assert redis.ttl("tenant:7:note:status:other") == -1
    assert Sweeper(redis, source, limits=Limits(terminal_ttl_seconds=0)).expire_ended() == 0


def test_a_shown_topic_loses_the_expiry_that_an_older_version_gave_it(
    redis: Redis, source: ListedSource, publisher: Publisher, tenant_id: int
) -> None:
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="DONE")
    redis.expire(status_key(tenant_id), 86_400)
    Sweeper(redis, source).maintain([tenant_id])
    assert redis.ttl(status_key(tenant_id)) == -1


def test_a_forgotten_topic_that_a_frozen_worker_publishes_again_is_ended_again(
    redis: Redis, source: ListedSource, tenant_id: int
) -> None:
    publisher = Publisher(redis, limits=Limits(recent_terminal=1, lease_seconds=0))
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=2, status="DONE")
    publisher.status(tenant_id=tenant_id, topic="job:next", attempt=1, status="DONE")
    redis.delete(status_key(tenant_id))  # evicted
    source.set_state(tenant_id, TOPIC, "DONE", attempt=2)
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING")  # nothing can reject it now
    Sweeper(redis, source, limits=Limits(recent_terminal=10)).sweep_if_due()
    assert status_of(publisher, tenant_id) == "DONE"
