"""Tests of when a feed sends to its subscribers: at once, in its turn, or in a snapshot that joining clients share."""

import asyncio
from itertools import count
from typing import Any, cast

import pytest

import realtime.feed.rounds
from realtime.feed.followed_feed import FollowedFeed
from realtime.feed.mirror import Message
from realtime.feed.reader import FeedReader
from realtime.feed.rounds import AT_ONCE, Rounds
from realtime.feed.subscriber import Subscriber
from realtime.records.scripts import Limits, Snapshot
from realtime.records.topics import TopicFilter
from tests.realtime.carriers import RecordingCarrier, record

EVERYTHING = TopicFilter.of(["*"])


class OtherFeed:
    """A feed that uses up the deliveries of one turn of the event loop."""

    waiting = urgent = False

    def serve(self, limit: int) -> int:
        return limit


class Case:
    """A followed feed, which shares the event loop with the other feeds of `rounds`."""

    def __init__(self, rounds: Rounds | None = None, limits: Limits | None = None) -> None:
        self.rounds = rounds or Rounds()
        self.feed = FollowedFeed(7, cast("FeedReader", None), limits or Limits(), self.rounds)
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


async def sent(case: Case) -> None:
    """Wait until everything was sent."""
    async with asyncio.timeout(60):
        while case.feed.broadcast.position != (case.feed.mirror.epoch, case.feed.mirror.offset):
            await asyncio.sleep(0)


async def test_while_nothing_else_is_sent_each_record_is_sent_at_once(case: Case) -> None:
    carrier = case.join()
    for number in range(1, 201):
        case.arrive(f"job:{number}")
        assert delivered(carrier)[-1] == (f"job:{number}", number)


async def test_the_records_of_one_read_are_sent_in_one_frame_the_newest_of_each_topic(case: Case) -> None:
    carrier = case.join()
    case.arrive("job:a", "job:b", "job:a")
    assert delivered(carrier) == [("job:b", 2), ("job:a", 3)]
    assert carrier.kinds == ["snapshot", "records"]


async def test_records_that_arrive_while_others_are_served_share_a_frame_the_newest_of_each_topic(case: Case) -> None:
    carrier = case.join()
    case.rounds.request(OtherFeed())
    for topic in ["job:a", "job:b", "job:a"]:
        case.arrive(topic)
    assert carrier.kinds == ["snapshot"]
    await asyncio.sleep(0)
    assert delivered(carrier) == [("job:b", 2), ("job:a", 3)]
    assert carrier.kinds == ["snapshot", "records"]


async def test_a_feed_with_a_terminal_record_is_served_before_the_others() -> None:
    rounds = Rounds()
    first, second = Case(rounds), Case(rounds)
    carriers = [first.join() for _ in range(AT_ONCE)]
    watched = second.join()
    rounds.request(OtherFeed())
    first.arrive("job:a")
    second.arrive("job:b")
    second.arrive("job:c", status="DONE")
    await asyncio.sleep(0)
    assert delivered(watched) == [("job:b", 1), ("job:c", 2)]
    assert sum(len(delivered(carrier)) for carrier in carriers) == AT_ONCE - 1


async def test_a_client_that_joins_while_records_wait_gets_nothing_twice(case: Case) -> None:
    early = case.join()
    case.rounds.request(OtherFeed())
    case.arrive("job:a")
    late = case.join()
    assert [entry["topic"] for entry in late.frames[0]["records"]] == ["job:a"]
    case.arrive("job:b")
    await sent(case)
    assert delivered(early) == [("job:a", 1), ("job:b", 2)]
    assert delivered(late) == [("job:b", 2)]


async def test_a_client_whose_snapshot_has_all_waiting_records_of_its_topics_gets_no_frame(case: Case) -> None:
    case.join("job:*")
    case.rounds.request(OtherFeed())
    case.arrive("job:a")
    late = case.join("job:*")
    case.arrive("video:a")
    await sent(case)
    assert late.kinds == ["snapshot"]


async def test_a_client_that_watches_more_while_records_wait_gets_each_once(case: Case) -> None:
    topics = TopicFilter.of(["job:a"])
    carrier = RecordingCarrier()
    subscriber = Subscriber(7, topics, carrier)
    case.feed.broadcast.add(subscriber)
    subscriber.start(case.feed.broadcast, case.feed.broadcast.snapshot_frames(topics, {}, None))
    case.rounds.request(OtherFeed())
    case.arrive("job:a", "job:b")
    case.feed.broadcast.move(subscriber, TopicFilter.of(["job:a", "job:b"]))
    assert delivered(carrier) == [("job:a", 1)]
    assert subscriber.place.offset == 2
    case.arrive("job:b")
    await sent(case)
    assert delivered(carrier) == [("job:a", 1), ("job:b", 3)]


async def test_while_records_wait_no_place_includes_them(case: Case) -> None:
    positions = []
    for _ in range(2):
        case.arrive("job:a")
        positions.append(case.feed.broadcast.position)
        case.rounds.request(OtherFeed())
    await asyncio.sleep(0)
    assert [*positions, case.feed.broadcast.position] == [("e0", 1), ("e0", 1), ("e0", 2)]


async def test_during_a_pass_a_place_includes_what_all_were_sent_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime.feed.rounds, "AT_ONCE", 1)
    case = Case()
    for _ in range(3):
        case.join()
    positions = []
    for _ in range(2):
        case.arrive("job:a")
        positions.append(case.feed.broadcast.position)
        await sent(case)
    assert positions == [("e0", 0), ("e0", 1)]


async def test_while_an_epoch_begins_the_feed_has_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime.feed.rounds, "AT_ONCE", 1)
    case = Case()
    carriers = [case.join() for _ in range(3)]
    case.restart()
    assert case.feed.broadcast.position is None
    await sent(case)
    assert [carrier.kinds for carrier in carriers] == [["snapshot", "snapshot"]] * 3


async def test_a_closed_feed_sends_nothing_more(case: Case) -> None:
    carrier = case.join()
    case.rounds.request(OtherFeed())
    case.arrive("job:a")
    case.feed.close()
    await asyncio.sleep(0)
    assert carrier.kinds == ["snapshot"]


async def test_an_epoch_that_begins_while_records_wait_drops_them(case: Case) -> None:
    carrier = case.join()
    case.rounds.request(OtherFeed())
    case.arrive("job:old")
    case.restart()
    case.arrive("job:new")
    await sent(case)
    assert carrier.kinds == ["snapshot", "snapshot"]
    assert [entry["topic"] for entry in carrier.frames[-1]["records"]] == ["job:new"]


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
    await sent(case)
    for carrier in carriers:
        last: dict[str, Any] = carrier.frames[-1]
        assert (last["type"], last["place"].partition(".")[0], last["recovered"]) == ("snapshot", "e1", False)


@pytest.mark.parametrize("pattern", ["job:a", "*"])
async def test_an_end_during_the_snapshots_of_a_new_epoch_reaches_clients_that_named_the_topic(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realtime.feed.rounds, "AT_ONCE", 1)
    case = Case(limits=Limits(recent_terminal=1))
    carriers = [case.join("job:a", pattern, f"video:{number}") for number in range(5)]
    case.arrive("job:a", status="DONE")
    case.restart(offset=5)
    case.arrive("job:a", status="DONE")
    case.arrive("job:b", status="DONE")
    await sent(case)
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
    monkeypatch.setattr(realtime.feed.rounds, "AT_ONCE", 1)
    case = Case()
    carriers = [case.join() for _ in range(20)]
    for number in range(100):
        case.arrive(f"job:{number}", status="DONE")
        if number % 10 == 0:
            await asyncio.sleep(0)
    await sent(case)
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
