"""Tests of the heartbeat of running jobs, and of giving them back, while Redis, the queue or the database fails."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from academy.adapters.queue.sqs import Delivery, QueueUnavailableError
from academy.domain.jobs import ClaimedJob, ClaimRefusal
from apps.worker.running import Running, RunningJobs
from realtime.publish import Publisher
from tests.worker.conftest import QUICK, Bench

AT_ONCE = replace(QUICK, heartbeat_seconds=0.0)


def claimed(bench: Bench) -> Running[ClaimedJob]:
    """Submit a job. Claim it as a worker does before it runs a job."""
    job_id = bench.submit()
    job = bench.store.claim(bench.tenant.pk, job_id, lease_alive=False)
    assert not isinstance(job, ClaimRefusal)
    return Running(bench.receive(), job)


def failing_for_the_first(call: Callable[..., Any], problem: Exception, called: list[object]) -> Callable[..., Any]:
    """Return a function that raises `problem` the first time, and then does what `call` does."""

    def fails_first(*arguments: Any, **named: Any) -> Any:
        called.append(arguments)
        if len(called) == 1:
            raise problem
        return call(*arguments, **named)

    return fails_first


@pytest.mark.parametrize("problem", [RedisConnectionError("away"), ZeroDivisionError("a defect")])
def test_a_lease_that_cannot_be_renewed_keeps_no_other_from_being_renewed(
    bench: Bench, problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, two = RunningJobs(bench.queue, bench.store, AT_ONCE), [claimed(bench) for _ in range(2)]
    for running in two:
        jobs.add(running)
    called: list[object] = []
    monkeypatch.setattr(Publisher, "renew_lease", failing_for_the_first(Publisher.renew_lease, problem, called))
    with capture_logs() as logs:
        jobs.renew_leases(jobs.stop)  # one heartbeat
    assert [(line["event"], line["job"]) for line in logs] == [("lease_not_renewed", two[0].job.topic)]
    assert len(called) == 2


@pytest.mark.parametrize("problem", [QueueUnavailableError("away"), ZeroDivisionError("a defect")])
def test_a_message_whose_visibility_cannot_be_renewed_keeps_no_other_from_being_renewed(
    bench: Bench, problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, two = RunningJobs(bench.queue, bench.store, AT_ONCE), [claimed(bench) for _ in range(2)]
    for running in two:
        jobs.add(running)
    hidden: list[Delivery] = []

    def hide(delivery: Delivery, _seconds: float) -> None:
        hidden.append(delivery)
        if len(hidden) == 1:
            raise problem
        jobs.stop()

    monkeypatch.setattr(bench.queue, "hide", hide)
    with capture_logs() as logs:
        jobs.renew_visibility()
    assert [(line["event"], line["job"]) for line in logs] == [("visibility_not_renewed", two[0].job.topic)]
    assert hidden == [running.delivery for running in two]


def test_the_heartbeat_continues_if_what_follows_it_fails(bench: Bench) -> None:
    jobs = RunningJobs(bench.queue, bench.store, AT_ONCE)
    called: list[object] = []
    with capture_logs() as logs:
        jobs.renew_leases(failing_for_the_first(jobs.stop, ZeroDivisionError("a defect"), called))
    assert ([line["event"] for line in logs], len(called)) == (["heartbeat_failed"], 2)


def test_a_job_that_another_worker_has_taken_over_is_not_given_back(bench: Bench) -> None:
    running = claimed(bench)
    bench.running.add(running)
    assert not isinstance(bench.store.claim(bench.tenant.pk, running.job.job_id, lease_alive=False), ClaimRefusal)
    with capture_logs() as logs:
        bench.running.give_back(running)
    assert [line["event"] for line in logs] == ["job_not_given_back"]
    assert bench.state(running.job.job_id) == ("PROCESSING", 2)
    assert bench.waiting() == 1, "The message is not sent a second time."


@pytest.mark.parametrize("fails", ["the database", "the queue"])
def test_a_job_that_cannot_be_given_back_keeps_no_other_from_being_given_back(
    bench: Bench, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    two, called = [claimed(bench) for _ in range(2)], list[object]()
    for running in two:
        bench.running.add(running)
    what, name, problem = {
        "the database": (bench.store, "give_back", OperationalError("away")),
        "the queue": (bench.queue, "put_back", QueueUnavailableError("away")),
    }[fails]
    monkeypatch.setattr(what, name, failing_for_the_first(getattr(what, name), problem, called))
    with capture_logs() as logs:
        bench.running.give_back_all()
    events = [line["event"] for line in logs if line["event"].startswith("job_")]
    assert events == ["job_not_given_back", "job_given_back"]
    assert bench.state(two[1].job.job_id) == ("PENDING", 2)
    assert bench.receive().receives == 1
