"""A bulk message that is submitted again with the same key is created once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connections, transaction
from pytest_django import Settings

from academy import jobs, quotas
from academy.adapters.db.django import repositories_messages
from academy.adapters.db.django.repositories_lectures import create_lecture
from academy.adapters.db.django.repositories_students import enroll_student
from academy.domain.jobs import JobStateError
from academy.quotas import QuotaError
from apps.domains.ai.models import AIJob
from apps.domains.messaging.models import Message, MessageJob
from tests.messaging.conftest import MessagingBench

KEY = uuid4()


def test_a_repeated_request_gets_the_same_job_and_creates_nothing(bench: MessagingBench) -> None:
    students = [bench.student(), bench.student()]
    first = bench.write("{name}", *students, key=KEY)
    assert bench.write("{name}", *reversed(students), key=KEY) == first
    assert (AIJob.objects.count(), Message.objects.count(), bench.waiting()) == (1, 2, 1)
    assert bench.write("{name}", *students, key=uuid4()) != first


def test_a_repeated_request_gets_the_same_job_after_the_lecture_or_its_students_changed(bench: MessagingBench) -> None:
    lecture = create_lecture(bench.tenant.pk, {"title": "수학"}).pk
    enroll_student(bench.tenant.pk, bench.student(), lecture)
    first = bench.write("a", lecture=lecture, key=KEY)
    enroll_student(bench.tenant.pk, bench.student(), lecture)
    assert bench.write("a", lecture=lecture, key=KEY) == first
    assert Message.objects.count() == 1


def test_a_key_of_another_text_or_of_other_recipients_is_refused(bench: MessagingBench) -> None:
    one, other = bench.student(), bench.student()
    lecture = create_lecture(bench.tenant.pk, {"title": "수학"}).pk
    bench.write("a", one, key=KEY)
    again: list[Callable[[], UUID]] = [
        lambda: bench.write("b", one, key=KEY),
        lambda: bench.write("a", one, other, key=KEY),
        lambda: bench.write("a", lecture=lecture, key=KEY),
    ]
    for write in again:
        with pytest.raises(JobStateError, match="belongs to another bulk message") as refused:
            write()
        assert refused.value.code == "key_used"
    assert AIJob.objects.count() == 1


def test_a_refused_request_does_not_use_up_its_key(bench: MessagingBench, settings: Settings) -> None:
    student = bench.student()
    settings.QUOTA_JOBS = 0
    with pytest.raises(QuotaError):
        bench.write("a", student, key=KEY)
    settings.QUOTA_JOBS = 10
    assert bench.write("a", student, key=KEY)


def test_a_repeated_request_gets_the_same_job_though_the_first_one_used_up_the_quota(
    bench: MessagingBench, settings: Settings
) -> None:
    settings.QUOTA_JOBS = 1
    student = bench.student()
    first = bench.write("a", student, key=KEY)
    assert bench.write("a", student, key=KEY) == first
    with pytest.raises(QuotaError):
        bench.write("a", student, key=uuid4())


def test_two_requests_at_the_same_moment_create_one_bulk_message(
    bench: MessagingBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = bench.student()
    bench.write("the first submission creates the account of the sender", student)
    both_looked = threading.Barrier(2, timeout=60)
    check = quotas.check_before

    def check_when_both_have_looked(tenant_id: int) -> None:
        both_looked.wait()  # neither request has found the key
        check(tenant_id)

    monkeypatch.setattr(quotas, "check_before", check_when_both_have_looked)

    def write() -> UUID:
        try:
            return bench.write("a", student, key=KEY)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        ids = {future.result() for future in [threads.submit(write) for _ in range(2)]}
    assert len(ids) == 1
    assert (AIJob.objects.count(), MessageJob.objects.filter(idempotency_key=KEY).count()) == (2, 1)


def test_the_database_itself_refuses_a_second_bulk_message_with_a_key(bench: MessagingBench) -> None:
    bench.write("a", bench.student(), key=KEY)

    def write_again() -> None:
        jobs.submit(
            tenant_id=bench.tenant.pk,
            job_type="bulk_message",
            payload={},
            created_by=None,
            also_write=lambda job_id: repositories_messages.create_messages(
                bench.tenant.pk, job_id, "a", [], idempotency_key=KEY
            ),
        )

    with pytest.raises(IntegrityError, match="uq_message_job_key"), transaction.atomic():
        write_again()
    assert AIJob.objects.count() == 1
