"""What the hub does where Redis and its mirror know different things, and how long it follows a feed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis import Redis

import realtime.hub
from embedded.group import Servers
from realtime.followed_feed import FollowedFeed
from realtime.hub import Hub
from realtime.keys import Keys
from realtime.place import Place, parse_place
from realtime.publish import Publisher
from realtime.reader import FeedReader
from realtime.rebuild import Rebuild
from realtime.scripts import Limits
from realtime.subscriber import Subscriber
from realtime.topics import TopicFilter
from tests.realtime.carriers import RecordingCarrier
from tests.realtime.sources import ListedSource
from tests.realtime.test_links import until

EVERYTHING = TopicFilter.of(["*"])


@pytest.fixture
async def hub(servers: Servers, redis: Redis) -> AsyncIterator[Hub]:
    hub = Hub(FeedReader.from_url(servers.redis.url)).start()
    yield hub
    await hub.close()


async def join(
    hub: Hub, tenant_id: int, topics: TopicFilter = EVERYTHING, since: Place | None = None
) -> tuple[Subscriber, RecordingCarrier]:
    carrier = RecordingCarrier()
    subscriber = Subscriber(tenant_id, topics, carrier)
    await hub.join(subscriber, since)
    return subscriber, carrier


@pytest.mark.parametrize("restored_by", ["the sweeper", "a detail view"])
async def test_an_end_whose_status_was_evicted_is_not_taken_for_known(
    hub: Hub, servers: Servers, redis: Redis, tenant_id: int, restored_by: str
) -> None:
    """Of a client that comes back while it is gone: the place it gets does not cover what it was not told."""
    limits = Limits(terminal_ttl_seconds=86_400)
    publisher = Publisher(redis, limits=limits)
    first = publisher.status(tenant_id=tenant_id, topic="job:a", attempt=1, status="PROCESSING")
    publisher.status(tenant_id=tenant_id, topic="job:a", attempt=1, status="DONE")
    redis.delete(Keys().status(tenant_id, "job:a"))
    _, carrier = await join(hub, tenant_id, since=Place(first.epoch, first.offset, EVERYTHING.hash))
    assert (carrier.frames[0]["recovered"], carrier.frames[0]["records"]) == (False, [])  # so it asks by name
    source = ListedSource()
    source.say(tenant_id, "job:a", "DONE")
    if restored_by == "the sweeper":
        Rebuild(redis, source, limits=limits).tend([tenant_id])
    else:
        publisher.restore(tenant_id, source.states(["job:a"])["job:a"].draft())
    record = publisher.record(tenant_id, "job:a")
    assert record is not None
    assert record.offset == 2
    other = Hub(FeedReader.from_url(servers.redis.url), limits).start()  # another process, that reads the feed now
    _, later = await join(other, tenant_id, since=Place(first.epoch, first.offset, EVERYTHING.hash))
    assert [entry["status"] for entry in later.frames[0]["records"]] == ["DONE"]
    await other.close()


async def test_a_topic_asked_for_by_name_is_never_told_ahead_of_its_feed(
    hub: Hub, publisher: Publisher, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mirror is behind, because the messages are still on their way."""
    held: list[tuple[int, bytes]] = []
    await join(hub, tenant_id)
    receive = hub.on_messages
    monkeypatch.setattr(hub, "on_messages", held.extend)
    for status in ("PENDING", "PROCESSING", "DONE"):
        publisher.status(tenant_id=tenant_id, topic="job:named", attempt=1, status=status)
    await until(lambda: len(held) == 3)
    subscriber, carrier = await join(hub, tenant_id, TopicFilter.of(["job:named"]))
    for message in held:
        receive([message])
    await subscriber.drained()
    assert [entry["status"] for frame in carrier.frames for entry in frame["records"]] == ["DONE"]
    place = parse_place(carrier.frames[0]["place"])
    assert place is not None
    assert place.offset == 3


async def test_a_feed_is_followed_for_a_while_after_the_last_one_left_and_polls_leave_no_timers(
    hub: Hub, publisher: Publisher, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[FollowedFeed] = []
    monkeypatch.setattr(realtime.hub, "LINGER_SECONDS", 3600.0)
    monkeypatch.setattr(hub, "_drop_if_unused", dropped.append)
    for _ in range(50):
        await hub.snapshot(tenant_id, EVERYTHING)
    feed = hub._feeds[tenant_id]
    first = feed._drop_timer
    assert first is not None
    subscriber, _ = await join(hub, tenant_id)
    assert first.cancelled()
    hub.leave(subscriber)
    scheduled: Any = asyncio.get_running_loop()
    timers = [handle for handle in scheduled._scheduled if not handle.cancelled()]
    assert sum(handle._callback == hub._drop_if_unused for handle in timers) == 1
