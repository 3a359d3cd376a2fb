"""Tests of what is sent to a connection and what is queued, while its client reads, reads slowly, or does not read."""

import asyncio

import pytest

from realtime.feed.subscriber import MAX_PENDING_TOPICS, MAX_QUEUED_BYTES, Subscriber
from realtime.feed.unreceived_bytes import MAX_BUFFER_BYTES
from realtime.protocol import frames
from realtime.records.record import Record
from realtime.records.topics import TopicFilter
from tests.realtime.carriers import RecordingCarrier, Standing, place, record

EVERYTHING = TopicFilter.of(["*"])


class Case:
    """A subscriber that has received its snapshot, at offset 0."""

    def __init__(self, *, waits_for_client: bool = True, slow_seconds: float = 1000.0) -> None:
        self.carrier = RecordingCarrier(waits_for_client=waits_for_client)
        self.slow = asyncio.Event()
        self.feed = Standing()
        self.subscriber = Subscriber(7, EVERYTHING, self.carrier, self.slow.set, slow_seconds)
        self.subscriber.start(self.feed, frames.snapshot(place(0), [], recovered=False))
        self.carrier.taken.clear()

    def deliver(self, *records: Record) -> None:
        offset = records[-1].offset
        self.feed.position = ("e0", offset)
        self.subscriber.deliver(frames.records(place(offset), [entry.body for entry in records]), records)

    @property
    def delivered(self) -> list[tuple[str, int]]:
        return [(r["topic"], r["offset"]) for frame in self.carrier.frames for r in frame.get("records", [])]


@pytest.fixture
async def case() -> Case:
    return Case()


async def until_drained(case: Case) -> None:
    case.carrier.drain()
    await case.subscriber.drained()


async def test_a_free_connection_sends_the_shared_frame_at_once_without_a_task(case: Case) -> None:
    before = len(asyncio.all_tasks())
    case.deliver(record(1))
    assert case.delivered == [("job:a", 1)]
    assert len(asyncio.all_tasks()) == before
    assert not case.subscriber.busy


async def test_the_queue_has_the_newest_record_of_each_topic_in_the_order_of_offsets(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))  # this record is being sent, the next are queued
    for offset, topic in [(2, "job:a"), (3, "job:b"), (4, "job:c"), (5, "job:a")]:
        case.deliver(record(offset, topic))
    assert case.subscriber.busy
    await until_drained(case)
    assert case.delivered == [("job:a", 1), ("job:b", 3), ("job:c", 4), ("job:a", 5)]
    assert case.carrier.frames[-1]["place"].startswith("e0.5.")


async def test_a_long_queue_is_sent_in_several_frames_whose_places_include_no_unsent_records(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    for offset in range(1000, 1800):
        small = record(offset, f"job:{offset}")
        body = small.body[:-1] + b',"data":"%s"}' % (b"x" * 1000)
        case.deliver(Record(offset, small.topic, 1, small.status, body))
    await until_drained(case)
    waited = case.carrier.taken[1:]
    assert len(waited) == 4
    assert max(len(frame.body) for frame in waited) < 1.01 * frames.MAX_SNAPSHOT_BYTES
    assert len(case.delivered) == 801
    for frame, content in zip(waited, case.carrier.frames[1:], strict=True):
        assert frame.place is not None
        assert frame.place.offset == content["records"][-1]["offset"]


async def test_a_terminal_record_is_never_skipped(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    case.deliver(record(2, "job:a", "DONE"))
    for offset in range(3, 500):
        case.deliver(record(offset, f"job:{offset % 7}"))
    await until_drained(case)
    assert ("job:a", 2) in case.delivered


async def test_no_place_includes_queued_records(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    case.deliver(record(2, "job:b"))
    case.deliver(record(3, "job:c"))
    assert case.subscriber.place.offset == 1
    case.deliver(record(4, "job:b"))
    assert case.subscriber.place.offset == 2
    await until_drained(case)
    assert case.subscriber.place.offset == 4


async def test_during_a_fan_out_a_place_includes_only_what_this_connection_got(case: Case) -> None:
    case.deliver(record(1))
    case.feed.position = None
    assert case.subscriber.place.offset == 1


async def test_records_that_the_snapshot_contains_are_not_sent_again(case: Case) -> None:
    case.subscriber.start(case.feed, frames.snapshot(place(5), [record(5).body], recovered=False))
    held = [record(4, "job:b"), record(5), record(6, "job:c")]
    case.subscriber.deliver(frames.records(place(6), [each.body for each in held]), held)
    held = [record(7), record(8, "job:b")]
    case.subscriber.deliver(frames.records(place(8), [each.body for each in held]), held)
    assert case.delivered[-3:] == [("job:c", 6), ("job:a", 7), ("job:b", 8)]
    assert case.carrier.kinds[-3:] == ["snapshot", "records", "records"]


async def test_an_answer_is_sent_before_queued_records(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    case.deliver(record(2))
    case.subscriber.queue(frames.unsubscribed(3, case.subscriber.place))
    await until_drained(case)
    assert case.carrier.kinds == ["records", "unsubscribed", "records"]


async def test_a_new_epoch_replaces_the_queue_and_an_older_snapshot(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    case.deliver(record(2))
    for epoch in ("e1", "e2"):
        case.feed.position = (epoch, 9)
        case.subscriber.start(case.feed, frames.snapshot(place(9, epoch), [record(9).body], recovered=False))
    await until_drained(case)
    assert [frame["place"].partition(".")[0] for frame in case.carrier.frames] == ["e0", "e2"]


async def test_a_snapshot_that_has_begun_is_completed_before_a_newer_one(case: Case) -> None:
    def snapshot(epoch: str) -> list[frames.Frame]:
        bodies = [record(offset, f"job:{offset}").body for offset in (1, 2, 3)]
        return frames.snapshot(place(3, epoch), bodies, recovered=False, max_bytes=10)

    case.carrier.fill()
    for epoch in ("e1", "e2", "e3"):
        case.subscriber.start(case.feed, snapshot(epoch))
    await until_drained(case)
    assert [frame["more"] for frame in case.carrier.frames] == [True, True, False] * 2
    assert [frame["place"].partition(".")[0] for frame in case.carrier.frames if "place" in frame] == ["e1", "e3"]


async def test_a_record_of_the_snapshot_is_not_sent_again(case: Case) -> None:
    case.subscriber.start(case.feed, frames.snapshot(place(5), [], recovered=False))
    case.deliver(record(4))
    assert case.delivered == []


async def test_of_a_hundred_thousand_records_one_of_each_topic_stays_in_memory(case: Case) -> None:
    case.carrier.fill()
    for offset in range(1, 100_001):
        case.deliver(record(offset, f"job:{offset % 300}"))
    assert len(case.subscriber._pending) == 300
    assert not case.slow.is_set()
    await until_drained(case)
    assert len(case.delivered) == 301


async def test_too_many_queued_topics_close_the_connection(case: Case) -> None:
    case.carrier.fill()
    for offset in range(1, MAX_PENDING_TOPICS + 3):
        case.deliver(record(offset, f"job:{offset}"))
    assert case.slow.is_set()
    assert case.subscriber._pending == {}


async def test_the_queue_of_unread_answers_is_bounded(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    answer = frames.error(1, "bad_frame", "x" * 10_000)
    for _ in range(MAX_QUEUED_BYTES // len(answer.body)):
        case.subscriber.queue(answer)
    assert not case.slow.is_set()
    case.subscriber.queue(answer)
    assert case.slow.is_set()


async def test_a_buffer_that_does_not_drain_in_time_is_reported() -> None:
    case = Case(slow_seconds=0.01)
    case.carrier.fill()
    case.deliver(record(1))
    await asyncio.wait_for(case.slow.wait(), 60)


async def test_a_connection_that_is_not_behind_has_no_timer(case: Case) -> None:
    case.deliver(record(1))
    case.carrier.fill()
    case.deliver(record(2))
    await until_drained(case)
    assert case.subscriber._slow_timer is None


async def test_after_the_peer_is_gone_nothing_is_sent_or_kept(case: Case) -> None:
    def gone(frame: frames.Frame) -> None:
        raise ConnectionResetError(frame.kind)

    case.carrier.send = gone  # type: ignore[method-assign]
    case.deliver(record(1))
    case.deliver(record(2))
    assert not case.subscriber.busy
    assert case.subscriber._pending == {}


async def test_closing_ends_the_waiting_task(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    case.subscriber.close()
    await case.subscriber.drained()
    assert case.delivered == []


async def test_an_answer_of_any_length_fits_into_the_queue(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    case.subscriber.queue(frames.subscribed(1, place(1), [record(1).body] * (MAX_QUEUED_BYTES // 80)))
    assert not case.slow.is_set()
    case.subscriber.queue(frames.subscribed(2, place(1), [record(1).body]))
    assert case.slow.is_set()


async def test_queued_records_of_topics_that_are_no_longer_watched_are_not_sent(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    case.deliver(record(2, "job:a"), record(3, "video:b"))
    case.subscriber.narrow(TopicFilter.of(["video:*"]))
    await until_drained(case)
    assert case.delivered == [("job:a", 1), ("video:b", 3)]


class TestOnAServerWhoseSendNeverWaits:
    """On such a server, everything sent since the last answered ping may still be in the buffer."""

    BIG = "x" * 30_000

    @pytest.fixture
    async def case(self) -> Case:
        return Case(waits_for_client=False)

    def deliver_big(self, case: Case, offset: int) -> None:
        big = record(offset)
        body = big.body[:-1] + b',"data":"%s"}' % self.BIG.encode()
        case.deliver(Record(offset, big.topic, big.attempt, big.status, body))

    async def test_after_64_kib_a_ping_is_sent_and_records_wait_for_its_pong(self, case: Case) -> None:
        for offset in range(1, 8):
            self.deliver_big(case, offset)
        assert case.carrier.kinds == ["records", "records", "records", "ping"]
        assert case.subscriber.busy
        case.subscriber.answered()
        assert [offset for _topic, offset in case.delivered] == [1, 2, 3, 7]
        assert not case.subscriber.busy

    async def test_a_pong_confirms_only_what_was_sent_before_its_ping(self, case: Case) -> None:
        case.subscriber.queue(frames.ping(case.subscriber.place))
        for offset in range(1, 5):
            self.deliver_big(case, offset)
        case.subscriber.answered()  # the pong of the first ping, which was sent before all records
        assert case.subscriber.busy
        case.subscriber.answered()
        assert not case.subscriber.busy

    async def test_unrequested_pongs_confirm_nothing(self, case: Case) -> None:
        for _ in range(10):
            case.subscriber.answered()
        for offset in range(1, 5):
            self.deliver_big(case, offset)
        assert case.subscriber.busy
        assert case.subscriber._in_flight is not None
        assert case.subscriber._in_flight.bytes > MAX_BUFFER_BYTES

    async def test_without_a_pong_in_time_the_client_is_too_slow(self) -> None:
        case = Case(waits_for_client=False, slow_seconds=0.01)
        for offset in range(1, 5):
            self.deliver_big(case, offset)
        await asyncio.wait_for(case.slow.wait(), 60)

    async def test_a_connection_whose_send_waits_once_still_needs_its_pong(self, case: Case) -> None:
        case.carrier.fill()
        for offset in range(1, 6):
            big = record(offset, f"job:{offset}")
            case.deliver(Record(offset, big.topic, 1, big.status, big.body[:-1] + b',"data":"%s"}' % self.BIG.encode()))
        case.carrier.drain()
        await case.subscriber.drained()
        assert case.carrier.kinds == ["records", "records", "ping"]
        assert case.subscriber.busy
        case.subscriber.answered()
        assert not case.subscriber.busy
