"""Tests of jobs whose attempts fail, are overtaken by the next attempt, take long, or lose the database."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from psycopg import sql

from academy import jobs
from academy.adapters.queue.sqs import Delivery, QueueUnavailableError
from academy.domain.jobs import AttemptSupersededError, ClaimedJob, JobFailedError
from apps.domains.ai.models import AIJob, AIJobResult
from apps.worker.handlers import Handler, JobProgress
from apps.worker.running import RunningJobs
from embedded.group import Servers
from realtime import conf
from realtime.publish import Publisher
from tests.worker.conftest import LEASE_SECONDS, PATIENCE_SECONDS, QUICK, Bench


def test_a_job_that_raises_each_time_is_given_up_after_the_third_receive(bench: Bench) -> None:
    attempts: list[int] = []

    def do(job: ClaimedJob, _progress: JobProgress) -> dict[str, Any]:
        attempts.append(job.attempt)
        raise RuntimeError("the disk is full")

    bench.knows(do)
    job_id = bench.submit()
    for attempt in (1, 2):
        bench.handle_next()
        assert bench.state(job_id) == ("PENDING", attempt + 1)
        assert bench.record(job_id)["status"] == "PENDING"
    last = bench.handle_next()
    error = bench.job(job_id).error
    assert (attempts, last.receives, bench.state(job_id)) == ([1, 2, 3], 3, ("FAILED", 3))
    assert error is not None
    assert error["code"] == bench.record(job_id)["error"]["code"] == "dead_letter"
    assert "disk" not in error["message"]  # details are in the log only
    ((body, reason),) = bench.dead()
    assert (body, reason) == (last.body, "It could not be done, although it was tried several times.")
    assert bench.waiting() == 0


def test_a_job_that_cannot_be_done_fails_at_once(bench: Bench) -> None:
    def do(_job: ClaimedJob, _progress: JobProgress) -> dict[str, Any]:
        raise JobFailedError("damaged", "The file is damaged.")

    bench.knows(do)
    job_id = bench.submit(password_hash="secret")
    bench.handle_next()
    job = bench.job(job_id)
    assert bench.state(job_id) == ("FAILED", 1)
    assert job.error == bench.record(job_id)["error"] == {"code": "damaged", "message": "The file is damaged."}
    assert job.payload == {"secrets_erased": True}
    assert (bench.waiting(), bench.dead()) == (0, [])


def test_an_overtaken_attempt_can_neither_save_nor_publish(bench: Bench) -> None:
    """Another worker takes over the job while the first worker still works on it."""

    def do(job: ClaimedJob, progress: JobProgress) -> dict[str, Any]:
        AIJob.objects.filter(job_id=job.job_id).update(attempt=2)
        conf.publisher().status(tenant_id=job.tenant_id, topic=job.topic, attempt=2, status="PROCESSING")
        before = bench.record(job.job_id)
        progress.report("step", 50)
        assert bench.record(job.job_id) == before
        with pytest.raises(AttemptSupersededError):
            jobs.fail(job, "code", "message")
        with pytest.raises(AttemptSupersededError):
            jobs.give_back(job)
        return {"mine": True}

    bench.knows(do)
    job_id = bench.submit()
    bench.handle_next()
    assert bench.state(job_id) == ("PROCESSING", 2)
    assert (bench.record(job_id)["status"], bench.record(job_id)["attempt"]) == ("PROCESSING", 2)
    assert AIJobResult.objects.count() == 0
    assert bench.waiting() == 1  # the other attempt may need the message


def test_an_error_in_an_overtaken_attempt_does_not_fail_the_next_one(bench: Bench) -> None:
    def do(job: ClaimedJob, _progress: JobProgress) -> dict[str, Any]:
        AIJob.objects.filter(job_id=job.job_id).update(attempt=2)
        raise RuntimeError

    bench.knows(do)
    job_id = bench.submit()
    bench.handle_next()
    assert bench.state(job_id) == ("PROCESSING", 2)
    assert bench.dead() == []


@contextmanager
def heartbeats(running: RunningJobs[ClaimedJob]) -> Iterator[None]:
    threads = [threading.Thread(target=beat) for beat in (running.renew_leases, running.renew_visibility)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        running.stop()
        for thread in threads:
            thread.join()


def test_lease_and_visibility_of_a_long_job_are_renewed(bench: Bench) -> None:
    seen_by_another: list[Delivery] = []
    leases: list[float] = []

    def do(job: ClaimedJob, _progress: JobProgress) -> dict[str, Any]:
        seen_by_another.extend(bench.queue.receive(1, wait_seconds=QUICK.visibility_seconds + 1))
        leases.append(conf.publisher().lease_seconds_left(tenant_id=job.tenant_id, topic=job.topic))
        return {}

    bench.knows(do)
    job_id = bench.submit()
    with heartbeats(bench.running):
        bench.handle_next()
    assert seen_by_another == []
    assert 0 < leases[0] <= LEASE_SECONDS
    assert (bench.state(job_id), bench.waiting()) == (("DONE", 1), 0)


def test_leases_are_renewed_even_while_the_queue_hangs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    leases: list[float] = []
    renewals, released = threading.Semaphore(0), threading.Event()
    renew_lease = Publisher.renew_lease

    def counted(self: Publisher, **fields: Any) -> bool:
        renewals.release()
        return renew_lease(self, **fields)

    def hang(*_: object) -> None:
        released.wait(PATIENCE_SECONDS)

    def do(job: ClaimedJob, _progress: JobProgress) -> dict[str, Any]:
        for _ in range(20):  # twenty heartbeats take 4 s, longer than the lease
            assert renewals.acquire(timeout=PATIENCE_SECONDS)
        leases.append(conf.publisher().lease_seconds_left(tenant_id=job.tenant_id, topic=job.topic))
        released.set()
        return {}

    bench.knows(do)
    bench.submit()
    monkeypatch.setattr(bench.queue, "hide", hang)
    monkeypatch.setattr(Publisher, "renew_lease", counted)
    with heartbeats(bench.running):
        bench.handle_next()
    assert leases[0] > 0


def test_a_finished_job_is_tidied_up_even_if_its_message_cannot_be_deleted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workbook contains phone numbers, so it must be deleted even if the queue could not be reached for a moment."""
    tidied: list[object] = []

    def away(_delivery: object) -> None:
        raise QueueUnavailableError("away")

    bench.handlers["test"] = Handler(("step",), lambda _job, _progress: {}, lambda job: tidied.append(job.job_id))
    job_id = bench.submit()
    monkeypatch.setattr(bench.queue, "delete", away)
    with pytest.raises(QueueUnavailableError):
        bench.handle_next()
    assert tidied == [job_id]
    monkeypatch.undo()
    assert bench.state(job_id) == ("DONE", 1)


def test_a_job_is_done_even_if_tidying_up_fails(bench: Bench) -> None:
    def fall(_job: ClaimedJob) -> None:
        raise OSError

    bench.handlers["test"] = Handler(("step",), lambda _job, _progress: {}, fall)
    job_id = bench.submit()
    bench.handle_next()
    assert (bench.state(job_id), bench.waiting()) == (("DONE", 1), 0)


def cut_connections(servers: Servers, *, allow: bool) -> None:
    """End all connections to the tests' database. `allow`: whether new ones are allowed."""
    name = connection.settings_dict["NAME"]
    with psycopg.connect(servers.postgres.url, autocommit=True) as admin:
        words = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(name), sql.Literal(allow))
        admin.execute(words)
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


def test_a_connection_that_broke_under_a_job_costs_one_attempt_and_no_wait(bench: Bench, servers: Servers) -> None:
    def do(job: ClaimedJob, _progress: JobProgress) -> dict[str, Any]:
        if job.attempt == 1:
            cut_connections(servers, allow=True)
            AIJob.objects.count()  # raises
        return {}

    bench.knows(do)
    job_id = bench.submit()
    bench.handle_next()
    assert bench.state(job_id) == ("PENDING", 2)
    bench.handle_next()
    assert bench.state(job_id) == ("DONE", 2)


def test_a_database_that_is_away_while_a_job_ends_costs_one_attempt(bench: Bench, servers: Servers) -> None:
    def do(job: ClaimedJob, _progress: JobProgress) -> dict[str, Any]:
        if job.attempt == 1:
            cut_connections(servers, allow=False)
        return {}

    bench.knows(do)
    job_id = bench.submit()
    delivery = bench.receive()
    try:
        with pytest.raises(OperationalError):
            bench.deliveries.handle(delivery)
    finally:
        cut_connections(servers, allow=True)
        connection.close()
    assert bench.state(job_id) == ("PROCESSING", 1)
    while bench.state(job_id)[0] == "PROCESSING":  # the worker takes over the job when its lease has ended
        bench.handle_next()
    assert (bench.state(job_id), bench.waiting()) == (("DONE", 2), 0)


def test_a_database_that_is_away_for_long_never_counts_as_a_failed_try(bench: Bench, servers: Servers) -> None:
    bench.knows(lambda _job, _progress: {})
    job_id = bench.submit()
    delivery = bench.received_often(5)
    cut_connections(servers, allow=False)
    try:
        bench.deliveries.handle(delivery)
    finally:
        cut_connections(servers, allow=True)
        connection.close()
    again = bench.handle_next()
    assert (again.receives, bench.state(job_id), bench.waiting()) == (1, ("DONE", 1), 0)
