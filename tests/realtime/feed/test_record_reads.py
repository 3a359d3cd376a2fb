"""Tests that polls share their reads of Redis."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from embedded.group import Servers
from embedded.ports import free_port
from realtime.feed.record_reads import BATCH, RecordReads
from realtime.publish import Publisher
from realtime.records.errors import BadRecordError
from realtime.records.keys import Keys


@pytest.fixture
async def reads(servers: Servers, redis: Redis) -> AsyncIterator[RecordReads]:
    made = RecordReads.from_url(servers.redis.url)
    yield made
    await made.close()


def scripts_run(redis: Redis) -> int:
    """Return how many scripts Redis has run."""
    return int(redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


async def test_reads_of_one_moment_share_a_round_trip(
    reads: RecordReads, redis: Redis, publisher: Publisher, tenant_id: int
) -> None:
    for number in range(50):
        publisher.status(tenant_id=tenant_id, topic=f"job:{number}", attempt=1, status="PENDING")
    await reads.record(tenant_id, "job:0")  # the first read loads the script
    before = scripts_run(redis)
    records = await asyncio.gather(*(reads.record(tenant_id, f"job:{number % 50}") for number in range(100)))
    assert [record and record.topic for record in records] == [f"job:{number % 50}" for number in range(100)]
    assert scripts_run(redis) - before == 1


async def test_more_topics_than_a_batch_holds_are_all_read(
    reads: RecordReads, publisher: Publisher, tenant_id: int
) -> None:
    publisher.status(tenant_id=tenant_id, topic="job:last", attempt=2, status="DONE")
    absent = [reads.record(tenant_id, f"job:{number}") for number in range(BATCH + 10)]
    *others, last = await asyncio.gather(*absent, reads.record(tenant_id, "job:last"))
    assert others == [None] * (BATCH + 10)
    assert last is not None
    assert last.attempt == 2


async def test_a_record_has_its_status_and_its_progress(
    reads: RecordReads, publisher: Publisher, tenant_id: int
) -> None:
    publisher.progress(tenant_id=tenant_id, topic="job:1", attempt=1, percent=40.0, milestone=True)
    assert await reads.record(tenant_id, "job:1") == publisher.record(tenant_id, "job:1")


async def test_a_tenant_does_not_get_the_record_of_another_tenant(
    reads: RecordReads, publisher: Publisher, tenant_id: int
) -> None:
    publisher.status(tenant_id=tenant_id, topic="job:1", attempt=1, status="DONE")
    ours, theirs = await asyncio.gather(reads.record(tenant_id, "job:1"), reads.record(tenant_id + 10_000, "job:1"))
    assert ours is not None
    assert theirs is None


async def test_a_read_is_never_older_than_its_call(reads: RecordReads, publisher: Publisher, tenant_id: int) -> None:
    for attempt in range(1, 20):
        earlier = asyncio.ensure_future(reads.record(tenant_id, "job:1"))
        await asyncio.sleep(0)  # the earlier read is on its way
        publisher.status(tenant_id=tenant_id, topic="job:1", attempt=attempt, status="PROCESSING")
        found = await reads.record(tenant_id, "job:1")
        assert found is not None
        assert found.attempt == attempt
        await earlier


async def test_a_bad_value_concerns_only_its_own_topic(
    reads: RecordReads, redis: Redis, publisher: Publisher, tenant_id: int
) -> None:
    publisher.status(tenant_id=tenant_id, topic="job:1", attempt=1, status="DONE")
    redis.set(Keys("").status(tenant_id, "job:2"), "this is no record")
    good, bad = await asyncio.gather(
        reads.record(tenant_id, "job:1"), reads.record(tenant_id, "job:2"), return_exceptions=True
    )
    assert not isinstance(good, BaseException)
    assert good is not None
    assert isinstance(bad, BadRecordError)


async def test_a_caller_that_gives_up_disturbs_nobody(reads: RecordReads, publisher: Publisher, tenant_id: int) -> None:
    publisher.status(tenant_id=tenant_id, topic="job:1", attempt=1, status="DONE")
    gone = asyncio.ensure_future(reads.record(tenant_id, "job:1"))
    stays = asyncio.ensure_future(reads.record(tenant_id, "job:1"))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays is not None


async def test_everybody_who_waits_learns_that_redis_cannot_be_reached() -> None:
    reads = RecordReads.from_url(f"redis://127.0.0.1:{free_port()}/0")
    for _ in range(2):  # a failed read does not stop later ones
        found = await asyncio.gather(*(reads.record(1, f"job:{n}") for n in range(3)), return_exceptions=True)
        assert [type(problem) for problem in found] == [RedisConnectionError] * 3
    await reads.close()
