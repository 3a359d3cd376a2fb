"""Tests of a feed with a hundred thousand topics: publishing, reading, mirroring and showing it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from realtime.feed.mirror import Mirror, Received, parse_message
from realtime.protocol import frames
from realtime.protocol.place import Place
from realtime.publish import Publisher
from realtime.records import scripts
from realtime.records.keys import Keys
from realtime.records.record import Draft, draft_record
from realtime.records.scripts import Limits

TOPICS = 100_000
UNBOUNDED = Limits(recent_terminal=TOPICS, recent_unfinished=TOPICS)


def drafts(number: int, status: str) -> Iterator[Draft]:
    began = time.time() - 3600
    for index in range(number):
        yield draft_record(topic=f"job:{index}", attempt=1, status=status, published_at=began + index / 1000)


def publish_all(publisher: Publisher, tenant_id: int, number: int, status: str) -> None:
    publisher.publish_many((tenant_id, draft) for draft in drafts(number, status))


def read(redis: Redis, tenant_id: int, epoch: str = "", offset: int = 0) -> scripts.Snapshot:
    names, values = scripts.snapshot_arguments(Keys(), tenant_id, epoch, offset)
    answer: list[Any] = redis.register_script(scripts.source("snapshot"))(names, values)
    return scripts.snapshot(answer)


def test_the_snapshot_of_a_new_client_is_bounded(redis: Redis, tenant_id: int) -> None:
    publisher = Publisher(redis)
    publish_all(publisher, tenant_id, 5000, "PROCESSING")
    publish_all(publisher, tenant_id, 3000, "DONE")
    limits = Limits()
    keys = Keys()
    snapshot = read(redis, tenant_id)
    assert sum(record.terminal for record in snapshot.records) == limits.recent_terminal
    assert sum(not record.terminal for record in snapshot.records) <= limits.recent_unfinished
    for bounded in (keys.index(tenant_id), keys.fence(tenant_id)):
        size = redis.zcard(bounded) if bounded.endswith("index") else redis.hlen(bounded)
        assert size <= limits.recent_terminal + limits.recent_unfinished
    assert snapshot.floor > 0


@pytest.mark.slow
def test_a_hundred_thousand_shown_topics_are_read_mirrored_and_sent_in_parts(redis: Redis, tenant_id: int) -> None:
    publisher = Publisher(redis, limits=UNBOUNDED)
    publish_all(publisher, tenant_id, TOPICS, "PROCESSING")
    snapshot = read(redis, tenant_id)
    assert (snapshot.offset, len(snapshot.records)) == (TOPICS, TOPICS)
    mirror = Mirror(UNBOUNDED)
    mirror.load(snapshot)
    parts = frames.snapshot(
        Place(mirror.epoch, mirror.offset, "f"), (r.body for r in mirror.records()), recovered=False
    )
    assert len(parts) > 10
    assert max(len(part.body) for part in parts) < frames.MAX_SNAPSHOT_BYTES + 1000
    assert [part.place is not None for part in parts] == [False] * (len(parts) - 1) + [True]
    # A read after a place returns only what has changed since, whatever the size of the feed.
    publisher.status(tenant_id=tenant_id, topic="job:7", attempt=1, status="DONE")
    changed = read(redis, tenant_id, mirror.epoch, mirror.offset)
    assert [record.topic for record in changed.records] == ["job:7"]
    mirror.load(changed)
    assert [record.topic for record in mirror.above(TOPICS)] == ["job:7"]
    assert len(mirror) == TOPICS


def test_a_full_mirror_trims_as_redis_does(redis: Redis, tenant_id: int) -> None:
    limits = Limits(recent_terminal=50, recent_unfinished=200)
    publisher = Publisher(redis, limits=limits)
    mirror = Mirror(limits)
    mirror.load(read(redis, tenant_id))
    listening = redis.pubsub()  # type: ignore[no-untyped-call]
    listening.subscribe(Keys().feed(tenant_id))
    publish_all(publisher, tenant_id, 400, "PROCESSING")
    publish_all(publisher, tenant_id, 150, "DONE")
    left = 550
    while left:
        message = listening.get_message(ignore_subscribe_messages=True, timeout=60)
        if message is not None:
            assert mirror.receive(parse_message(message["data"])) is Received.APPLIED
            left -= 1
    listening.close()
    shown = read(redis, tenant_id)
    assert {record.topic for record in mirror.records()} == {record.topic for record in shown.records}
    assert (mirror.offset, mirror.floor) == (shown.offset, shown.floor)
