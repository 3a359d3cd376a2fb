"""Sending failed messages again: only those that certainly reached nobody are sent again, and each only once."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from academy import jobs
from academy.adapters.db.django import repositories_messages
from academy.adapters.db.django.repositories_students import change_student, delete_student
from academy.domain.jobs import JobStateError
from academy.domain.messages import To
from academy.messages import WrongMessageError, retry_failed
from academy.quotas import QuotaError
from apps.core.models import Tenant, User
from apps.domains.ai.models import AIJob
from apps.domains.messaging.models import Message, MessageJob
from tests.messaging.conftest import PHONE, MessagingBench
from tests.messaging.gateway import Gateway

REFUSED, LOST = "01055559999", "01055558888"


@pytest.fixture
def failing(gateway: Gateway) -> Gateway:
    """Return a gateway that refuses messages to the number REFUSED, and does not answer messages to the number LOST."""
    gateway.answer = lambda message: {REFUSED: 422, LOST: 0}.get(message["to"], 202)
    return gateway


def retry(bench: MessagingBench, job_id: UUID) -> UUID:
    new_id = retry_failed(tenant_id=bench.tenant.pk, created_by=User.objects.get(username="owner").pk, job_id=job_id)
    assert new_id
    return new_id


def code_of(bench: MessagingBench, job_id: UUID) -> str:
    with pytest.raises(JobStateError) as refused:
        retry(bench, job_id)
    return refused.value.code


def change(bench: MessagingBench, student: int, **fields: str) -> None:
    assert change_student(bench.tenant.pk, student, fields)


def test_only_messages_that_certainly_did_not_leave_are_sent_again(bench: MessagingBench, failing: Gateway) -> None:
    students = [bench.student(phone=phone) for phone in (PHONE, REFUSED, LOST, "", "")]
    job_id = bench.write("{name}", *students, to=To.STUDENT)
    bench.handle_next()
    assert [code for _, code in bench.outcomes(job_id)] == ["", "refused", "outcome_unknown", "no_phone", "no_phone"]
    change(bench, students[1], phone="01055550001", name="새 이름")
    change(bench, students[3], phone="01055550003")
    failing.received.clear()
    new_id = retry(bench, job_id)
    bench.handle_next()
    assert [(message["to"], message["text"]) for message in failing.received] == [
        ("01055550001", "새 이름"),
        ("01055550003", "학생4"),
    ]
    assert bench.state(new_id) == ("DONE", 1)
    assert bench.result(new_id) == {"sent": 2, "failed": 0, "total": 2}
    assert bench.result(job_id) == {"sent": 1, "failed": 4, "total": 5}


def test_a_second_call_is_refused_while_the_retry_waits_and_after_it_has_ended(
    bench: MessagingBench, failing: Gateway
) -> None:
    job_id = bench.write("a", bench.student(parent_phone=REFUSED))
    bench.handle_next()
    retry(bench, job_id)
    assert code_of(bench, job_id) == "retried_already"
    bench.handle_next()
    assert code_of(bench, job_id) == "retried_already"
    assert MessageJob.objects.count() == 2


def test_the_retry_can_be_tried_again_in_turn(bench: MessagingBench, failing: Gateway) -> None:
    student = bench.student(parent_phone=REFUSED)
    job_id = bench.write("a", student)
    bench.handle_next()
    second = retry(bench, job_id)
    bench.handle_next()
    assert bench.outcomes(second) == [("FAILED", "refused")]
    change(bench, student, parent_phone=PHONE)
    third = retry(bench, second)
    bench.handle_next()
    assert bench.outcomes(third) == [("SENT", "")]
    assert code_of(bench, third) == "nothing_to_retry"


def test_two_calls_at_the_same_moment_create_one_retry(bench: MessagingBench, failing: Gateway) -> None:
    job_id = bench.write("a", *[bench.student(parent_phone=REFUSED) for _ in range(3)])
    bench.handle_next()

    def attempt() -> str:
        try:
            return str(retry(bench, job_id))
        except JobStateError as refused:
            return refused.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        outcomes = [future.result() for future in [threads.submit(attempt) for _ in range(4)]]
    assert outcomes.count("retried_already") == 3
    assert (MessageJob.objects.count(), Message.objects.count()) == (2, 6)


@pytest.mark.parametrize("status", ["PENDING", "PROCESSING", "FAILED", "CANCELLED"])
def test_nothing_is_sent_again_before_the_bulk_message_is_done(
    bench: MessagingBench, failing: Gateway, status: str
) -> None:
    job_id = bench.write("a", bench.student(parent_phone=REFUSED))
    bench.handle_next()
    AIJob.objects.filter(job_id=job_id).update(status=status)
    assert code_of(bench, job_id) == "message_not_done"


def test_nobody_is_left_if_all_were_sent_are_unknown_or_have_no_number_or_are_gone(
    bench: MessagingBench, failing: Gateway
) -> None:
    gone = bench.student(phone=REFUSED)
    students = [bench.student(phone=PHONE), bench.student(phone=LOST), bench.student(), gone]
    job_id = bench.write("a", *students, to=To.STUDENT)
    bench.handle_next()
    delete_student(bench.tenant.pk, gone)
    assert code_of(bench, job_id) == "nothing_to_retry"


def test_a_text_that_becomes_too_long_with_the_new_name_is_refused(bench: MessagingBench, failing: Gateway) -> None:
    student = bench.student("김", REFUSED)
    job_id = bench.write("{name}" * 300, student)
    bench.handle_next()
    change(bench, student, name="아주 긴 이름의 학생")
    with pytest.raises(WrongMessageError, match="more than 2000 letters"):
        retry(bench, job_id)


def test_a_retry_counts_as_a_job_of_the_quota(bench: MessagingBench, failing: Gateway, settings: Settings) -> None:
    job_id = bench.write("a", bench.student(parent_phone=REFUSED))
    bench.handle_next()
    settings.QUOTA_JOBS = 0
    with pytest.raises(QuotaError):
        retry(bench, job_id)
    settings.QUOTA_JOBS = 1
    assert retry(bench, job_id)


def test_another_academys_bulk_message_is_not_found(bench: MessagingBench, failing: Gateway) -> None:
    job_id = bench.write("a", bench.student(parent_phone=REFUSED))
    bench.handle_next()
    other = Tenant.objects.create(code="other", name="Other")
    owner = User.objects.get(username="owner").pk
    assert retry_failed(tenant_id=other.pk, created_by=owner, job_id=job_id) is None
    assert retry_failed(tenant_id=bench.tenant.pk, created_by=owner, job_id=uuid4()) is None


def test_a_retry_that_was_cancelled_is_continued_by_the_retry_of_its_job(
    bench: MessagingBench, failing: Gateway
) -> None:
    student = bench.student(parent_phone=REFUSED)
    job_id = bench.write("a", student)
    bench.handle_next()
    change(bench, student, parent_phone=PHONE)
    new_id = retry(bench, job_id)
    jobs.cancel(bench.tenant.pk, new_id)
    assert code_of(bench, job_id) == "retried_already"
    assert jobs.retry(bench.tenant.pk, new_id)
    assert bench.outcomes(new_id) == [("PENDING", "")]


def test_the_number_of_statements_does_not_grow_with_the_messages(bench: MessagingBench, failing: Gateway) -> None:
    def statements(students: int) -> int:
        job_id = bench.write("{name}", *[bench.student(parent_phone=REFUSED) for _ in range(students)])
        Message.objects.filter(job__job__job_id=job_id).update(status="FAILED", code="refused")
        AIJob.objects.filter(job_id=job_id).update(status="DONE")
        with CaptureQueriesContext(connection) as captured:
            retry(bench, job_id)
        return len(captured)

    assert statements(2) == statements(40) <= 37


def test_as_many_messages_are_counted_as_are_sent_again(bench: MessagingBench, failing: Gateway) -> None:
    students = [bench.student(phone=phone) for phone in (PHONE, REFUSED, LOST, "", "")]
    job_id = bench.write("a", *students, to=To.STUDENT)
    bench.handle_next()
    change(bench, students[3], phone=PHONE)
    message_job = repositories_messages.find_message_job(bench.tenant.pk, job_id)
    assert message_job
    assert repositories_messages.count_retryable(message_job) == 2
    assert repositories_messages.count_without_number(message_job) == 1
    assert len(bench.outcomes(retry(bench, job_id))) == 2
