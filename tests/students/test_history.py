"""Tests of the history of a student, and of removing and restoring students."""

import threading
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from academy.adapters.db.django import repositories_students as students
from academy.adapters.db.django.repositories_history import history_of, with_remover
from academy.domain.student_rows import StudentRow
from apps.core.models import User
from apps.domains.ai.models import AIJob
from apps.domains.students.models import Student, StudentChange
from apps.domains.students.serializers import StudentForm
from apps.domains.students.services.lecture_enroll import get_or_create_student_for_lecture_enroll
from tests.students.people import Academy, phone

KIM = StudentRow(1, "김민수", phone(1), school="한빛중")


def staff(academy: Academy, name: str = "박직원") -> User:
    return User.objects.create(tenant=academy.tenant, username="staff", name=name)


def told(academy: Academy, student_id: int) -> list[tuple[Any, ...]]:
    """Return the history, oldest first: what happened, by whom, the changed fields and the imported file."""
    entries = history_of(academy.id, student_id)
    return [(entry["deed"], entry["who"], entry["changed"], entry["file"]) for entry in reversed(entries)]


def test_what_staff_do_is_told_with_their_names_and_without_the_values(academy: Academy) -> None:
    by = staff(academy).pk
    added = get_or_create_student_for_lecture_enroll(tenant_id=academy.id, row=KIM, by=by).student_id
    students.change_student(academy.id, added, {"name": "김민서", "grade": "2"}, by=by)
    students.delete_student(academy.id, added, by=by)
    students.bring_back_student(academy.id, added, by=by)
    assert told(academy, added) == [
        ("added", "박직원", "", None),
        ("changed", "박직원", "name,grade", None),
        ("removed", "박직원", "", None),
        ("restored", "박직원", "", None),
    ]
    stored = str(list(StudentChange.objects.values()))
    assert not [value for value in ("김민", phone(1), "한빛") if value in stored]


def test_imports_are_told_from_their_outcomes(academy: Academy) -> None:
    job_id = academy.job()
    AIJob.objects.filter(job_id=job_id).update(created_by=staff(academy), payload={"file_name": "봄.xlsx"})
    academy.run(
        [KIM, StudentRow(2, KIM.name, KIM.parent_phone), StudentRow(3, KIM.name, KIM.parent_phone)], job_id=job_id
    )
    student = Student.objects.get(tenant=academy.tenant)
    students.delete_student(academy.id, student.pk)
    academy.run([KIM])
    assert told(academy, student.pk) == [
        ("added", "박직원", None, "봄.xlsx"),
        ("found", "박직원", None, "봄.xlsx"),  # the two further lines of the workbook are one entry
        ("removed", None, "", None),
        ("restored", None, None, None),
    ]
    assert {entry["import_job"] for entry in history_of(academy.id, student.pk)} >= {job_id}


def test_a_student_of_whom_nothing_was_recorded_was_added_at_some_time(academy: Academy) -> None:
    student = academy.student("김민수", phone(1))
    assert told(academy, student.pk) == [("added", None, None, None)]
    assert history_of(academy.id, student.pk)[0]["when"] == student.created_at


def test_the_name_of_an_account_without_a_name_is_its_user_name(academy: Academy) -> None:
    student = academy.student("김민수", phone(1))
    students.delete_student(academy.id, student.pk, by=staff(academy, name="").pk)
    assert told(academy, student.pk)[-1][:2] == ("removed", "staff")


def test_another_academy_reads_no_history(academy: Academy) -> None:
    student, other = academy.student("김민수", phone(1)), Academy()
    academy.run([KIM])
    students.change_student(academy.id, student.pk, {"grade": "3"})
    assert list(history_of(other.id, student.pk)) == []
    assert StudentChange.objects.filter(tenant=other.tenant).count() == 0


def test_a_history_costs_two_queries_however_long_it_is(academy: Academy) -> None:
    student = academy.student("김민수", phone(1))
    for grade in range(30):
        students.change_student(academy.id, student.pk, {"grade": str(grade)})
    with CaptureQueriesContext(connection) as queries:
        entries = history_of(academy.id, student.pk)
        assert (entries.count(), len(entries[:10])) == (31, 10)
    assert len(queries) == 2


def test_a_removed_student_is_restored_with_the_account_and_says_who_removed_it(academy: Academy) -> None:
    student, by = academy.student("김민수", phone(1)), staff(academy).pk
    students.delete_student(academy.id, student.pk, by=by)
    (removed,) = with_remover(students.removed_students_of(academy.id))
    assert (removed.pk, removed.removed_by) == (student.pk, "박직원")  # type: ignore[attr-defined]
    back = students.bring_back_student(academy.id, student.pk, by=by)
    student.refresh_from_db()
    assert back == student
    assert (student.deleted_at, student.user.is_active) == (None, True)
    assert list(students.removed_students_of(academy.id)) == []


def test_restoring_again_changes_nothing_and_a_student_of_another_academy_is_not_found(academy: Academy) -> None:
    student = academy.student("김민수", phone(1))
    assert students.bring_back_student(academy.id, student.pk) == student
    assert told(academy, student.pk) == [("added", None, None, None)]
    removed = Academy().student("이서연", phone(1), deleted_at=timezone.now())
    assert students.bring_back_student(academy.id, removed.pk) is None


def test_a_student_who_was_added_again_meanwhile_is_not_restored(academy: Academy) -> None:
    removed = academy.student("김민수", phone(1), deleted_at=timezone.now())
    academy.student("김민수", phone(1))
    with pytest.raises(students.StudentExistsError, match="another student"):
        students.bring_back_student(academy.id, removed.pk)
    removed.refresh_from_db()
    assert removed.deleted_at is not None
    assert not removed.user.is_active


def test_two_people_who_change_different_fields_at_once_both_keep_their_change(academy: Academy) -> None:
    student = academy.student("김민수", phone(1))
    at_once(
        lambda: students.change_student(academy.id, student.pk, {"school": "한빛중"}),
        lambda: students.change_student(academy.id, student.pk, {"grade": "3"}),
    )
    student.refresh_from_db()
    assert (student.school, student.grade) == ("한빛중", "3")


def test_a_request_changes_only_the_fields_that_it_names(academy: Academy) -> None:
    read_before = academy.student("김민수", phone(1))
    students.change_student(academy.id, read_before.pk, {"school": "한빛중"})  # by somebody else, meanwhile
    form = StudentForm(data={"grade": "3"}, partial=True)
    assert form.is_valid()
    changed = students.change_student(academy.id, read_before.pk, form.changes(read_before))
    assert changed is not None
    assert (changed.school, changed.grade) == ("한빛중", "3")


def test_of_two_students_who_become_the_same_at_once_one_is_refused(academy: Academy) -> None:
    one, two = academy.student("가", phone(1)), academy.student("나", phone(1))
    refused = at_once(
        lambda: students.change_student(academy.id, one.pk, {"name": "다"}),
        lambda: students.change_student(academy.id, two.pk, {"name": "다"}),
    )
    assert [type(error) for error in refused] == [students.StudentExistsError]
    assert Student.objects.filter(tenant=academy.tenant, name="다").count() == 1


def test_a_change_to_what_is_there_already_is_no_change(academy: Academy) -> None:
    student = academy.student("김민수", phone(1))
    before = student.updated_at
    assert students.change_student(academy.id, student.pk, {"name": "김민수", "parent_phone": phone(1)}) == student
    student.refresh_from_db()
    assert student.updated_at == before
    assert not StudentChange.objects.filter(student=student).exists()


def at_once(*works: Any) -> list[Exception]:
    """Run each of these functions in a thread of its own, all at the same moment. Return each StudentExistsError."""
    errors: list[Exception] = []
    barrier = threading.Barrier(len(works))

    def run(work: Any) -> None:
        barrier.wait()
        try:
            work()
        except students.StudentExistsError as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
