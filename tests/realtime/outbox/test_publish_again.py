"""Tests that records which were sent to a replaced master are published again, to the new master."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings
from redis import Redis

from harness.redis_pair import RedisPair
from realtime import conf
from realtime.models import OutboxEntry
from realtime.outbox import publish_again
from realtime.outbox.outbox import RECORD
from realtime.outbox.relay import Relay
from realtime.outbox.revoke import REVOCATION
from realtime.publish.publisher import Publisher
from realtime.records.keys import Keys
from realtime.redis import links
from tests.realtime.sources import ListedSource

pytestmark = [pytest.mark.django_db(transaction=True)]


def source() -> ListedSource:
    return ListedSource()


@pytest.fixture
async def pair(tmp_path: Path, settings: Settings, forget_clients: Callable[[], None]) -> AsyncIterator[RedisPair]:
    """Yield a pair without replication, so that both servers are masters. Its address leads to the first.

    The tests write through `pair.url`. The relay's URL lacks the `/0`, so the relay has its own `links.Address`.
    """
    settings.REALTIME_SOURCE = f"{__name__}.source"
    async with RedisPair(tmp_path) as pair:
        settings.REALTIME_REDIS_URL = pair.url.removesuffix("/0")
        forget_clients()
        yield pair


async def in_thread(work: Callable[[], object]) -> None:
    """Run `work` in a thread, because the event loop runs the proxy of `pair`. Close the thread's database link."""

    def and_close() -> None:
        try:
            work()
        finally:
            connection.close()

    await asyncio.to_thread(and_close)


def commit_and_publish_end(writer: Publisher, tenant_id: int, topic: str) -> Callable[[], None]:
    """Return a function that commits the end of a job, publishes it through `writer`, and marks it as sent."""

    def commit_and_publish() -> None:
        payload = {"topic": topic, "attempt": 1, "status": "DONE"}
        entry = OutboxEntry.objects.create(kind=RECORD, tenant_id=tenant_id, payload=payload)
        writer.status(tenant_id=tenant_id, topic=topic, attempt=1, status="DONE")
        OutboxEntry.objects.filter(pk=entry.pk).update(sent_at=Now())

    return commit_and_publish


def knows(url: str, tenant_id: int, topic: str) -> bool:
    with Redis.from_url(url) as redis:
        return bool(redis.exists(Keys().status(tenant_id, topic)))


async def switch(pair: RedisPair) -> None:
    """Let the address lead to the other master, and let the relay notice. The writer keeps its link to the old one."""
    pair.master, pair.replica = pair.replica, pair.master
    pair.switch()
    links.address_of(conf.redis_url()).leave()


async def test_a_terminal_record_that_went_to_the_old_master_is_published_again_after_the_fill(
    pair: RedisPair, tenant_id: int
) -> None:
    with Publisher.from_url(pair.url) as writer:
        await in_thread(commit_and_publish_end(writer, tenant_id, "job:before"))
        maintenance = Relay()._maintenance
        await in_thread(maintenance.round)
        maintenance._republisher._due.clear()  # as if the looks after the first fill were over
        await switch(pair)
        await in_thread(maintenance.round)
        assert knows(pair.master.url, tenant_id, "job:before")
        await in_thread(commit_and_publish_end(writer, tenant_id, "job:lost"))
    assert knows(pair.replica.url, tenant_id, "job:lost")
    assert not knows(pair.master.url, tenant_id, "job:lost")
    assert len(maintenance._republisher._due) == len(publish_again.LOOKS)
    maintenance._republisher._due[0] = 0.0  # as if ten seconds had passed
    await in_thread(maintenance.round)
    assert knows(pair.master.url, tenant_id, "job:lost")
    assert len(maintenance._republisher._due) == len(publish_again.LOOKS) - 1
    await in_thread(maintenance.end)


async def test_a_relay_that_takes_over_makes_the_looks_of_the_one_that_ended(
    pair: RedisPair, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Publisher.from_url(pair.url) as writer:
        await in_thread(commit_and_publish_end(writer, tenant_id, "job:before"))
        await switch(pair)
        await in_thread(Relay().round)
        await in_thread(commit_and_publish_end(writer, tenant_id, "job:lost"))
    assert not knows(pair.master.url, tenant_id, "job:lost")
    monkeypatch.setattr(publish_again, "LOOKS", (0.0,))
    await in_thread(Relay().round)
    assert knows(pair.master.url, tenant_id, "job:lost")


async def test_a_revocation_that_went_to_the_old_master_is_written_again(
    pair: RedisPair, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_again, "LOOKS", (0.0,))
    await in_thread(Relay().round)

    def revoked_elsewhere() -> None:
        payload = {"tenant": tenant_id, "subject": "user:1", "at": conf.revocations().now()}
        OutboxEntry.objects.create(kind=REVOCATION, tenant_id=tenant_id, payload=payload, sent_at=timezone.now())

    await in_thread(revoked_elsewhere)
    await in_thread(Relay().round)
    with Redis.from_url(pair.master.url) as redis:
        assert redis.zrange(Keys().revoked(tenant_id), 0, -1) == [b"user:1"]


async def test_a_look_reads_only_rows_that_were_sent_recently(
    pair: RedisPair, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that were sent longer ago are sent again only when a relay fills an empty Redis.

    Here the first round fills Redis. Then a row is added that seems to have been sent ten minutes ago.
    """
    await in_thread(Relay().round)

    def sent_long_ago() -> None:
        payload = {"topic": "job:old", "attempt": 1, "status": "DONE"}
        ago = timezone.now() - timedelta(minutes=10)
        OutboxEntry.objects.create(kind=RECORD, tenant_id=tenant_id, payload=payload, sent_at=ago, created_at=ago)

    await in_thread(sent_long_ago)
    monkeypatch.setattr(publish_again, "LOOKS", (0.0,))
    await in_thread(Relay().round)
    assert not knows(pair.master.url, tenant_id, "job:old")
