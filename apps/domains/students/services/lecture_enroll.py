"""Creates and enrols one student at a time. Tests compare the results with those of the bulk import."""

from dataclasses import dataclass
from typing import Literal

from django.contrib.auth.hashers import make_password
from django.db import transaction

from academy.adapters.db.django import repositories_students as students
from academy.adapters.db.django.repositories_history import note_change
from academy.domain.student_rows import StudentRow
from apps.domains.students.services.import_errors import try_again
from apps.domains.students.services.usernames import make_username


class LectureMissingError(Exception):
    """The lecture does not exist any more. Choose another one."""

    code = "lecture_missing"

    def __init__(self) -> None:
        self.message = type(self).__doc__ or ""
        super().__init__(self.message)


@dataclass(frozen=True, slots=True)
class EnrolledStudent:
    student_id: int
    outcome: Literal["created", "restored", "existing"]


def get_or_create_student_for_lecture_enroll(
    *,
    tenant_id: int,
    row: StudentRow,
    lecture_id: int | None = None,
    password_hash: str | None = None,
    by: int | None = None,
) -> EnrolledStudent:
    """Find the active student with this name and parent's phone, else restore a deleted one, else create one.

    If a lecture is given, enrol the student in it. Return the student's id, and the same outcome as the bulk import:
    created, restored or existing. `row` must be normalised (`academy.domain.student_rows.read_row`). A new account gets
    `password_hash`; without it, nobody can sign in to the account. `by` is the id of the user whom the history names.
    Raises LectureMissingError if the lecture does not exist.
    """
    chosen = password_hash or make_password(None)
    return try_again(lambda: _enroll(tenant_id, row, lecture_id, chosen, by))


def check_lecture(tenant_id: int, lecture_id: int | None) -> None:
    """Raise LectureMissingError if this academy does not have the lecture. Accept None, which means no lecture."""
    if lecture_id is not None and not students.lecture_exists(tenant_id, lecture_id):
        raise LectureMissingError


@transaction.atomic
def _enroll(
    tenant_id: int, row: StudentRow, lecture_id: int | None, password_hash: str, by: int | None
) -> EnrolledStudent:
    enrolled = enroll_in_transaction(tenant_id, row, lecture_id, password_hash)
    if enrolled.outcome == "created":
        note_change(tenant_id, enrolled.student_id, "added", by=by)
    elif enrolled.outcome == "restored":
        note_change(tenant_id, enrolled.student_id, "restored", by=by)
    return enrolled


def enroll_in_transaction(
    tenant_id: int, row: StudentRow, lecture_id: int | None, password_hash: str
) -> EnrolledStudent:
    """Find, restore or create the student in the caller's transaction. Return the student's id and the outcome.

    If a lecture is given, enrol the student in the lecture. The caller repeats the whole transaction after a
    conflict (`try_again`). Raises LectureMissingError if the lecture does not exist.
    """
    check_lecture(tenant_id, lecture_id)
    students.lock_students(tenant_id)
    enrolled = _find_or_make(tenant_id, row, password_hash)
    if lecture_id is not None:
        students.enroll_student(tenant_id, enrolled.student_id, lecture_id)
    return enrolled


def _find_or_make(tenant_id: int, row: StudentRow, password_hash: str) -> EnrolledStudent:
    active = students.find_active_student(tenant_id, row.name, row.parent_phone)
    if active is not None:
        return EnrolledStudent(active, "existing")
    deleted = students.find_newest_deleted_student(tenant_id, row.name, row.parent_phone)
    if deleted is not None:
        students.restore_student(tenant_id, deleted, row)
        return EnrolledStudent(deleted, "restored")
    return EnrolledStudent(students.create_student(tenant_id, row, make_username(), password_hash), "created")
