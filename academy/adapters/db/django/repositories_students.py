"""Queries on students and their parents. The SQL for a chunk of an import is in `students_chunk_sql.py`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from academy.adapters.db.django import students_chunk_sql
from academy.adapters.db.django.repositories_core import revoke_users
from academy.adapters.db.django.repositories_history import note_change
from academy.adapters.db.django.tenancy import rows_of
from academy.domain.hangul import search_pattern
from academy.domain.roles import Role
from academy.domain.student_rows import Column, StudentRow
from apps.core.models import TenantMembership, User
from apps.domains.lectures.models import Enrollment, Lecture
from apps.domains.students.models import Parent, Student

Key = tuple[str, str]
"""The name and the parent's phone, which identify a student within an academy."""


class StudentExistsError(Exception):
    """There is another student of this name with this parent's phone number."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


@dataclass(frozen=True, slots=True)
class SavedStudents:
    """The result of saving a chunk of an import: dicts from key to id, of the created and of the restored students."""

    created: dict[Key, int]
    restored: dict[Key, int]
    lecture_missing: bool = False


def lock_students(tenant_id: int) -> None:
    """Keep other transactions from creating students in this academy until the current transaction ends.

    Without this lock, two imports at the same moment would deadlock or create a student twice.
    """
    with connection.cursor() as cursor:
        cursor.execute(students_chunk_sql.LOCK, [tenant_id])


def student_batch_filter_by_name_phone(tenant_id: int, keys: Sequence[Key]) -> dict[Key, int]:
    """Return a dict from key to id of the active students with these keys, with one query."""
    return _find(students_chunk_sql.FIND_ACTIVE, tenant_id, keys)


def student_batch_filter_deleted_by_name_phone(tenant_id: int, keys: Sequence[Key]) -> dict[Key, int]:
    """Return a dict from key to id of the deleted students with these keys, with one query.

    If several deleted students have the same key, the dict has the one that was deleted last.
    """
    return _find(students_chunk_sql.FIND_NEWEST_DELETED, tenant_id, keys)


def _find(statement: str, tenant_id: int, keys: Sequence[Key]) -> dict[Key, int]:
    names, phones = [name for name, _ in keys], [phone for _, phone in keys]
    with connection.cursor() as cursor:
        cursor.execute(statement, [names, phones, tenant_id])
        return {(name, phone): student_id for student_id, name, phone in cursor.fetchall()}


def save_student_chunk(
    tenant_id: int,
    *,
    new: Sequence[tuple[StudentRow, str]],
    returning: Sequence[tuple[StudentRow, int]],
    present: Iterable[int],
    lecture_id: int | None,
    password_hash: str,
) -> SavedStudents:
    """Create, restore and enrol students with one statement.

    `new` has the rows of students to create, with their usernames. `returning` has the rows of students to restore,
    with their ids. `present` has the ids of active students. If `lecture_id` is given, the students of all three are
    enrolled in the lecture. No student may occur twice in the three together. The caller must hold the lock of
    `lock_students`.

    A student that a transaction without this lock has just created or restored is missing from the result. If the
    lecture does not exist, `lecture_missing` is set. In both cases the caller must roll back. Raises
    IntegrityError if a username is taken.
    """
    rows = [(row, None, username) for row, username in new] + [(row, student_id, None) for row, student_id in returning]
    parameters = {
        "tenant": tenant_id,
        "lecture": lecture_id,
        "password": password_hash,
        "role": Role.STUDENT.value,
        "names": [row.name for row, _, _ in rows],
        "parent_phones": [row.parent_phone for row, _, _ in rows],
        "phones": [row.phone for row, _, _ in rows],
        "schools": [row.school for row, _, _ in rows],
        "grades": [row.grade for row, _, _ in rows],
        "deleted_ids": [student_id for _, student_id, _ in rows],
        "usernames": [username for _, _, username in rows],
        "present": list(present),
    }
    ids: dict[str, dict[Key, int]] = {"created": {}, "restored": {}, "lecture": {}}
    with connection.cursor() as cursor:
        cursor.execute(students_chunk_sql.SAVE, parameters)
        for kind, row_id, name, phone in cursor.fetchall():
            ids[kind][name, phone] = row_id
    return SavedStudents(ids["created"], ids["restored"], lecture_id is not None and not ids["lecture"])


def find_active_student(tenant_id: int, name: str, parent_phone: str) -> int | None:
    students = rows_of(tenant_id, Student).filter(name=name, parent_phone=parent_phone, deleted_at=None)
    return students.values_list("id", flat=True).first()


def find_newest_deleted_student(tenant_id: int, name: str, parent_phone: str) -> int | None:
    students = rows_of(tenant_id, Student).filter(name=name, parent_phone=parent_phone, deleted_at__isnull=False)
    return students.order_by("-deleted_at", "-id").values_list("id", flat=True).first()


def restore_student(tenant_id: int, student_id: int, row: StudentRow) -> None:
    """Restore a deleted student and its account.

    The phone, school and grade in `row` replace those of the student, except where the value in `row` is empty.
    """
    student = rows_of(tenant_id, Student).get(id=student_id)
    student.phone = row.phone or student.phone
    student.school = row.school or student.school
    student.grade = row.grade or student.grade
    _restore(student, ["deleted_at", "phone", "school", "grade"])


def create_student(tenant_id: int, row: StudentRow, username: str, password_hash: str) -> int:
    """Create a student and the student's account. Return the student's id.

    Also create the parent, unless the academy has a parent with this phone number. Raises IntegrityError if the student
    or the username exists already.
    """
    parent, _ = Parent.objects.get_or_create(tenant_id=tenant_id, phone=row.parent_phone)
    user = User.objects.create(
        tenant_id=tenant_id, username=username, name=row.name, password=password_hash, must_change_password=True
    )
    TenantMembership.objects.create(tenant_id=tenant_id, user=user, role=Role.STUDENT.value)
    student = Student.objects.create(
        tenant_id=tenant_id,
        user=user,
        parent=parent,
        name=row.name,
        phone=row.phone,
        parent_phone=row.parent_phone,
        school=row.school,
        grade=row.grade,
    )
    return student.pk


def give_parent_account(tenant_id: int, phone: str, user_id: int) -> None:
    """Let an account of the academy see what the parent with this phone number may see."""
    rows_of(tenant_id, Parent).filter(phone=phone).update(user_id=user_id)


def enroll_student(tenant_id: int, student_id: int, lecture_id: int) -> None:
    """Enrol the student in the lecture, unless the student is enrolled already.

    The caller must have checked that the student and the lecture belong to this academy.
    """
    Enrollment.objects.get_or_create(tenant_id=tenant_id, lecture_id=lecture_id, student_id=student_id)


def lecture_exists(tenant_id: int, lecture_id: int) -> bool:
    return rows_of(tenant_id, Lecture).filter(id=lecture_id).exists()


def students_not_in(tenant_id: int, lecture_id: int, students: QuerySet[Student]) -> QuerySet[Student]:
    """Return those of the students who do not attend the lecture."""
    attending = rows_of(tenant_id, Enrollment).filter(lecture_id=lecture_id, student=OuterRef("pk"))
    return students.filter(~Exists(attending))


def students_of(tenant_id: int, *, search: str | None = None, lecture_id: int | None = None) -> QuerySet[Student]:
    """Return the academy's active students with their accounts, sorted by name.

    `search` searches names, schools and phones: see `_found`. `lecture_id` selects the students of a lecture.
    """
    students = _found(rows_of(tenant_id, Student).filter(deleted_at=None), search)
    if lecture_id is not None:
        students = students.filter(enrollments__lecture_id=lecture_id, enrollments__tenant_id=tenant_id)
    return students.select_related("user").order_by("name", "id")


def removed_students_of(tenant_id: int, *, search: str | None = None) -> QuerySet[Student]:
    """Return the academy's removed students with their accounts, the most recently removed first."""
    students = _found(rows_of(tenant_id, Student).filter(deleted_at__isnull=False), search)
    return students.select_related("user").order_by("-deleted_at", "-id")


def _found(students: QuerySet[Student], search: str | None) -> QuerySet[Student]:
    """Select the students that have each word of the search in their name, school or phones.

    Hangul is also found by initial consonants. No index helps to find a part of a text, so PostgreSQL reads all the
    academy's students: about 20 ms for 10,000.
    """
    for word in (search or "").split():
        digits, pattern = word.replace("-", ""), search_pattern(word)
        if pattern is None:
            wanted = Q(name__icontains=word) | Q(school__icontains=word)
        else:
            wanted = Q(name__regex=pattern) | Q(school__regex=pattern)
        if digits.isdecimal():
            wanted |= Q(parent_phone__contains=digits) | Q(phone__contains=digits)
        students = students.filter(wanted)
    return students


def find_student(tenant_id: int, student_id: int) -> Student | None:
    return students_of(tenant_id).filter(id=student_id).first()


def find_removed_student(tenant_id: int, student_id: int) -> Student | None:
    return removed_students_of(tenant_id).filter(id=student_id).first()


def change_student(
    tenant_id: int, student_id: int, changes: Mapping[str, Any], *, by: int | None = None
) -> Student | None:
    """Change the name, phone, parent_phone, school or grade of a student, and return the student.

    The values must be normalised. Fields that `changes` does not name are not written, so that changes by another
    transaction stay. `by` is the id of the user, for the history. Return None if there is no such student. Raises
    StudentExistsError if another active student has the new name and parent's phone.
    """
    with transaction.atomic():
        lock_students(tenant_id)
        student = find_student(tenant_id, student_id)
        if student is None:
            return None
        changed = [column.value for column in Column if changes.get(column, value := getattr(student, column)) != value]
        if not changed:
            return student
        for field in changed:
            setattr(student, field, changes[field])
        _check_unique(student)
        if Column.PARENT_PHONE in changed:
            revoke_users(tenant_id, student.parent.user_id)
            student.parent, _ = Parent.objects.get_or_create(tenant_id=tenant_id, phone=student.parent_phone)
        student.save(update_fields=[*changed, "parent", "updated_at"])
        rows_of(tenant_id, User).filter(id=student.user_id).update(name=student.name)
        note_change(tenant_id, student_id, "changed", by=by, fields=changed)
    return student


def delete_student(tenant_id: int, student_id: int, *, by: int | None = None) -> bool:
    """Mark a student as deleted and close its account. Return False if there is no such student.

    `by` is the id of the user, for the history.
    """
    with transaction.atomic():
        lock_students(tenant_id)
        student = find_student(tenant_id, student_id)
        if student is None:
            return False
        student.deleted_at = timezone.now()
        student.save(update_fields=["deleted_at", "updated_at"])
        rows_of(tenant_id, User).filter(id=student.user_id).update(is_active=False)
        revoke_users(tenant_id, student.user_id, student.parent.user_id)
        note_change(tenant_id, student_id, "removed", by=by)
        return True


def bring_back_student(tenant_id: int, student_id: int, *, by: int | None = None) -> Student | None:
    """Restore a removed student and its account, and return the student.

    If the student was not removed, return the student unchanged. Return None if there is no such student. `by` is the
    id of the user, for the history. Raises StudentExistsError if another active student has the same name and parent's
    phone.
    """
    with transaction.atomic():
        lock_students(tenant_id)
        student = find_removed_student(tenant_id, student_id)
        if student is None:
            return find_student(tenant_id, student_id)
        _check_unique(student)
        _restore(student, ["deleted_at"])
        note_change(tenant_id, student_id, "restored", by=by)
    return student


def _restore(student: Student, fields: list[str]) -> None:
    """Save these fields of a removed student, and let the student sign in again."""
    student.deleted_at = None
    student.save(update_fields=[*fields, "updated_at"])
    rows_of(student.tenant_id, User).filter(id=student.user_id).update(is_active=True)
    TenantMembership.objects.get_or_create(
        tenant_id=student.tenant_id, user_id=student.user_id, defaults={"role": Role.STUDENT.value}
    )


def _check_unique(student: Student) -> None:
    """Raise StudentExistsError if another active student has this name and this parent's phone.

    The caller must hold the lock of `lock_students`.
    """
    same = find_active_student(student.tenant_id, student.name, student.parent_phone)
    if same not in (None, student.pk):
        raise StudentExistsError
