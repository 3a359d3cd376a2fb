"""Tests that the audit log says who deleted something, and who sent or retried a bulk message."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

import pytest
from django.test import Client
from structlog.testing import capture_logs

from academy.domain.jobs import JobStatus
from apps.core.audit import Event
from apps.core.models import Tenant
from apps.domains.ai.models import AIJob
from apps.domains.lectures.models import Enrollment, Lecture, Session
from apps.domains.messaging.models import Message
from apps.domains.students.models import Student
from tests.core.conftest import Asks
from tests.core.test_lectures import make_student

MESSAGES = "/api/v1/messages/"


@pytest.fixture
def student(tenant: Tenant) -> Student:
    return make_student(tenant, "김하나")


def write(client: Client, student: Student) -> UUID:
    answer = client.post(MESSAGES, {"text": "휴강", "students": [student.pk]}, content_type="application/json")
    assert answer.status_code == 202, answer.content
    return UUID(answer.json()["job_id"])


def remove(client: Client, path: str) -> int:
    return client.delete(path).status_code


def lines(event: Event, deed: Callable[[], int]) -> list[tuple[str, bool]]:
    """Do the deed. For each line with this event, return its subject, and whether it names an account and a session."""
    with capture_logs() as logs:
        assert deed() < 300
    return [(line["subject"], bool(line["user"] and line["session"])) for line in logs if line["event"] == event]


def test_deleting_a_lesson_an_enrolment_and_a_student_is_audited(asks: Asks, tenant: Tenant, student: Student) -> None:
    lecture = Lecture.objects.create(tenant=tenant, title="수학")
    lesson = Session.objects.create(tenant=tenant, lecture=lecture, title="1", order=1)
    enrolment = Enrollment.objects.create(tenant=tenant, lecture=lecture, student=student)
    client = asks()
    for event, kind, door, pk in (
        (Event.LESSON_DELETED, "lesson", "lessons", lesson.pk),
        (Event.ENROLMENT_DELETED, "enrolment", "enrolments", enrolment.pk),
        (Event.STUDENT_DELETED, "student", "students", student.pk),
        (Event.LECTURE_DELETED, "lecture", "lectures", lecture.pk),
    ):
        path = f"/api/v1/{door}/{pk}/"
        assert lines(event, partial(remove, client, path)) == [(f"{kind}:{pk}", True)]
        with capture_logs() as logs:
            assert remove(client, path) == 404
        assert event not in {line["event"] for line in logs}


def test_sending_a_message_and_sending_it_again_is_audited(asks: Asks, student: Student) -> None:
    client, sent = asks(), []

    def send() -> int:
        sent.append(write(client, student))
        return 202

    assert lines(Event.MESSAGE_SENT, send) == [(f"job:{sent[0]}", True)]
    AIJob.objects.update(status=JobStatus.DONE)
    Message.objects.update(status="FAILED", code="refused")
    with capture_logs() as logs:
        again = client.post(f"{MESSAGES}{sent[0]}/retry-failed/").json()["job_id"]
        assert client.post(f"{MESSAGES}{sent[0]}/retry-failed/").status_code == 409
    (line,) = [line for line in logs if line["event"] == Event.MESSAGE_RETRIED]
    assert (line["subject"], line["retry_of"]) == (f"job:{again}", str(sent[0]))
    assert line["user"]
