"""Tests of the hub while its mirror differs from Redis, and of how long it follows a feed."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import count
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

import realtime.feed.hub
from embedded.group import Servers
from realtime.feed.background_tasks import end_tasks
from realtime.feed.followed_feed import FollowedFeed
from realtime.feed.hub import Hub
from realtime.feed.reader import FeedReader
from realtime.feed.subscriber import Subscriber
from realtime.protocol.place import Place, parse_place
from realtime.publish import Publisher
from realtime.records.errors import FeedUnavailableError
from realtime.records.keys import Keys
from realtime.records.scripts import Limits, Named, Snapshot
from realtime.records.topics import STATS, TopicFilter
from realtime.repair.rebuild import Rebuild
from tests.realtime.carriers import RecordingCarrier
from tests.realtime.sources import ListedSource
from tests.realtime.waiting import until

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
async def test_a_place_does_not_cover_an_end_whose_status_was_evicted(
    hub: Hub, servers: Servers, redis: Redis, tenant_id: int, restored_by: str
) -> None:
    """A client that has not seen the end of a topic reconnects twice with its place.

    While Redis lacks the topic's status, the client gets a whole snapshot without the topic. After the status was
    restored, the client gets the end.
    """
    limits = Limits(terminal_ttl_seconds=86_400)
    publisher = Publisher(redis, limits=limits)
    first = publisher.status(tenant_id=tenant_id, topic="job:a", attempt=1, status="PROCESSING")
    publisher.status(tenant_id=tenant_id, topic="job:a", attempt=1, status="DONE")
    redis.delete(Keys().status(tenant_id, "job:a"))
    _, carrier = await join(hub, tenant_id, since=Place(first.epoch, first.offset, EVERYTHING.hash))
    assert (carrier.frames[0]["recovered"], carrier.frames[0]["records"]) == (False, [])  # the client will ask by name
    source = ListedSource()
    source.set_state(tenant_id, "job:a", "DONE")
    if restored_by == "the sweeper":
        Rebuild(redis, source, limits=limits).maintain([tenant_id])
    else:
        publisher.restore(tenant_id, source.states(["job:a"])["job:a"].draft())
    record = publisher.record(tenant_id, "job:a")
    assert record is not None
    assert record.offset == 2
    other = Hub(FeedReader.from_url(servers.redis.url), limits).start()  # a process that reads the feed only now
    _, later = await join(other, tenant_id, since=Place(first.epoch, first.offset, EVERYTHING.hash))
    assert [entry["status"] for entry in later.frames[0]["records"]] == ["DONE"]
    await other.close()


async def test_a_topic_with_which_a_connection_began_stays_watched_after_it_was_subscribed_and_unsubscribed(
    hub: Hub, publisher: Publisher, tenant_id: int
) -> None:
    """A client subscribes to topics with which its connection began, and to new ones. Then it unsubscribes from all."""
    began = TopicFilter.of(["job:a", "video:*"])
    subscriber, carrier = await join(hub, tenant_id, began)
    asked = TopicFilter.of(["job:a", "job:b", "video:*", "*"])
    await hub.subscribe(subscriber, 2, asked)
    hub.unsubscribe(subscriber, 3, asked)
    unsubscribed = carrier.frames[-1]
    assert parse_place(unsubscribed["place"]) == Place(*hub.positions()[tenant_id], began.hash)
    for topic in ("job:b", "job:a", "video:1"):
        publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status="PENDING")

    def sent_since() -> list[str]:
        return [record["topic"] for frame in carrier.frames[3:] for record in frame["records"]]

    await until(lambda: "video:1" in sent_since())
    assert sent_since() == ["job:a", "video:1"]


async def test_a_topic_requested_by_name_is_never_sent_ahead_of_its_feed(
    hub: Hub, publisher: Publisher, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mirror is behind Redis, because the messages have not arrived yet."""
    held: list[bytes] = []
    await join(hub, tenant_id)
    receive = hub.on_messages
    monkeypatch.setattr(hub, "on_messages", lambda messages: held.extend(messages.get(tenant_id, ())))
    for status in ("PENDING", "PROCESSING", "DONE"):
        publisher.status(tenant_id=tenant_id, topic="job:named", attempt=1, status=status)
    await until(lambda: len(held) == 3)
    subscriber, carrier = await join(hub, tenant_id, TopicFilter.of(["job:named"]))
    for message in held:
        receive({tenant_id: [message]})
    await subscriber.drained()
    assert [entry["status"] for frame in carrier.frames for entry in frame["records"]] == ["DONE"]
    place = parse_place(carrier.frames[0]["place"])
    assert place is not None
    assert place.offset == 3


async def test_a_feed_is_followed_for_a_while_after_the_last_client_left_and_polls_leave_no_timers(
    hub: Hub, publisher: Publisher, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[FollowedFeed] = []
    monkeypatch.setattr(realtime.feed.hub, "LINGER_SECONDS", 3600.0)
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


class Busy:
    """A feed that shows two ended topics. Before and after each read by name, five more topics end."""

    limits = Limits(recent_terminal=2)

    def __init__(self, redis: Redis, tenant_id: int, hub: Hub) -> None:
        self.publisher, self.tenant_id = Publisher(redis, limits=self.limits), tenant_id
        self.hub, self.numbers, self.reads = hub, count(), 0
        self.before: list[tuple[str, int, str]] = []
        self.after: list[tuple[str, int, str]] = []
        """More states that `read_topics` publishes, each as topic, attempt and status.

        Those in `before` are published before it reads from Redis, and those in `after` afterwards.
        """
        self._read = hub._reader.read_topics

    async def go_on(self, others: list[tuple[str, int, str]]) -> None:
        """Publish `others` and the ends of five new topics, and wait until the hub has received everything."""
        ended = [(f"job:{next(self.numbers)}", 1, "DONE") for _ in range(5)]
        for topic, attempt, status in [*others, *ended]:
            said = self.publisher.status(tenant_id=self.tenant_id, topic=topic, attempt=attempt, status=status)
        await until(lambda: self.hub.positions()[self.tenant_id] == (said.epoch, said.offset))

    async def read_topics(self, tenant_id: int, topics: Sequence[str]) -> Named:
        self.reads += 1
        await self.go_on(self.before)
        found = await self._read(tenant_id, topics)
        await self.go_on(self.after)
        return found


@pytest.fixture
async def busy(servers: Servers, redis: Redis, tenant_id: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Busy]:
    hub = Hub(FeedReader.from_url(servers.redis.url), Busy.limits).start()
    busy = Busy(redis, tenant_id, hub)
    await join(hub, tenant_id)
    await busy.go_on([("job:old", 1, "DONE")])
    monkeypatch.setattr(hub._reader, "read_topics", busy.read_topics)
    yield busy
    await hub.close()


async def test_a_client_that_names_an_old_topic_needs_one_read_even_of_a_busy_feed(busy: Busy) -> None:
    _, carrier = await join(busy.hub, busy.tenant_id, TopicFilter.of(["job:old", "job:never"]))
    assert {record["topic"]: record["status"] for record in carrier.frames[0]["records"]} == {
        "job:old": "DONE",
        "job:never": "UNKNOWN",
    }
    assert busy.reads == 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_topic_that_begins_ends_and_leaves_the_feed_during_that_read_is_sent_with_its_end(
    busy: Busy, when: str
) -> None:
    getattr(busy, when).extend([("job:old", 2, "PROCESSING"), ("job:old", 2, "FAILED")])
    _, carrier = await join(busy.hub, busy.tenant_id, TopicFilter.of(["job:old"]))
    (record,) = carrier.frames[0]["records"]
    assert (record["attempt"], record["status"], busy.reads) == (2, "FAILED", 1)


async def test_a_feed_with_a_new_epoch_during_each_read_is_given_up_with_a_sentence(busy: Busy, redis: Redis) -> None:
    read = busy._read

    async def and_forget(tenant_id: int, topics: Sequence[str]) -> Named:
        redis.hset(Keys().feed(tenant_id), "history", "f" * 40)  # as if another Redis had written it
        return await read(tenant_id, topics)

    busy._read = and_forget
    with pytest.raises(FeedUnavailableError, match="try again"):
        await join(busy.hub, busy.tenant_id, TopicFilter.of(["job:old"]))
    assert busy.reads == realtime.feed.hub.MAX_NAMED_READS


async def test_a_feed_whose_read_fails_is_read_again(
    hub: Hub, publisher: Publisher, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.status(tenant_id=tenant_id, topic="job:a", attempt=1, status="DONE")
    monkeypatch.setattr("realtime.feed.followed_feed.RETRY_SECONDS", (0.0, 0.0))
    problems: list[Exception] = [RedisConnectionError("away"), ValueError("an unexpected answer")]
    read = hub._reader.read

    async def fails_twice(*arguments: Any) -> Snapshot:
        if problems:
            raise problems.pop(0)
        return await read(*arguments)

    monkeypatch.setattr(hub._reader, "read", fails_twice)
    with capture_logs() as logs:
        _, carrier = await join(hub, tenant_id)
    assert [entry["status"] for entry in carrier.frames[0]["records"]] == ["DONE"]
    failed = [line["log_level"] for line in logs if line["event"] == "feed_read_failed"]
    assert failed == ["debug", "error"], "Only the unexpected one is an error."


async def test_a_client_that_names_topics_is_refused_while_they_cannot_be_read(
    hub: Hub, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_tenant_id: int, _topics: Sequence[str]) -> Named:
        raise RedisConnectionError("away")

    monkeypatch.setattr(hub._reader, "read_topics", fails)
    with pytest.raises(FeedUnavailableError, match="try again"):
        await join(hub, tenant_id, TopicFilter.of(["job:named"]))
    _, carrier = await join(hub, tenant_id)
    assert carrier.kinds == ["snapshot"], "Other clients are served."


async def test_a_message_that_is_no_record_is_skipped(
    hub: Hub, publisher: Publisher, redis: Redis, tenant_id: int
) -> None:
    subscriber, carrier = await join(hub, tenant_id)
    with capture_logs() as logs:
        redis.publish(Keys().feed(tenant_id), b"no record")
        said = publisher.status(tenant_id=tenant_id, topic="job:a", attempt=1, status="DONE")
        await until(lambda: hub.positions()[tenant_id] == (said.epoch, said.offset))
        await subscriber.drained()
    assert [line["tenant"] for line in logs if line["event"] == "bad_message"] == [tenant_id]
    await until(lambda: carrier.kinds == ["snapshot", "records"])


async def test_a_hub_that_does_not_run_is_not_ready(servers: Servers, redis: Redis) -> None:
    hub = Hub(FeedReader.from_url(servers.redis.url))
    with pytest.raises(FeedUnavailableError, match="does not run"):
        await hub.ready()
    hub.start()
    await hub.ready()
    await hub.close()


async def test_a_status_that_another_program_overwrote_does_not_hide_the_other_records(
    hub: Hub, publisher: Publisher, redis: Redis, tenant_id: int
) -> None:
    for topic in ("job:a", "job:b"):
        publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status="DONE")
    redis.set(Keys().status(tenant_id, "job:a"), b"no record")
    with capture_logs() as logs:
        _, carrier = await join(hub, tenant_id)
    assert [entry["topic"] for entry in carrier.frames[0]["records"]] == ["job:b"]
    assert [line["log_level"] for line in logs if line["event"] == "bad_record"] == ["warning"]


async def test_after_an_unexpected_error_in_a_message_the_feeds_go_on(
    hub: Hub, publisher: Publisher, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriber, carrier = await join(hub, tenant_id)
    receive, broken = hub.on_messages, asyncio.Event()

    def fails_first(messages: Mapping[int, Sequence[bytes]]) -> None:
        if broken.is_set():
            receive(messages)
            return
        broken.set()
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(hub, "on_messages", fails_first)
    with capture_logs() as logs:
        publisher.status(tenant_id=tenant_id, topic="job:lost", attempt=1, status="DONE")
        await until(lambda: "records" in carrier.kinds)
    assert [line["log_level"] for line in logs if line["event"] == "pubsub_failed"] == ["error"]
    assert [record["topic"] for record in carrier.frames[1]["records"]] == ["job:lost"]
    assert not subscriber.ended


async def test_the_check_of_the_server_continues_after_any_error(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.feed.reader.SERVER_SECONDS", 0.0)
    problems: list[Exception] = [RedisConnectionError("away"), ValueError("an unexpected answer")]
    continues = asyncio.Event()

    async def fails_twice() -> None:
        if problems:
            raise problems.pop(0)
        continues.set()

    monkeypatch.setattr(hub._reader, "check_server", fails_twice)
    await hub._reader.link.subscribe(1)  # an idle link is not checked
    with capture_logs() as logs:
        watching = asyncio.create_task(hub._reader.watch_server())
        async with asyncio.timeout(60):
            await continues.wait()
    await end_tasks([watching])
    assert [line["log_level"] for line in logs if line["event"] == "server_unknown"] == ["debug", "error"]


async def test_a_topic_that_a_client_names_during_a_read_of_the_whole_feed_is_read_by_name(
    hub: Hub, publisher: Publisher, redis: Redis, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The feed has lost its index, so that a read finds only the topics that are named."""
    publisher.status(tenant_id=tenant_id, topic="job:named", attempt=1, status="DONE")
    subscriber, carrier = await join(hub, tenant_id, TopicFilter.of(["job:other"]))
    named: list[list[str]] = []
    read = hub._reader.read

    async def and_name_another(tenant: int, epoch: str, offset: int, topics: list[str]) -> Snapshot:
        found = await read(tenant, epoch, offset, topics)
        named.append(topics)
        if len(named) == 1:
            await hub.subscribe(subscriber, 1, TopicFilter.of(["job:named"]))
        return found

    monkeypatch.setattr(hub._reader, "read", and_name_another)
    redis.delete(Keys().feed(tenant_id), Keys().index(tenant_id))
    hub.recover([tenant_id])
    await until(lambda: carrier.kinds == ["snapshot", "subscribed", "snapshot"])
    assert named[:2] == [["job:other"], ["job:named", "job:other"]]
    assert {record["topic"]: record["status"] for record in carrier.frames[-1]["records"]} == {
        "job:named": "DONE",
        "job:other": "UNKNOWN",
    }


async def test_a_poll_counts_as_watching_only_if_it_names_the_figures(hub: Hub, tenant_id: int) -> None:
    """A poll may name 200 topics. The hub remembers only polls that name the figures."""
    await hub.snapshot(tenant_id, TopicFilter.of(f"stats:{number}" for number in range(200)))
    assert (hub.watching_figures(), hub._polled) == ([], {})
    await hub.snapshot(tenant_id, TopicFilter.of([STATS]))
    assert (hub.watching_figures(), len(hub._polled)) == ([tenant_id], 1)
