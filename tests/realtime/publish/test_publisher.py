"""Tests of the publish script with a real Redis: what it accepts, rejects and stores."""

import math
import time
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

import orjson
import pytest
from redis import Redis

from realtime.publish import Publisher, Step
from realtime.records.errors import BadRecordError, BadTopicError
from realtime.records.keys import Keys
from realtime.records.record import draft_record
from realtime.records.scripts import Limits
from realtime.records.transitions import Verdict
from tests.realtime.twins import PATIENT

TOPIC = "job:a1"


@pytest.fixture
def publisher(redis: Redis) -> Iterator[Publisher]:
    """Yield a publisher that waits for each answer, even on a busy machine."""
    with Publisher(redis, pace=PATIENT) as made:
        yield made


def test_an_accepted_publish_takes_exactly_the_next_offset(publisher: Publisher, tenant_id: int) -> None:
    first = publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PENDING")
    second = publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING")
    assert (first.verdict, first.offset) == (Verdict.ACCEPTED, 1)
    assert (second.verdict, second.offset) == (Verdict.ACCEPTED, 2)
    assert first.epoch == second.epoch


def test_late_progress_of_a_dead_worker_is_rejected(publisher: Publisher, tenant_id: int) -> None:
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=2, status="PROCESSING")
    late = publisher.progress(tenant_id=tenant_id, topic=TOPIC, attempt=1, percent=99)
    assert late is not None
    assert (late.verdict, late.offset) == (Verdict.STALE_ATTEMPT, 1)
    record = publisher.record(tenant_id, TOPIC)
    assert record is not None
    assert record.attempt == 2


def test_a_repeated_terminal_status_is_a_duplicate_and_another_one_is_rejected(
    publisher: Publisher, tenant_id: int
) -> None:
    said = [
        publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status=status).verdict
        for status in ("DONE", "DONE", "FAILED", "PROCESSING")
    ]
    assert said == [Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.ALREADY_TERMINAL, Verdict.ALREADY_TERMINAL]


def test_a_status_never_goes_back_within_an_attempt(publisher: Publisher, tenant_id: int) -> None:
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING")
    back = publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PENDING")
    assert back.verdict is Verdict.STATUS_REGRESSION


def test_a_status_without_progress_keeps_only_progress_of_its_attempt(publisher: Publisher, tenant_id: int) -> None:
    step = Step(1, 2, "parse", 50.0)
    publisher.progress(tenant_id=tenant_id, topic=TOPIC, attempt=1, percent=25, step=step, remaining_seconds=9)
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING")
    kept = publisher.record(tenant_id, TOPIC)
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=2, status="PROCESSING")
    begun_anew = publisher.record(tenant_id, TOPIC)
    assert kept is not None
    assert begun_anew is not None
    assert orjson.loads(kept.body)["progress"] == {
        "percent": 25,
        "step": {"index": 1, "total": 2, "name": "parse", "percent": 50.0},
        "remaining_seconds": 9,
    }
    assert orjson.loads(begun_anew.body)["progress"] is None


@pytest.mark.parametrize("stalled", [False, True])
def test_a_late_status_keeps_newer_progress(publisher: Publisher, tenant_id: int, stalled: bool) -> None:
    publisher.progress(tenant_id=tenant_id, topic=TOPIC, attempt=1, percent=25, data={"rows_done": 200})
    told = fields_of(publisher, tenant_id)
    late = draft_record(
        topic=TOPIC,
        attempt=1,
        status="PROCESSING",
        published_at=time.time() - 5,
        data={"said": "before"},
        stalled=stalled,
    )
    assert publisher.publish(tenant_id, late).verdict is Verdict.ACCEPTED
    assert fields_of(publisher, tenant_id) == told | {"offset": 2, "stalled": stalled}


def test_a_status_after_progress_replaces_the_data(publisher: Publisher, tenant_id: int) -> None:
    publisher.progress(tenant_id=tenant_id, topic=TOPIC, attempt=1, percent=25, data={"rows_done": 200})
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING", data={"said": "after"})
    said = fields_of(publisher, tenant_id)
    assert (said["data"], said["progress"]["percent"]) == ({"said": "after"}, 25)


def fields_of(publisher: Publisher, tenant_id: int) -> dict[str, Any]:
    record = publisher.record(tenant_id, TOPIC)
    assert record is not None
    found: dict[str, Any] = orjson.loads(record.body)
    return found


def test_a_record_has_the_fields_of_the_contract(publisher: Publisher, tenant_id: int) -> None:
    publisher.status(
        tenant_id=tenant_id,
        topic=TOPIC,
        attempt=1,
        status="FAILED",
        data={"job_type": "x", "list": [], "big": 2**53 - 1},
        error={"code": "empty", "message": "아무도 없음"},
    )
    record = publisher.record(tenant_id, TOPIC)
    assert record is not None
    fields = orjson.loads(record.body)
    assert isinstance(fields.pop("published_at"), float)
    assert fields == {
        "offset": 1,
        "topic": TOPIC,
        "attempt": 1,
        "status": "FAILED",
        "progress": None,
        "data": {"job_type": "x", "list": [], "big": 2**53 - 1},
        "error": {"code": "empty", "message": "아무도 없음"},
        "stalled": False,
    }


def test_keys_expire_as_the_contract_says(redis: Redis, publisher: Publisher, tenant_id: int) -> None:
    publisher.progress(tenant_id=tenant_id, topic=TOPIC, attempt=1, percent=1)
    unfinished = [redis.ttl(f"tenant:{tenant_id}:{TOPIC}:{part}") for part in ("status", "progress")]
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="DONE")
    assert all(6 * 3600 - 60 < seconds <= 6 * 3600 for seconds in unfinished)
    assert redis.ttl(f"tenant:{tenant_id}:{TOPIC}:status") == -1
    assert not redis.exists(f"tenant:{tenant_id}:{TOPIC}:progress")
    for name in ("feed", "feed:index", "feed:terminal", "feed:fence"):
        assert redis.ttl(f"tenant:{tenant_id}:{name}") == -1


def test_the_message_has_the_place_and_the_stored_record(redis: Redis, publisher: Publisher, tenant_id: int) -> None:
    channel = redis.pubsub()  # type: ignore[no-untyped-call]
    channel.subscribe(f"tenant:{tenant_id}:feed")
    assert channel.get_message(timeout=60)["type"] == "subscribe"
    said = publisher.progress(tenant_id=tenant_id, topic=TOPIC, attempt=1, percent=40)
    message = channel.get_message(timeout=60)
    channel.close()
    record = publisher.record(tenant_id, TOPIC)
    assert said is not None
    assert record is not None
    assert message["data"] == f"{said.epoch}.1 ".encode() + record.body


def test_the_index_is_bounded_and_topics_that_leave_it_raise_the_floor(redis: Redis, tenant_id: int) -> None:
    small = Publisher(redis, limits=Limits(recent_terminal=2, recent_unfinished=3))
    for number in range(5):
        small.status(tenant_id=tenant_id, topic=f"job:done{number}", attempt=1, status="DONE")
    for number in range(5):
        small.status(tenant_id=tenant_id, topic=f"job:open{number}", attempt=1, status="PENDING")
    shown = [topic.decode() for topic in cast("list[bytes]", redis.zrange(f"tenant:{tenant_id}:feed:index", 0, -1))]
    assert shown == ["job:done3", "job:done4", "job:open2", "job:open3", "job:open4"]
    assert redis.hget(f"tenant:{tenant_id}:feed", "floor") == b"7"
    assert sorted(redis.hkeys(f"tenant:{tenant_id}:feed:fence")) == sorted(topic.encode() for topic in shown)
    assert small.record(tenant_id, "job:done0") is not None


def test_a_topic_that_left_the_index_is_still_protected_by_its_own_record(redis: Redis, tenant_id: int) -> None:
    small = Publisher(redis, limits=Limits(recent_terminal=1))
    small.status(tenant_id=tenant_id, topic="job:old", attempt=3, status="DONE")
    small.status(tenant_id=tenant_id, topic="job:new", attempt=1, status="DONE")
    late = small.status(tenant_id=tenant_id, topic="job:old", attempt=2, status="FAILED")
    again = small.status(tenant_id=tenant_id, topic="job:old", attempt=3, status="DONE")
    assert (late.verdict, again.verdict) == (Verdict.STALE_ATTEMPT, Verdict.DUPLICATE)


def test_restoring_publishes_nothing_and_overwrites_nothing(redis: Redis, publisher: Publisher, tenant_id: int) -> None:
    from realtime.records.record import draft_record  # noqa: PLC0415 - used only here

    draft = draft_record(topic=TOPIC, attempt=1, status="DONE", published_at=1.0, data={"result": {}})
    assert publisher.restore(tenant_id, draft)
    assert not publisher.restore(tenant_id, draft)
    assert not redis.exists(f"tenant:{tenant_id}:feed", f"tenant:{tenant_id}:feed:index")
    record = publisher.record(tenant_id, TOPIC)
    assert record is not None
    assert record.offset == 0
    assert publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING").verdict is (
        Verdict.ALREADY_TERMINAL
    )


def test_only_the_current_attempt_holds_a_lease(publisher: Publisher, tenant_id: int) -> None:
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=2, status="PROCESSING")
    assert 25 < publisher.lease_seconds_left(tenant_id=tenant_id, topic=TOPIC) <= 30
    assert publisher.renew_lease(tenant_id=tenant_id, topic=TOPIC, attempt=2)
    assert not publisher.renew_lease(tenant_id=tenant_id, topic=TOPIC, attempt=1)
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=2, status="DONE")
    assert publisher.lease_seconds_left(tenant_id=tenant_id, topic=TOPIC) == 0
    assert not publisher.renew_lease(tenant_id=tenant_id, topic=TOPIC, attempt=2)


def test_many_leases_are_read_in_one_call(publisher: Publisher, tenant_id: int) -> None:
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING")
    nothing, held = publisher.leases_seconds_left([(tenant_id, "job:other"), (tenant_id, TOPIC)])
    assert nothing == 0
    assert 25 < held <= 30


def test_installations_with_different_prefixes_are_separate(redis: Redis, tenant_id: int) -> None:
    one, other = Publisher(redis, key_prefix="a:"), Publisher(redis, key_prefix="b:")
    one.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="DONE")
    assert other.record(tenant_id, TOPIC) is None
    assert {key.partition(b":")[0] for key in cast("list[bytes]", redis.keys("*"))} == {b"a"}


def test_the_keys_of_a_publish_are_those_that_others_read() -> None:
    keys = Keys("a:")
    named = [keys.status(7, TOPIC), keys.progress(7, TOPIC)]
    of_feed = [name(7) for name in (keys.feed, keys.index, keys.terminal, keys.fence, keys.leases)]
    assert keys.of_publish(7, TOPIC) == [*named, *of_feed]
    with pytest.raises(BadTopicError):
        keys.of_publish(7, "no topic")


@pytest.mark.parametrize("topic", ["", "job", "job:", "JOB:1", "job:a b", "job:*", "job:1\n", "job:ä", "x" * 17 + ":1"])
def test_an_invalid_topic_is_refused(publisher: Publisher, tenant_id: int, topic: str) -> None:
    with pytest.raises(BadTopicError, match="is no topic"):
        publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status="DONE")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"status": "READYY"}, "is no status"),
        ({"attempt": 0}, "attempt of job:a1 is 0"),
        ({"data": {"text": "x" * 70_000}}, "65536 are the most"),
        ({"data": {"when": object()}}, "cannot be written as JSON"),
        ({"data": {"rows": 2**64}}, "cannot be written as JSON"),
        ({"data": ["a", "list"]}, "has to be a mapping"),
        ({"error": "It failed."}, "has to be a mapping"),
        ({"attempt": "1"}, "has to be a whole number"),
        ({"attempt": 1.5}, "has to be a whole number"),
        ({"attempt": None}, "has to be a whole number"),
        ({"attempt": True}, "has to be a whole number"),
        ({"attempt": 2**53}, "has to be a whole number"),
        ({"attempt": 10**5000}, "has to be a whole number"),
        ({"status": ["DONE"]}, "is no status"),
    ],
)
def test_an_invalid_record_is_refused_with_one_sentence(
    redis: Redis, publisher: Publisher, tenant_id: int, fields: dict[str, Any], sentence: str
) -> None:
    record: dict[str, Any] = {"tenant_id": tenant_id, "topic": TOPIC, "attempt": 1, "status": "DONE", **fields}
    with pytest.raises(BadRecordError, match=sentence):
        publisher.status(**record)
    assert not redis.exists(f"tenant:{tenant_id}:feed")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"percent": "50"}, "percent of job:a1 is '50'"),
        ({"percent": None}, "percent"),
        ({"percent": math.nan}, "percent"),
        ({"percent": 10**400}, "percent"),
        ({"percent": Decimal("sNaN")}, "percent"),
        ({"percent": 1.0, "remaining_seconds": "3"}, "remaining time"),
        ({"percent": 1.0, "remaining_seconds": 10**400}, "remaining time"),
        ({"percent": 1.0, "step": Step("1", 2, "read")}, "step"),  # type: ignore[arg-type]
        ({"percent": 1.0, "step": Step(1, 2.5, "read")}, "number of steps"),  # type: ignore[arg-type]
        ({"percent": 1.0, "step": Step(1, 2, "read", 101)}, "percent of the step"),
        ({"percent": 1.0, "data": {1: {}}, "topic": 7}, "is no topic"),
    ],
)
def test_invalid_progress_is_refused_with_one_sentence(
    publisher: Publisher, tenant_id: int, given: dict[str, Any], sentence: str
) -> None:
    record: dict[str, Any] = {"tenant_id": tenant_id, "topic": TOPIC, "attempt": 1, **given}
    with pytest.raises((BadRecordError, BadTopicError), match=sentence):
        publisher.progress(**record)


def test_progress_accepts_numbers_of_any_class_and_an_unknown_remaining_time(
    publisher: Publisher, tenant_id: int
) -> None:
    publisher.progress(
        tenant_id=tenant_id,
        topic=TOPIC,
        attempt=1,
        percent=cast("float", Decimal("12.5")),
        remaining_seconds=math.inf,
        step=Step(1, 2, "read", cast("float", Fraction(1, 2))),
    )
    record = publisher.record(tenant_id, TOPIC)
    assert record is not None
    assert orjson.loads(record.body)["progress"] == {
        "percent": 12.5,
        "step": {"index": 1, "total": 2, "name": "read", "percent": 0.5},
        "remaining_seconds": None,
    }


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -1.0, "1.0", None, 1.8e12])
def test_a_record_has_a_time_that_orders_ended_topics(at: float) -> None:
    with pytest.raises(BadRecordError, match="Unix seconds"):
        draft_record(topic=TOPIC, attempt=1, status="DONE", published_at=at)


# Clocks that are wrong.

HOUR, DAY = 3600.0, 86_400.0


def ended(publisher: Publisher, tenant_id: int, topic: str, at: float) -> None:
    publisher.publish(tenant_id, draft_record(topic=topic, attempt=1, status="DONE", published_at=at))


def shown_to_a_new_client(redis: Redis, tenant_id: int) -> set[str]:
    return {member.decode() for member in cast("list[bytes]", redis.zrange(f"tenant:{tenant_id}:feed:index", 0, -1))}


def test_a_worker_whose_clock_is_ahead_does_not_push_later_ends_out_of_the_index(redis: Redis, tenant_id: int) -> None:
    publisher = Publisher(redis, limits=Limits(recent_terminal=10))
    for number in range(10):
        ended(publisher, tenant_id, f"job:ahead{number}", time.time() + HOUR)
    for number in range(5):
        ended(publisher, tenant_id, f"job:right{number}", time.time())
    shown = shown_to_a_new_client(redis, tenant_id)
    assert shown == {f"job:ahead{number}" for number in range(5, 10)} | {f"job:right{number}" for number in range(5)}


def test_the_published_time_is_never_in_the_future(redis: Redis, tenant_id: int) -> None:
    publisher = Publisher(redis)
    ended(publisher, tenant_id, TOPIC, time.time() + HOUR)
    ended(publisher, tenant_id, "job:old", 5.0)
    assert publisher.record(tenant_id, TOPIC).published_at <= time.time()  # type: ignore[union-attr]
    assert publisher.record(tenant_id, "job:old").published_at == 5.0  # type: ignore[union-attr]


def test_a_clock_of_redis_that_is_a_day_ahead_removes_no_topic_that_has_just_ended(
    redis: Redis, tenant_id: int
) -> None:
    """By the workers' clocks, the topics ended an hour ago. By the clock of Redis, they ended 25 hours ago.

    They leave the index only when a worker publishes a record whose time is more than 24 hours after theirs.
    """
    publisher = Publisher(redis)
    then = time.time() - DAY - HOUR
    for number in range(5):
        ended(publisher, tenant_id, f"job:{number}", then + number)
    assert len(shown_to_a_new_client(redis, tenant_id)) == 5
    ended(publisher, tenant_id, "job:today", time.time())
    assert shown_to_a_new_client(redis, tenant_id) == {"job:today"}
