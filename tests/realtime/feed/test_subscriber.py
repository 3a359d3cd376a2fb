"""What one connection is sent, and what waits for it, while its client reads, reads slowly, or does not read."""

import asyncio

import pytest

from realtime.feed.in_flight import MAX_BUFFER_BYTES
from realtime.feed.subscriber import MAX_PENDING_TOPICS, MAX_QUEUED_BYTES, Subscriber
from realtime.protocol import frames
from realtime.records.record import Record
from realtime.records.topics import TopicFilter
from tests.realtime.carriers import RecordingCarrier, Standing, place, record

EVERYTHING = TopicFilter.of(["*"])


class Case:
    """A subscriber that has had its snapshot, at offset 0."""

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
    def told(self) -> list[tuple[str, int]]:
        return [(r["topic"], r["offset"]) for frame in self.carrier.frames for r in frame.get("records", [])]


@pytest.fixture
async def case() -> Case:
    return Case()


async def until_drained(case: Case) -> None:
    case.carrier.drain()
    await case.subscriber.drained()


async def test_a_free_connection_is_sent_the_ready_made_frame_at_once_and_without_a_task(case: Case) -> None:
    before = len(asyncio.all_tasks())
    case.deliver(record(1))
    assert case.told == [("job:a", 1)]
    assert len(asyncio.all_tasks()) == before
    assert not case.subscriber.busy


async def test_what_waits_is_one_record_a_topic_the_newest_in_the_order_of_offsets(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))  # is being sent
    for offset, topic in [(2, "job:a"), (3, "job:b"), (4, "job:c"), (5, "job:a")]:
        case.deliver(record(offset, topic))
    assert case.subscriber.busy
    await until_drained(case)
    assert case.told == [("job:a", 1), ("job:b", 3), ("job:c", 4), ("job:a", 5)]
    assert case.carrier.frames[-1]["place"].startswith("e0.5.")


async def test_much_that_waits_leaves_in_several_frames_and_their_places_claim_no_more(case: Case) -> None:
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
    assert len(case.told) == 801
    for frame, content in zip(waited, case.carrier.frames[1:], strict=True):
        assert frame.place is not None
        assert frame.place.offset == content["records"][-1]["offset"]


async def test_an_end_is_never_skipped(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    case.deliver(record(2, "job:a", "DONE"))
    for offset in range(3, 500):
        case.deliver(record(offset, f"job:{offset % 7}"))
    await until_drained(case)
    assert ("job:a", 2) in case.told


async def test_no_place_claims_what_still_waits(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    case.deliver(record(2, "job:b"))
    case.deliver(record(3, "job:c"))
    assert case.subscriber.place.offset == 1
    case.deliver(record(4, "job:b"))
    assert case.subscriber.place.offset == 2
    await until_drained(case)
    assert case.subscriber.place.offset == 4


async def test_while_others_are_still_being_told_a_place_claims_only_what_this_one_was(case: Case) -> None:
    case.deliver(record(1))
    case.feed.position = None
    assert case.subscriber.place.offset == 1


async def test_an_answer_goes_before_the_records_that_wait(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    case.deliver(record(2))
    case.subscriber.queue(frames.unsubscribed(3, case.subscriber.place))
    await until_drained(case)
    assert case.carrier.kinds == ["records", "unsubscribed", "records"]


async def test_a_new_epoch_overtakes_what_waits_and_an_older_snapshot(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    case.deliver(record(2))
    for epoch in ("e1", "e2"):
        case.feed.position = (epoch, 9)
        case.subscriber.start(case.feed, frames.snapshot(place(9, epoch), [record(9).body], recovered=False))
    await until_drained(case)
    assert [frame["place"].partition(".")[0] for frame in case.carrier.frames] == ["e0", "e2"]


async def test_a_snapshot_that_has_begun_is_sent_to_its_last_part_before_a_newer_one(case: Case) -> None:
    def snapshot(epoch: str) -> list[frames.Frame]:
        bodies = [record(offset, f"job:{offset}").body for offset in (1, 2, 3)]
        return frames.snapshot(place(3, epoch), bodies, recovered=False, max_bytes=10)

    case.carrier.fill()
    for epoch in ("e1", "e2", "e3"):
        case.subscriber.start(case.feed, snapshot(epoch))
    await until_drained(case)
    assert [frame["more"] for frame in case.carrier.frames] == [True, True, False] * 2
    assert [frame["place"].partition(".")[0] for frame in case.carrier.frames if "place" in frame] == ["e1", "e3"]


async def test_a_record_that_a_snapshot_held_already_is_not_sent_again(case: Case) -> None:
    case.subscriber.start(case.feed, frames.snapshot(place(5), [], recovered=False))
    case.deliver(record(4))
    assert case.told == []


async def test_a_hundred_thousand_records_leave_no_more_than_one_a_topic_in_memory(case: Case) -> None:
    case.carrier.fill()
    for offset in range(1, 100_001):
        case.deliver(record(offset, f"job:{offset % 300}"))
    assert len(case.subscriber._pending) == 300
    assert not case.slow.is_set()
    await until_drained(case)
    assert len(case.told) == 301


async def test_too_many_topics_that_wait_are_too_many(case: Case) -> None:
    case.carrier.fill()
    for offset in range(1, MAX_PENDING_TOPICS + 3):
        case.deliver(record(offset, f"job:{offset}"))
    assert case.slow.is_set()
    assert case.subscriber._pending == {}


async def test_answers_that_nobody_reads_are_not_kept_without_end(case: Case) -> None:
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
    await asyncio.wait_for(case.slow.wait(), 20)


async def test_a_connection_that_is_not_behind_has_no_timer(case: Case) -> None:
    case.deliver(record(1))
    case.carrier.fill()
    case.deliver(record(2))
    await until_drained(case)
    assert case.subscriber._slow_timer is None


async def test_after_the_peer_is_gone_nothing_is_sent_and_nothing_kept(case: Case) -> None:
    async def gone(frame: frames.Frame) -> None:
        raise ConnectionResetError(frame.kind)

    case.carrier.send = gone  # type: ignore[method-assign]
    case.deliver(record(1))
    case.deliver(record(2))
    assert not case.subscriber.busy
    assert case.subscriber._pending == {}


async def test_closing_ends_the_task_that_waits(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    case.subscriber.close()
    await case.subscriber.drained()
    assert case.told == []


async def test_one_answer_fits_however_long_it_is(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    case.subscriber.queue(frames.subscribed(1, place(1), [record(1).body] * (MAX_QUEUED_BYTES // 80)))
    assert not case.slow.is_set()
    case.subscriber.queue(frames.subscribed(2, place(1), [record(1).body]))
    assert case.slow.is_set()


async def test_what_waits_of_topics_that_are_watched_no_more_is_not_sent(case: Case) -> None:
    case.carrier.fill()
    case.deliver(record(1))
    case.deliver(record(2, "job:a"), record(3, "video:b"))
    case.subscriber.narrow(TopicFilter.of(["video:*"]))
    await until_drained(case)
    assert case.told == [("job:a", 1), ("video:b", 3)]


class TestOnAServerWhoseSendNeverWaits:
    """There, what was sent since the last answered ping is what may stand in the buffer."""

    BIG = "x" * 30_000

    @pytest.fixture
    async def case(self) -> Case:
        return Case(waits_for_client=False)

    def deliver_big(self, case: Case, offset: int) -> None:
        big = record(offset)
        body = big.body[:-1] + b',"data":"%s"}' % self.BIG.encode()
        case.deliver(Record(offset, big.topic, big.attempt, big.status, body))

    async def test_after_64_kib_a_ping_goes_out_and_records_wait_for_its_pong(self, case: Case) -> None:
        for offset in range(1, 8):
            self.deliver_big(case, offset)
        assert case.carrier.kinds == ["records", "records", "records", "ping"]
        assert case.subscriber.busy
        case.subscriber.answered()
        assert [offset for _topic, offset in case.told] == [1, 2, 3, 7]
        assert not case.subscriber.busy

    async def test_a_pong_tells_only_of_what_was_sent_before_its_ping(self, case: Case) -> None:
        case.subscriber.queue(frames.ping(case.subscriber.place))
        for offset in range(1, 5):
            self.deliver_big(case, offset)
        case.subscriber.answered()  # of the first ping, after which all was sent
        assert case.subscriber.busy
        case.subscriber.answered()
        assert not case.subscriber.busy

    async def test_pongs_that_nobody_asked_for_tell_nothing(self, case: Case) -> None:
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
        await asyncio.wait_for(case.slow.wait(), 20)

    async def test_one_whose_send_waits_once_is_asked_for_its_pong_all_the_same(self, case: Case) -> None:
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
