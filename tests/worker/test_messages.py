"""Tests that a message is handled, moved to the dead letters, deleted or put back."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from academy.domain.jobs import ClaimedJob
from apps.core.models import Tenant
from apps.worker.handlers import JobProgress
from realtime import conf
from tests.worker.conftest import Bench


@pytest.fixture
def done(bench: Bench) -> list[UUID]:
    """Return a list to which the handler of "test" adds the ids of its jobs."""
    given: list[UUID] = []

    def do(job: ClaimedJob, _progress: JobProgress) -> dict[str, Any]:
        given.append(job.job_id)
        return {"number": 1}

    bench.knows(do)
    return given


def test_a_job_is_done_and_published_and_its_message_is_deleted(bench: Bench, done: list[UUID]) -> None:
    job_id = bench.submit()
    bench.handle_next()
    assert done == [job_id]
    assert bench.state(job_id) == ("DONE", 1)
    assert bench.record(job_id)["data"]["result"] == {"number": 1}
    assert bench.waiting() == 0


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        "null",
        "[]",
        "7",
        "{}",
        '{"job_id": 7, "job_type": "test"}',
        '{"job_id": "x", "job_type": "test"}',
        '{"job_id": "\\u0001\\u0000", "job_type": "test"}',
        '{"job_id": "00000000-0000-4000-8000-000000000000"}',
        '{"job_id": "00000000-0000-4000-8000-000000000000", "job_type": ["test"]}',
        '{"job_id": "00000000-0000-4000-8000-000000000000", "job_type": "test", "tenant_id": "seven"}',
        '{"job_id": "00000000-0000-4000-8000-000000000000", "job_type": "test", "tenant_id": 1e400}',
        '{"job_id": "00000000-0000-4000-8000-000000000000", "job_type": "test", "tenant_id": {}}',
        '{"job_id": "00000000-0000-4000-8000-000000000000", "job_type": "test"}',
        "[" * 100_000,
        '{"job_id": "' + "x" * 200_000 + '"}',
    ],
    ids=lambda body: body[:60],
)
def test_a_message_that_names_no_job_moves_to_the_dead_letters_with_its_reason(
    bench: Bench, done: list[UUID], body: str
) -> None:
    bench.send(body)
    bench.handle_next()
    ((letter, reason),) = bench.dead()
    assert letter == body
    assert reason.startswith(("The message is malformed: ", "There is no job "))
    assert reason.isprintable()
    assert (done, bench.waiting()) == ([], 0)


def changed(bench: Bench, **fields: Any) -> UUID:
    """Submit a job, and replace its message in the queue by a copy with these fields changed. Return the job's id.

    A field whose value is None is removed from the message.
    """
    job_id = bench.submit()
    original = bench.receive()
    bench.queue.delete(original)
    body = json.loads(original.body) | fields
    bench.send(json.dumps({name: value for name, value in body.items() if value is not None}))
    return job_id


@pytest.mark.parametrize("name", ["tenant_id", "tenant_code"])
def test_a_message_that_names_another_tenant_moves_to_the_dead_letters_without_touching_the_job(
    bench: Bench, done: list[UUID], name: str
) -> None:
    other = Tenant.objects.create(code=f"other-{uuid4()}"[:40], name="Other")
    job_id = changed(bench, **{name: other.pk if name == "tenant_id" else other.code})
    bench.handle_next()
    ((_, reason),) = bench.dead()
    assert f"Job {job_id} is not tenant" in reason
    assert (done, bench.state(job_id), bench.waiting()) == ([], ("PENDING", 1), 0)


def test_a_message_without_a_tenant_is_done_for_the_tenant_of_its_job(bench: Bench, done: list[UUID]) -> None:
    job_id = changed(bench, tenant_id=None, tenant_code=None)
    bench.handle_next()
    assert (done, bench.state(job_id)) == ([job_id], ("DONE", 1))


def test_unknown_fields_of_a_message_are_ignored(bench: Bench, done: list[UUID]) -> None:
    job_id = changed(bench, priority="high", payload={"file": "/etc/passwd"})
    bench.handle_next()
    assert (done, bench.job(job_id).payload) == ([job_id], {})


def test_a_job_of_an_unknown_kind_fails_and_says_so(bench: Bench) -> None:
    job_id = bench.submit("weather_forecast")
    bench.handle_next()
    error = bench.job(job_id).error
    assert bench.state(job_id) == ("FAILED", 1)
    assert error is not None
    assert error["code"] == "unknown_job_type"
    assert (bench.waiting(), bench.dead()) == (0, [])


def test_a_message_that_is_received_twice_is_handled_once(bench: Bench, done: list[UUID]) -> None:
    job_id = bench.submit()
    first = bench.receive()
    bench.send(first.body)
    bench.deliveries.handle(first)
    bench.handle_next()
    assert (done, bench.state(job_id), bench.waiting()) == ([job_id], ("DONE", 1), 0)


@pytest.mark.parametrize("status", ["DONE", "FAILED", "CANCELLED"])
def test_the_message_of_a_job_that_has_ended_is_deleted(bench: Bench, done: list[UUID], status: str) -> None:
    job_id = bench.submit()
    job = bench.job(job_id)
    job.status = status
    job.save()
    bench.handle_next()
    assert (done, bench.state(job_id), bench.waiting()) == ([], (status, 1), 0)


def test_a_job_with_a_live_lease_is_put_back_and_not_done_twice(bench: Bench) -> None:
    """Another worker receives a second message of the job while the first message is being handled."""
    seen: list[tuple[str, int]] = []

    def do(job: ClaimedJob, _progress: JobProgress) -> dict[str, Any]:
        second = bench.receive()
        bench.deliveries.handle(second)
        seen.append(bench.state(job.job_id))
        return {}

    bench.knows(do)
    job_id = bench.submit()
    first = bench.receive()
    bench.send(first.body)
    bench.deliveries.handle(first)
    assert seen == [("PROCESSING", 1)]
    assert bench.state(job_id) == ("DONE", 1)
    again = bench.handle_next()
    assert again.receives == 1  # putting a message back does not count as a failed attempt
    assert bench.waiting() == 0


def test_a_job_whose_lease_has_expired_continues_as_the_next_attempt(bench: Bench, done: list[UUID]) -> None:
    """A killed worker leaves the status PROCESSING, and a lease that soon expires."""
    job_id = bench.submit()
    job = bench.job(job_id)
    job.status = "PROCESSING"
    job.save()
    conf.publisher().status(tenant_id=bench.tenant.pk, topic=f"job:{job_id}", attempt=1, status="PROCESSING")
    bench.handle_next()
    assert done == []
    bench.handle_next()
    assert (done, bench.state(job_id), bench.record(job_id)["attempt"]) == ([job_id], ("DONE", 2), 2)


def test_a_job_whose_worker_dies_each_time_is_given_up(bench: Bench, done: list[UUID]) -> None:
    job_id = bench.submit()
    bench.deliveries.handle(bench.received_often(4))
    error = bench.job(job_id).error
    assert done == []
    assert bench.state(job_id)[0] == "FAILED"
    assert error is not None
    assert error["code"] == "dead_letter"
    assert [reason for _, reason in bench.dead()] == ["Its worker died each time it was tried."]


def test_without_redis_a_job_is_done_and_published_later(
    bench: Bench, done: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    from realtime.publish import Publisher  # noqa: PLC0415 - only this test needs it

    away = Publisher.from_url("redis://127.0.0.1:1/0", timeout_seconds=0.2)
    job_id = bench.submit()
    monkeypatch.setattr(conf, "publisher", lambda: away)
    bench.handle_next()
    monkeypatch.undo()
    assert (done, bench.state(job_id), bench.waiting()) == ([job_id], ("DONE", 1), 0)
    assert bench.record(job_id)["status"] == "PENDING"  # the relay will publish the end
