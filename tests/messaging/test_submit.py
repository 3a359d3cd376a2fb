"""Submitting a bulk message takes few statements for any number of recipients, and creates everything or nothing."""

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from academy import messages
from academy.adapters.db.django import repositories_messages
from academy.adapters.db.django.repositories_lectures import create_lecture
from academy.adapters.db.django.repositories_messages import Addressee
from academy.adapters.db.django.repositories_students import delete_student, enroll_student
from academy.domain.messages import To
from academy.messages import WrongMessageError
from apps.domains.ai.models import AIJob
from apps.domains.messaging.models import Message
from tests.messaging.conftest import MessagingBench


def test_the_number_of_statements_does_not_grow_with_the_recipients(bench: MessagingBench) -> None:
    def statements(students: int) -> int:
        ids = [bench.student() for _ in range(students)]
        bench.write("{name}", ids[0])  # the first submission creates the writer's account
        with CaptureQueriesContext(
            connection,
        ) as captured:
            bench.write("{name}", *ids)
        return len(captured)

    assert statements(2) == statements(40) <= 36


def test_an_error_while_writing_the_messages_leaves_no_job(
    bench: MessagingBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **_words: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(repositories_messages, "create_messages", fail)
    with pytest.raises(RuntimeError):
        bench.write_to_new(1)
    assert (AIJob.objects.count(), bench.waiting()) == (0, 0)


def test_a_student_named_twice_gets_one_message(bench: MessagingBench) -> None:
    student = bench.student()
    bench.write("a", student, student)
    assert Message.objects.count() == 1


def test_a_student_who_left_the_academy_gets_no_message(bench: MessagingBench) -> None:
    here, gone = bench.student(), bench.student()
    lecture = create_lecture(bench.tenant.pk, {"title": "수학"}).pk
    for student in (here, gone):
        enroll_student(bench.tenant.pk, student, lecture)
    delete_student(bench.tenant.pk, gone)
    bench.write("a", lecture=lecture)
    assert [message.student_id for message in Message.objects.all()] == [here]
    with pytest.raises(WrongMessageError, match=f"these ids: {gone}"):
        bench.write("a", here, gone)


def test_a_text_that_becomes_too_long_with_a_name_is_refused(bench: MessagingBench) -> None:
    with pytest.raises(WrongMessageError, match="more than 2000 letters: shorten it"):
        bench.write("{name}" * 300, bench.student("긴이름의학생"), bench.student("가장긴이름의학생"))


def test_no_text_is_filled_in_after_one_that_is_too_long() -> None:
    filled = []

    def addressees() -> Iterator[Addressee]:
        for number in range(5000):
            filled.append(number)
            yield Addressee(number, "긴" * 50, "01012345678")

    with pytest.raises(WrongMessageError, match="shorten it"):
        messages.drafts_to(addressees(), "{name}" * 333, To.PARENT)
    assert filled == [0]


def test_a_lecture_with_too_many_students_is_refused(bench: MessagingBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_RECIPIENTS", 1)
    lecture = create_lecture(bench.tenant.pk, {"title": "수학"}).pk
    for _ in range(2):
        enroll_student(bench.tenant.pk, bench.student(), lecture)
    with pytest.raises(WrongMessageError, match="more than 1 students"):
        bench.write("a", lecture=lecture)


def test_the_query_for_the_next_message_uses_its_index(bench: MessagingBench, settings: Settings) -> None:
    job_id = bench.write_to_new(200)
    with connection.cursor() as cursor:
        # All messages but one are sent and the tables are analysed, so that other tests' rows do not change the plan.
        cursor.execute("UPDATE message SET status = 'SENT' WHERE id > (SELECT min(id) FROM message)")
        cursor.execute("ANALYZE message, message_job, aijob, students")
        cursor.execute("SET enable_seqscan = off")
        plan = repositories_messages.messages_of(bench.tenant.pk, job_id).filter(status="PENDING")[:1].explain()
        cursor.execute("RESET enable_seqscan")
    assert "idx_message_job_status" in plan
