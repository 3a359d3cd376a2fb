"""Tests of publishing progress: which updates are sent, which wait, and how long a Redis that hangs may delay a call.

Each test runs with `Publisher` and with `AsyncPublisher`.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from redis import Redis
from redis.exceptions import RedisError

from embedded.redis import RedisServer
from embedded.scratch import scratch_folder
from realtime.publish.pacing import CIRCUIT_OPEN, UNREACHABLE, Pacer
from realtime.publish.publisher import Pace, Step
from realtime.records.record import draft_record
from realtime.records.transitions import Verdict
from tests.realtime.twins import NEVER_DUE, PATIENCE_SECONDS, PATIENT, MakeTwin, Twin, clock_of, pacer_of, twins

TOPIC = "job:a1"
NOBODY = "redis://127.0.0.1:1/0"
QUICK_PROBES = Pace(interval_seconds=0.0, overdue_seconds=0.2, first_probe_seconds=0.01, longest_probe_seconds=0.02)


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest, redis: Redis) -> Iterator[MakeTwin]:
    with twins(request.param, redis) as maker:
        yield maker


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """Yield a Redis that tests may stop."""
    with scratch_folder("own-redis") as folder:
        server = RedisServer(folder)
        server.start()
        server.wait_ready()
        try:
            yield server
        finally:
            if server.running and server.pid:
                os.kill(server.pid, signal.SIGCONT)
            server.kill()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list. Each publish that waits for Redis appends the seconds, or infinity if it gave up."""
    seen: list[float] = []
    waited = Pacer.waited

    def counted(self: Pacer, seconds: float) -> None:
        seen.append(seconds)
        waited(self, seconds)

    monkeypatch.setattr(Pacer, "waited", counted)
    return seen


def publish_progress(publisher: Twin, tenant_id: int, percent: float, **fields: Any) -> Any:
    return publisher.progress(**{"tenant_id": tenant_id, "topic": TOPIC, "attempt": 1, "percent": percent, **fields})


def offset(redis: Redis, tenant_id: int) -> int:
    """Return how many publishes were accepted."""
    return int(redis.hget(f"tenant:{tenant_id}:feed", "offset") or 0)


def percent_of(publisher: Twin, tenant_id: int) -> float:
    percent: float = orjson.loads(publisher.record(tenant_id, TOPIC).body)["progress"]["percent"]
    return percent


def until_answered(publisher: Twin, tenant_id: int) -> None:
    """Publish until Redis answers quickly, so that the publisher has its whole patience again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    quick = False
    while not quick:
        answer = publish_progress(publisher, tenant_id, 50, milestone=True)
        quick = answer is not None and pacer_of(publisher).patience_seconds > QUICK_PROBES.patience_seconds * 0.9
        assert time.monotonic() < deadline, "Redis runs, and answered no progress quickly."


def until_found_again(caplog: pytest.LogCaptureFixture) -> None:
    """Wait without publishing: the background task must find Redis again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "progress_circuit_closed" not in events(caplog):
        assert time.monotonic() < deadline, f"Redis runs again, and nobody noticed: {events(caplog)}"
        time.sleep(0.01)  # lets the background task work


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    named = [record.msg["event"] for record in caplog.records if isinstance(record.msg, dict)]
    return [name for name in named if name.startswith("progress_")]


def test_the_first_progress_is_sent_and_the_newest_waits(redis: Redis, make: MakeTwin, tenant_id: int) -> None:
    publisher = make(NEVER_DUE)
    answers = [publish_progress(publisher, tenant_id, percent) for percent in range(100)]
    assert [answer is not None for answer in answers] == [True] + 99 * [False]
    assert offset(redis, tenant_id) == 1
    publisher.close()
    assert (offset(redis, tenant_id), percent_of(publisher, tenant_id)) == (2, 99)
    assert publisher.dropped.total() == 0


def test_waiting_progress_is_sent_in_its_turn_without_another_call(
    redis: Redis, make: MakeTwin, tenant_id: int
) -> None:
    channel = redis.pubsub()  # type: ignore[no-untyped-call]
    channel.subscribe(f"tenant:{tenant_id}:feed")
    assert channel.get_message(timeout=PATIENCE_SECONDS)["type"] == "subscribe"
    publisher = make(replace(PATIENT, interval_seconds=0.3))
    clock = clock_of(publisher)
    for percent in range(10):
        publish_progress(publisher, tenant_id, percent)
    clock.now += 0.3
    said = [channel.get_message(timeout=PATIENCE_SECONDS)["data"] for _ in range(2)]
    channel.close()
    percents = [orjson.loads(data.partition(b" ")[2])["progress"]["percent"] for data in said]
    assert percents == [0, 9]


def test_a_new_step_and_a_milestone_are_sent_at_once(redis: Redis, make: MakeTwin, tenant_id: int) -> None:
    publisher = make(NEVER_DUE)
    for number in range(20):
        assert publish_progress(publisher, tenant_id, number, step=Step(number + 1, 20, f"step{number}")) is not None
    for number in range(20, 40):
        assert publish_progress(publisher, tenant_id, number, step=Step(20, 20, "step19"), milestone=True) is not None
    assert offset(redis, tenant_id) == 40
    assert percent_of(publisher, tenant_id) == 39


def test_each_topic_has_its_own_turn(redis: Redis, make: MakeTwin, tenant_id: int) -> None:
    publisher = make(NEVER_DUE)
    for topic in ("job:a", "job:b", "video:a"):
        assert publish_progress(publisher, tenant_id, 1, topic=topic) is not None
    assert publish_progress(publisher, tenant_id + 500_000, 1, topic="job:a") is not None
    assert offset(redis, tenant_id) == 3


@pytest.mark.parametrize(("attempt", "status"), [(1, "DONE"), (2, "PROCESSING"), (2, "PENDING")])
def test_a_status_discards_waiting_progress_that_would_go_back(
    redis: Redis, make: MakeTwin, tenant_id: int, attempt: int, status: str
) -> None:
    publisher = make(NEVER_DUE)
    publish_progress(publisher, tenant_id, 1)
    publish_progress(publisher, tenant_id, 2)
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=attempt, status=status)
    publisher.close()
    assert offset(redis, tenant_id) == 2
    assert publisher.record(tenant_id, TOPIC).status == status
    assert publisher.dropped.total() == 0


def test_a_status_from_the_outbox_discards_waiting_progress_too(redis: Redis, make: MakeTwin, tenant_id: int) -> None:
    publisher = make(NEVER_DUE)
    publish_progress(publisher, tenant_id, 1)
    publish_progress(publisher, tenant_id, 2)
    publisher.publish(tenant_id, draft_record(topic=TOPIC, attempt=1, status="DONE", published_at=1.0))
    assert pacer_of(publisher).next_at == float("inf")


def test_a_status_of_the_running_attempt_keeps_newer_waiting_progress(
    redis: Redis, make: MakeTwin, tenant_id: int
) -> None:
    publisher = make(NEVER_DUE)
    publish_progress(publisher, tenant_id, 1)
    publish_progress(publisher, tenant_id, 2)
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING")
    publisher.close()
    assert (offset(redis, tenant_id), percent_of(publisher, tenant_id)) == (3, 2)


def test_the_publisher_of_an_overtaken_attempt_learns_that(make: MakeTwin, tenant_id: int) -> None:
    publisher = make(NEVER_DUE)
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=2, status="PROCESSING")
    assert publish_progress(publisher, tenant_id, 99).verdict is Verdict.STALE_ATTEMPT


def test_a_closed_publisher_may_be_used_again(redis: Redis, make: MakeTwin, tenant_id: int) -> None:
    publisher = make(NEVER_DUE)
    for number in range(3):
        assert publish_progress(publisher, tenant_id, number) is not None
        publisher.close()
    assert offset(redis, tenant_id) == 3


def test_after_one_failure_calls_do_not_try_a_redis_that_is_down(
    make: MakeTwin, tenant_id: int, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    publisher = make(replace(PATIENT, first_probe_seconds=3600.0), url=NOBODY)
    assert [publish_progress(publisher, tenant_id, 1, milestone=True) for _ in range(1000)] == 1000 * [None]
    assert len(waits) == 1
    assert publisher.dropped.total() == 1000
    assert publisher.dropped[UNREACHABLE] == 1
    assert events(caplog) == ["progress_circuit_opened"]


@pytest.mark.parametrize("timeout_seconds", [0.3, None], ids=["with a time-out", "without"])
def test_a_redis_that_hangs_costs_one_wait_and_is_found_again_in_the_background(
    own_redis: RedisServer,
    make: MakeTwin,
    tenant_id: int,
    waits: list[float],
    caplog: pytest.LogCaptureFixture,
    timeout_seconds: float | None,
) -> None:
    publisher = make(QUICK_PROBES, url=own_redis.url, socket_timeout=timeout_seconds)
    until_answered(publisher, tenant_id)
    waits.clear()
    caplog.clear()
    assert own_redis.pid is not None
    os.kill(own_redis.pid, signal.SIGSTOP)
    before = publisher.dropped[CIRCUIT_OPEN]  # on a slow machine, the circuit may have opened before
    deadline = time.monotonic() + PATIENCE_SECONDS
    while publisher.dropped[CIRCUIT_OPEN] < before + 1000:
        assert publish_progress(publisher, tenant_id, 50, milestone=True) is None
        assert time.monotonic() < deadline, "Redis hangs, and the circuit did not open."
    assert waits == [float("inf")]  # one call gave up after patience_seconds, and no later call waited
    os.kill(own_redis.pid, signal.SIGCONT)
    until_found_again(caplog)
    assert events(caplog) == ["progress_circuit_opened", "progress_circuit_closed"]
    until_answered(publisher, tenant_id)


def test_a_restarted_redis_is_found_again_without_another_call(
    own_redis: RedisServer, make: MakeTwin, tenant_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = make(QUICK_PROBES, url=own_redis.url)
    own_redis.kill()
    assert publish_progress(publisher, tenant_id, 1) is None
    assert publish_progress(publisher, tenant_id, 2) is None
    own_redis.start()
    own_redis.wait_ready()
    until_found_again(caplog)
    (closed,) = [record.msg for record in caplog.records if "progress_circuit_closed" in str(record.msg)]
    assert isinstance(closed, dict)
    assert closed["dropped"] == 2


def test_closing_does_not_wait_for_a_redis_that_hangs(own_redis: RedisServer, make: MakeTwin, tenant_id: int) -> None:
    publisher = make(replace(NEVER_DUE, patience_seconds=0.1), url=own_redis.url, socket_timeout=None)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while publisher.record(tenant_id, TOPIC) is None:
        publish_progress(publisher, tenant_id, 1)
        assert time.monotonic() < deadline, "Redis runs, and took no progress."
    publish_progress(publisher, tenant_id, 2)
    assert own_redis.pid is not None
    os.kill(own_redis.pid, signal.SIGSTOP)
    closing = threading.Thread(target=publisher.close, daemon=True)
    closing.start()
    closing.join(PATIENCE_SECONDS)
    waits_still = closing.is_alive()
    os.kill(own_redis.pid, signal.SIGCONT)
    assert not waits_still, "close() waited for a Redis that hangs."


def test_statuses_are_not_delayed_and_raise_if_redis_cannot_be_reached(
    redis: Redis, make: MakeTwin, tenant_id: int
) -> None:
    publisher = make(NEVER_DUE)
    for _ in range(20):
        publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING")
    assert offset(redis, tenant_id) == 20
    away = make(Pace(first_probe_seconds=3600.0), url=NOBODY)
    assert publish_progress(away, tenant_id, 1) is None
    with pytest.raises(RedisError):
        away.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="DONE")


def test_many_records_are_published_in_order_and_in_few_round_trips(
    redis: Redis, make: MakeTwin, tenant_id: int
) -> None:
    publisher = make()
    redis.script_flush()
    redis.config_resetstat()
    records = [
        (
            tenant_id + 500_000 * (number % 2),
            draft_record(topic=f"job:{number}", attempt=1, status="DONE", published_at=1.0),
        )
        for number in range(450)
    ]
    answers = publisher.publish_many(iter([*records, records[0]]))
    assert [answer.verdict for answer in answers] == 450 * [Verdict.ACCEPTED] + [Verdict.DUPLICATE]
    assert [answer.offset for answer in answers[:450:2]] == list(range(1, 226))
    calls = {name: stats["calls"] for name, stats in redis.info("commandstats").items()}
    assert (calls["cmdstat_eval"], calls["cmdstat_evalsha"]) == (3, 448)
    assert "cmdstat_script|exists" not in calls
    assert publisher.publish_many([]) == []


def test_many_published_statuses_discard_waiting_progress_too(redis: Redis, make: MakeTwin, tenant_id: int) -> None:
    publisher = make(NEVER_DUE)
    publish_progress(publisher, tenant_id, 1)
    publish_progress(publisher, tenant_id, 2)
    done = draft_record(topic=TOPIC, attempt=1, status="DONE", published_at=1.0)
    publisher.publish_many([(tenant_id, done), (tenant_id, done)])
    assert pacer_of(publisher).next_at == float("inf")


def test_both_publishers_read_and_restore_single_records(make: MakeTwin, tenant_id: int) -> None:
    publisher = make()
    draft = draft_record(topic=TOPIC, attempt=1, status="DONE", published_at=1.0)
    assert publisher.record(tenant_id, TOPIC) is None
    publisher.publish(tenant_id, draft)
    assert publisher.record(tenant_id, TOPIC).status == "DONE"
    publish_progress(publisher, tenant_id, 1, topic="job:b")
    publisher.refresh(tenant_id, "job:b")
    before = time.monotonic()
    assert publisher.renew_lease(tenant_id=tenant_id, topic="job:b", attempt=1)
    left = publisher.lease_seconds_left(tenant_id=tenant_id, topic="job:b")
    passed = time.monotonic() - before
    assert 30 - passed - 0.1 <= left <= 30  # 0.1 s of tolerance: Redis has its own clock


def test_refreshing_a_topic_never_shortens_its_expiry(redis: Redis, make: MakeTwin, tenant_id: int) -> None:
    publisher = make()
    names = [f"tenant:{tenant_id}:{TOPIC}:{part}" for part in ("status", "progress")]
    assert not publisher.refresh(tenant_id, TOPIC), "nothing is known of it"
    publish_progress(publisher, tenant_id, 1)
    assert publisher.refresh(tenant_id, TOPIC, 60)
    assert all(redis.ttl(name) > 6 * 3600 - 60 for name in names)
    assert publisher.refresh(tenant_id, TOPIC, 8 * 3600)
    assert all(redis.ttl(name) > 8 * 3600 - 60 for name in names)
    publisher.publish(tenant_id, draft_record(topic=TOPIC, attempt=1, status="DONE", published_at=1.0))
    assert not publisher.refresh(tenant_id, TOPIC)
    assert redis.ttl(names[0]) == -1
