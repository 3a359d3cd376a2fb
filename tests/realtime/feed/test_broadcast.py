"""Tests of when a feed sends to its subscribers: at once, in ticks, or in a snapshot that joining clients share."""

import asyncio
from itertools import count
from typing import Any, cast

import pytest

import realtime.feed.fan_out
from realtime.feed.broadcast import CALM_RECORDS_A_SECOND
from realtime.feed.followed_feed import FollowedFeed
from realtime.feed.mirror import Message
from realtime.feed.reader import FeedReader
from realtime.feed.subscriber import Subscriber
from realtime.records.scripts import Limits, Snapshot
from realtime.records.topics import TopicFilter
from tests.realtime.carriers import RecordingCarrier, record

EVERYTHING = TopicFilter.of(["*"])
NEVER = 1000.0


class Case:
    """A followed feed. By default its ticks only happen when a test calls `flush`."""

    def __init__(self, flush_seconds: float = NEVER, limits: Limits | None = None) -> None:
        self.feed = FollowedFeed(7, cast("FeedReader", None), limits or Limits(), flush_seconds)
        self.feed._load(Snapshot("e0", 0, 0, whole=True, records=[]))
        self.offsets = count(1)

    def join(self, *patterns: str) -> RecordingCarrier:
        topics = TopicFilter.of(patterns or ["*"])
        carrier = RecordingCarrier()
        subscriber = Subscriber(7, topics, carrier)
        self.feed.broadcast.add(subscriber)
        subscriber.start(self.feed.broadcast, self.feed.broadcast.snapshot_frames(topics, {}, None))
        return carrier

    def arrive(self, *topics: str, status: str = "PROCESSING") -> None:
        """For each topic, deliver a message with a new record. All of them arrive in one batch."""
        records = [record(next(self.offsets), topic, status) for topic in topics]
        self.feed.receive([Message(self.feed.mirror.epoch, entry.offset, entry) for entry in records])

    def restart(self, offset: int = 0) -> None:
        """Load a new epoch without records, as after a change to another Redis."""
        self.offsets = count(offset + 1)
        self.feed._load(Snapshot("e1", offset, 0, whole=True, records=[]))


@pytest.fixture
async def case() -> Case:
    return Case()


def delivered(carrier: RecordingCarrier) -> list[tuple[str, int]]:
    return [
        (entry["topic"], entry["offset"])
        for frame in carrier.frames
        if frame["type"] == "records"
        for entry in frame["records"]
    ]


def make_busy(case: Case) -> None:
    """Deliver more records at once than a feed sends without waiting for a tick."""
    for _ in range(CALM_RECORDS_A_SECOND + 5):
        case.arrive("job:busy")


async def test_a_calm_feed_sends_each_record_at_once(case: Case) -> None:
    carrier = case.join()
    case.arrive("job:a")
    case.arrive("job:b")
    assert delivered(carrier) == [("job:a", 1), ("job:b", 2)]


async def test_the_records_of_one_read_are_sent_in_one_frame_the_newest_of_each_topic(case: Case) -> None:
    carrier = case.join()
    case.arrive("job:a", "job:b", "job:a")
    assert delivered(carrier) == [("job:b", 2), ("job:a", 3)]
    assert carrier.kinds == ["snapshot", "records"]


async def test_a_busy_feed_waits_for_the_tick_except_with_terminal_records(case: Case) -> None:
    carrier = case.join()
    make_busy(case)
    frames = len(carrier.taken)
    case.arrive("job:a")
    case.arrive("job:a")
    assert len(carrier.taken) == frames
    case.arrive("job:b", status="DONE")
    assert len(carrier.taken) == frames + 1
    assert [topic for topic, _ in delivered(carrier)][-3:] == ["job:busy", "job:a", "job:b"]


async def test_the_tick_happens_without_further_messages() -> None:
    case = Case(flush_seconds=0.001)
    carrier = case.join()
    make_busy(case)
    case.arrive("job:last")
    async with asyncio.timeout(60):
        while delivered(carrier)[-1][0] != "job:last":
            await asyncio.sleep(0.001)
    assert case.feed.broadcast.position == ("e0", CALM_RECORDS_A_SECOND + 6)


async def test_a_client_that_joins_before_the_tick_gets_nothing_twice(case: Case) -> None:
    early = case.join()
    make_busy(case)
    case.arrive("job:a")
    late = case.join()
    assert "job:a" in {entry["topic"] for entry in late.frames[0]["records"]}
    assert delivered(early)[-1][0] == "job:a"
    case.arrive("job:b", status="DONE")
    assert [topic for topic, _ in delivered(late)] == ["job:b"]


async def test_before_the_tick_no_place_includes_unsent_records(case: Case) -> None:
    case.join()
    make_busy(case)
    position = case.feed.broadcast.position
    assert position is not None
    case.arrive("job:a")
    assert case.feed.broadcast.position == position
    case.feed.broadcast.flush()
    assert case.feed.broadcast.position == ("e0", case.feed.mirror.offset)


async def test_clients_that_join_while_nothing_changes_share_a_snapshot(case: Case) -> None:
    case.arrive("job:a")
    first, second = case.join(), case.join()
    assert first.taken[0] is second.taken[0]
    case.arrive("job:b")
    third = case.join()
    assert third.taken[0] is not first.taken[0]
    assert len(third.frames[0]["records"]) == 2


async def test_a_new_epoch_begins_with_a_snapshot_for_all_and_drops_queued_records(case: Case) -> None:
    carriers = [case.join() for _ in range(600)]  # more than a fan-out serves at once
    case.arrive("job:old")
    case.feed._load(Snapshot("e1", 3, 0, whole=True, records=[record(3, "job:new")]))
    async with asyncio.timeout(60):
        while case.feed.broadcast.position is None:
            await asyncio.sleep(0)
    for carrier in carriers:
        last: dict[str, Any] = carrier.frames[-1]
        assert (last["type"], last["place"].partition(".")[0], last["recovered"]) == ("snapshot", "e1", False)


@pytest.mark.parametrize("pattern", ["job:a", "*"])
async def test_an_end_during_the_snapshots_of_a_new_epoch_reaches_clients_that_named_the_topic(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realtime.feed.fan_out, "AT_ONCE", 1)
    case = Case(limits=Limits(recent_terminal=1))
    carriers = [case.join("job:a", pattern, f"video:{number}") for number in range(5)]
    case.arrive("job:a", status="DONE")
    case.restart(offset=5)
    case.arrive("job:a", status="DONE")
    case.arrive("job:b", status="DONE")
    async with asyncio.timeout(60):
        while case.feed.broadcast.position is None:
            await asyncio.sleep(0)
    for carrier in carriers:
        seen = [
            entry["offset"]
            for frame in carrier.frames
            if frame["place"].startswith("e1.")
            for entry in frame["records"]
            if entry["topic"] == "job:a" and entry["status"] == "DONE"
        ]
        assert seen == [6]


async def test_ends_during_a_fan_out_are_sent_together_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred topics end while one fan-out is under way, as at the highest load."""
    monkeypatch.setattr(realtime.feed.fan_out, "AT_ONCE", 1)
    case = Case()
    carriers = [case.join() for _ in range(20)]
    for number in range(100):
        case.arrive(f"job:{number}", status="DONE")
        if number % 10 == 0:
            await asyncio.sleep(0)
    async with asyncio.timeout(60):
        while case.feed.broadcast.position is None or case.feed.broadcast.position[1] < 100:
            await asyncio.sleep(0)
    for carrier in carriers:
        assert delivered(carrier) == [(f"job:{number}", number + 1) for number in range(100)]
        assert len([frame for frame in carrier.frames if frame["type"] == "records"]) <= 3


async def test_a_record_is_sent_only_to_connections_that_watch_it(case: Case) -> None:
    everything, kind, one = case.join("*"), case.join("video:*"), case.join("job:a")
    case.arrive("video:1")
    case.arrive("job:a")
    assert [delivered(carrier) for carrier in (everything, kind, one)] == [
        [("video:1", 1), ("job:a", 2)],
        [("video:1", 1)],
        [("job:a", 2)],
    ]
