"""Tests of a worker's polls: an error in one poll loses no slot and no message, and does not end the polling."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from secrets import token_hex
from typing import Any
from uuid import UUID

import pytest
from redis import Redis
from structlog.testing import capture_logs

from academy.adapters.queue.sqs import Delivery, QueueUnavailableError, SqsJobQueue
from academy.domain.jobs import ClaimedJob
from apps.worker import loop
from apps.worker.fleet import FleetSlots
from apps.worker.handlers import JobProgress
from apps.worker.loop import Worker
from tests.worker.conftest import PATIENCE_SECONDS, QUICK, Bench

SLOTS = 5


class Polling:
    """A worker whose polls run in the test's own thread, until the test or a handler asks it to stop."""

    def __init__(self, bench: Bench, redis: Redis) -> None:
        self.redis, self.key = redis, f"slots-{token_hex(6)}"
        self.fleet = FleetSlots(redis, self.key, SLOTS, 600.0)
        self.worker: Worker[UUID, ClaimedJob] = Worker(bench.queue, bench.store, bench.handlers, self.fleet, 1, QUICK)
        self.pool = ThreadPoolExecutor(1)

    def poll(self) -> list[str]:
        """Poll until the worker is asked to stop. Wait for its job, and return the events that were logged."""
        with capture_logs() as logs:
            self.worker._poll_until_asked(self.pool)
            self.pool.shutdown()
        return [line["event"] for line in logs]

    def stop(self) -> None:
        self.worker._stopping.ask()

    @property
    def taken(self) -> int:
        """The number of the fleet's slots that are taken."""
        return int(self.redis.zcard(self.key))


@pytest.fixture
def polling(bench: Bench, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Polling]:
    monkeypatch.setattr(loop, "RETRY_SECONDS", 0.0)
    made = Polling(bench, redis)
    yield made
    made.pool.shutdown()


@pytest.fixture
def stops_at_its_job(bench: Bench, polling: Polling) -> UUID:
    """Submit a job that asks the worker to stop, and return its id."""

    def do(_job: ClaimedJob, _progress: JobProgress) -> dict[str, Any]:
        polling.stop()
        return {}

    bench.knows(do)
    return bench.submit()


def test_a_worker_that_starts_before_its_queue_exists_begins_when_the_queue_exists(
    bench: Bench, polling: Polling, stops_at_its_job: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth, provisioned = bench.queue.depth, bench.queue.name
    bench.queue.name = f"{provisioned}-later"

    def then_provisioned() -> int:
        try:
            return depth()
        finally:
            bench.queue.name = provisioned

    monkeypatch.setattr(bench.queue, "depth", then_provisioned)
    events = polling.poll()
    assert events[0] == "queue_unavailable"
    assert bench.state(stops_at_its_job) == ("DONE", 1)


@pytest.mark.parametrize(
    ("problem", "event"), [(QueueUnavailableError("away"), "queue_unavailable"), (ZeroDivisionError(), "poll_failed")]
)
def test_after_a_poll_that_failed_the_slot_is_free_and_the_next_poll_finds_the_job(
    bench: Bench,
    polling: Polling,
    stops_at_its_job: UUID,
    problem: Exception,
    event: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive = bench.queue.receive
    taken: list[int] = []

    def fails_twice(most: int, seconds: int) -> list[Delivery]:
        taken.append(polling.taken)
        if len(taken) <= 2:
            raise problem
        return receive(most, seconds)

    monkeypatch.setattr(bench.queue, "receive", fails_twice)
    events = polling.poll()
    assert [each for each in events if each in {"queue_unavailable", "poll_failed"}] == [event] * 2
    assert set(taken) == {1}
    assert polling.taken == 0
    assert bench.state(stops_at_its_job) == ("DONE", 1)


def test_a_message_that_arrives_while_the_worker_stops_is_put_back_for_others(
    bench: Bench, polling: Polling, stops_at_its_job: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = bench.queue.receive

    def and_stop(most: int, _seconds: int) -> list[Delivery]:
        deliveries = receive(most, PATIENCE_SECONDS)
        polling.stop()
        return deliveries

    monkeypatch.setattr(bench.queue, "receive", and_stop)
    polling.poll()
    assert bench.state(stops_at_its_job) == ("PENDING", 1)
    assert polling.taken == 0
    monkeypatch.setattr(bench.queue, "receive", receive)
    assert bench.receive().receives == 1, "At once, and not as a failed attempt."


def no_messages(polling: Polling) -> Callable[[int, int], list[Delivery]]:
    def receive(_most: int, _seconds: int) -> list[Delivery]:
        polling.stop()
        return []

    return receive


def test_a_poll_without_a_message_gives_its_slot_back(
    bench: Bench, polling: Polling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.queue, "receive", no_messages(polling))
    polling.poll()
    assert polling.taken == 0


def test_a_busy_worker_and_a_full_fleet_receive_nothing(
    bench: Bench, polling: Polling, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqsJobQueue, "receive", None)  # a call fails
    others = FleetSlots(redis, polling.key, SLOTS, 600.0)
    tokens = [others.take() for _ in range(SLOTS)]
    assert not polling.worker._poll_once(polling.pool)
    others.give_all()
    assert len(set(tokens)) == SLOTS
    polling.worker._futures = {Future()}
    assert not polling.worker._poll_once(polling.pool)
    assert polling.taken == 0
