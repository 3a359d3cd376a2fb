"""Tests of the turns of waiting jobs, and of how workers send jobs whose messages were never sent or were lost."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from redis import Redis

from academy import dispatch, jobs
from academy.adapters.db.django import repositories_ai, repositories_turns
from academy.adapters.queue.sqs import AI_QUEUE, MESSAGING_QUEUE, sqs_client
from academy.domain.jobs import BULK_MESSAGE
from academy.domain.turns import Line
from apps.core.models import Tenant
from apps.domains.ai.models import AIJob
from apps.worker import dispatching as dispatching_module
from apps.worker.dispatching import LONG_WAIT_SECONDS, Dispatching
from realtime import conf
from realtime.publish import Publisher
from tests.worker.conftest import PATIENCE_SECONDS, QUICK, Bench

SLOTS = 3
T = TypeVar("T")


@pytest.fixture(autouse=True)
def fleet(settings: Settings) -> None:
    settings.AI_WORKER_MAX_CONCURRENCY = SLOTS
    settings.WORKER_RESERVED_SLOTS = 1


@pytest.fixture
def other(bench: Bench) -> Tenant:
    return Tenant.objects.create(code=f"other-{uuid4()}"[:40], name="Other")


def submit_for(tenant: Tenant) -> UUID:
    return jobs.submit(tenant_id=tenant.pk, job_type="test", payload={}, created_by=None)


def sent(tenant: Tenant) -> list[UUID]:
    """Return the unfinished jobs of a tenant that were sent to the queue, the oldest first."""
    rows = AIJob.objects.filter(tenant=tenant, dispatched_at__isnull=False, finished_at=None)
    return list(rows.order_by("pk").values_list("job_id", flat=True))


def test_one_tenant_alone_has_all_slots_but_the_reserved_one(bench: Bench) -> None:
    job_ids = [bench.submit() for _ in range(6)]
    assert (sent(bench.tenant), bench.waiting()) == (job_ids[:2], 2)


def test_without_reserved_slots_one_tenant_has_them_all(bench: Bench, settings: Settings) -> None:
    settings.WORKER_RESERVED_SLOTS = 0
    for _ in range(6):
        bench.submit()
    assert bench.waiting() == SLOTS


def test_a_fleet_of_one_slot_reserves_none(bench: Bench, settings: Settings) -> None:
    settings.AI_WORKER_MAX_CONCURRENCY = 1
    for _ in range(3):
        bench.submit()
    assert bench.waiting() == 1


def test_a_job_of_a_tenant_that_runs_nothing_is_sent_at_once_before_the_backlog_of_another(
    bench: Bench, other: Tenant
) -> None:
    for _ in range(6):
        bench.submit()
    theirs = submit_for(other)
    assert (sent(other), bench.waiting()) == ([theirs], 3)


def test_after_a_job_the_tenant_that_runs_the_fewest_is_next(bench: Bench, other: Tenant) -> None:
    bench.knows(lambda _job, _progress: {})
    ours = [bench.submit() for _ in range(6)]
    theirs = [submit_for(other) for _ in range(2)]
    assert (sent(bench.tenant), sent(other)) == (ours[:2], theirs[:1])
    bench.handle_next()
    assert (sent(bench.tenant), sent(other)) == (ours[1:2], theirs[:1])  # the third slot is reserved for another tenant
    bench.handle_next()
    assert (sent(bench.tenant), sent(other)) == ([ours[2]], theirs[:1])
    bench.handle_next()
    assert (sent(bench.tenant), sent(other)) == ([ours[2]], theirs[1:])


@pytest.mark.parametrize("waits", [True, False])
def test_a_cancelled_job_gives_up_its_place(bench: Bench, waits: bool) -> None:
    job_ids = [bench.submit() for _ in range(4)]
    jobs.cancel(bench.tenant.pk, job_ids[3 if waits else 0])
    assert sent(bench.tenant) == (job_ids[:2] if waits else job_ids[1:3])


def test_the_next_attempt_of_a_job_keeps_its_place(bench: Bench) -> None:
    def fails(_job: Any, _progress: Any) -> dict[str, Any]:
        raise OSError("once more")

    bench.knows(fails)
    job_ids = [bench.submit() for _ in range(4)]
    bench.handle_next()
    assert bench.state(job_ids[0]) == ("PENDING", 2)
    assert (sent(bench.tenant), bench.waiting()) == (job_ids[:2], 2)


def test_a_retried_job_waits_for_a_new_turn(bench: Bench) -> None:
    first, *others = [bench.submit() for _ in range(4)]
    jobs.cancel(bench.tenant.pk, first)
    jobs.retry(bench.tenant.pk, first)
    assert (sent(bench.tenant), bench.job(first).dispatched_at) == (others[:2], None)


def test_each_queue_has_its_own_slots(bench: Bench) -> None:
    for _ in range(6):
        bench.submit()
    job_id = bench.submit(BULK_MESSAGE)
    assert bench.job(job_id).dispatched_at is not None
    loads = {queue: dispatch.load_of(queue) for queue in (AI_QUEUE, MESSAGING_QUEUE)}
    assert [(load.waiting, load.running) for load in loads.values()] == [(6, 0), (1, 0)]


def test_releases_at_the_same_time_send_no_job_twice_and_not_too_many(bench: Bench, settings: Settings) -> None:
    leave_behind(bench, 40)
    barrier = threading.Barrier(8)

    def work(_number: int) -> int:
        barrier.wait()
        return in_a_thread(lambda: dispatch.release(AI_QUEUE))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == SLOTS - 1
    assert bench.waiting() == SLOTS - 1


@contextmanager
def another_process_chooses(queue: str) -> Iterator[psycopg.Connection[Any]]:
    """Yield a transaction that holds the lock of the queue, like a process that is frozen while it chooses jobs."""
    with psycopg.connect(**connection.get_connection_params()) as frozen:
        frozen.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [repositories_turns.LOCKS, queue])
        yield frozen


def test_a_process_that_is_frozen_while_it_chooses_delays_nobody(bench: Bench) -> None:
    leave_behind(bench, 4)
    with another_process_chooses(AI_QUEUE), ThreadPoolExecutor(1) as pool:
        assert pool.submit(in_a_thread, lambda: dispatch.release(AI_QUEUE)).result(PATIENCE_SECONDS) == 0
    assert dispatch.release(AI_QUEUE) == SLOTS - 1


def test_the_database_ends_a_transaction_that_is_frozen_with_the_lock(bench: Bench) -> None:
    with transaction.atomic():
        assert repositories_turns.lock_queue(AI_QUEUE)
        with connection.cursor() as cursor:
            names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
            cursor.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in names))
            assert "0" not in cursor.fetchone()
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("0",)  # these limits end with the transaction


def test_if_the_lock_is_taken_its_holder_sends_the_waiting_job(
    bench: Bench, other: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_sent = repositories_turns.mark_sent
    turned_away: list[UUID] = []

    def while_another_submits(*args: Any) -> list[Any]:
        if not turned_away:
            with ThreadPoolExecutor(1) as pool:
                submitted = pool.submit(in_a_thread, lambda: submit_for(other))
                turned_away.append(submitted.result(PATIENCE_SECONDS))
            assert sent(other) == []
        return mark_sent(*args)

    monkeypatch.setattr(repositories_turns, "mark_sent", while_another_submits)
    bench.submit()
    assert sent(other) == turned_away


def in_a_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns, and close this thread's database connection."""
    try:
        return work()
    finally:
        connection.close()


def test_a_transaction_that_is_rolled_back_sends_nothing(bench: Bench) -> None:
    with transaction.atomic():
        bench.submit()
        transaction.set_rollback(True)
    assert (AIJob.objects.count(), bench.waiting()) == (0, 0)


def leave_behind(bench: Bench, number: int) -> None:
    """Create jobs whose messages were not sent, as if the process had died after the commit."""
    AIJob.objects.bulk_create(AIJob(tenant=bench.tenant, job_type="test") for _ in range(number))


def test_of_a_long_backlog_only_the_oldest_jobs_are_read(bench: Bench, other: Tenant) -> None:
    leave_behind(bench, 40)
    theirs = AIJob.objects.create(tenant=other, job_type="test")
    AIJob.objects.create(tenant=other, job_type="test", dispatched_at=timezone.now())
    ours = AIJob.objects.filter(tenant=bench.tenant).order_by("pk").values_list("pk", flat=True)
    assert repositories_turns.lines_of(repositories_ai.unfinished_jobs(), most=SLOTS) == [
        Line(bench.tenant.pk, 0, tuple(ours[:SLOTS])),
        Line(other.pk, 1, (theirs.pk,)),
    ]


def dispatching(bench: Bench) -> Dispatching:
    return Dispatching(bench.queue, QUICK.visibility_seconds)


def test_a_worker_sends_the_jobs_that_a_dead_process_did_not_send(bench: Bench) -> None:
    leave_behind(bench, 4)
    dispatching(bench).look(0.0)
    assert bench.waiting() == SLOTS - 1


PATIENCE = 2.0 * QUICK.visibility_seconds


@pytest.fixture
def lost(bench: Bench) -> UUID:
    """Create a job that was sent an hour ago, and whose message was lost."""
    job_id = bench.submit()
    bench.queue.delete(bench.receive())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE aijob SET dispatched_at = now() - interval '1 hour' WHERE job_id = %s", [job_id])
    return job_id


@pytest.mark.parametrize("status", ["PENDING", "PROCESSING"])
def test_a_lost_message_is_sent_again_after_a_while_and_once(bench: Bench, lost: UUID, status: str) -> None:
    AIJob.objects.filter(job_id=lost).update(status=status)
    bench.knows(lambda _job, _progress: {})
    workers = [dispatching(bench), dispatching(bench)]
    for now in (0.0, PATIENCE / 2):
        for worker in workers:
            worker.look(now)
    assert bench.waiting() == 0
    for worker in workers:
        worker.look(PATIENCE)
    assert bench.waiting() == 1
    bench.handle_next()
    assert bench.state(lost)[0] == "DONE"


def test_a_running_job_is_not_sent_again(bench: Bench, lost: UUID) -> None:
    worker = dispatching(bench)
    worker.look(0.0)
    conf.publisher().status(tenant_id=bench.tenant.pk, topic=f"job:{lost}", attempt=1, status="PROCESSING")
    worker.look(PATIENCE)
    assert bench.waiting() == 0


def test_a_job_is_not_sent_again_while_the_queue_is_busy_or_redis_is_away(
    bench: Bench, lost: UUID, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = dispatching(bench)
    worker.look(0.0)
    monkeypatch.setattr(conf, "publisher", lambda: Publisher.from_url("redis://127.0.0.1:1/0", timeout_seconds=0.2))
    worker.look(PATIENCE)
    monkeypatch.undo()
    worker.look(2 * PATIENCE)
    url = sqs_client().get_queue_url(QueueName=bench.queue.name)["QueueUrl"]
    sqs_client().send_message(QueueUrl=url, MessageBody="another")
    worker.look(3 * PATIENCE)
    assert bench.waiting() == 1
    assert bench.job(lost).status == "PENDING"


def test_a_long_backlog_is_read_in_parts_without_its_payloads(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(dispatching_module, "MOST_SEEN", 2)
    monkeypatch.setattr(dispatching_module, "MOST_SENT", 1)
    an_hour_ago = timezone.now() - timedelta(hours=1)
    AIJob.objects.bulk_create(AIJob(tenant=bench.tenant, job_type="test", dispatched_at=an_hour_ago) for _ in range(5))
    worker = dispatching(bench)
    asked: list[int] = []
    leases = Publisher.leases_seconds_left

    def note(publisher: Publisher, topics: Iterable[tuple[int, str]]) -> list[float]:
        left = leases(publisher, topics)
        asked.append(len(left))
        return left

    monkeypatch.setattr(Publisher, "leases_seconds_left", note)
    with django_assert_num_queries(2) as queries:
        worker.look(0.0)
    assert not [query["sql"] for query in queries if "payload" in query["sql"]]
    for number in range(1, 6):
        worker.look(number * PATIENCE)
    assert asked == [2, 2, 1, 2, 2, 1]
    assert bench.waiting() == 1  # one message was sent again, and then the queue was not empty


def test_a_backlog_whose_messages_are_in_the_queue_is_not_sent_again_as_a_whole(bench: Bench) -> None:
    an_hour_ago = timezone.now() - timedelta(hours=1)
    AIJob.objects.bulk_create(AIJob(tenant=bench.tenant, job_type="test", dispatched_at=an_hour_ago) for _ in range(9))
    for _ in range(9):
        bench.send("the message of a job")
    worker = dispatching(bench)
    worker.look(0.0)
    worker.look(LONG_WAIT_SECONDS)
    assert bench.waiting() == 10
