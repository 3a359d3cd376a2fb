"""Bulk and row-by-row imports have the same results for any rows and any existing students."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from academy.adapters.db.django.repositories_imports import ImportTotals
from academy.domain.student_rows import ProblemCode, RowProblem, StudentRow
from apps.core.models import TenantMembership, User
from apps.domains.ai.models import ImportedRow
from apps.domains.lectures.models import Enrollment, Lecture
from apps.domains.students.models import Parent, Student
from apps.domains.students.services import bulk_from_excel
from apps.domains.students.services.bulk_from_excel import (
    bulk_create_students_from_excel_rows,
    bulk_create_students_from_excel_rows_optimized,
)
from apps.domains.students.services.lecture_enroll import get_or_create_student_for_lecture_enroll
from tests.students.people import Academy, Row, phone

NAMES, PHONES = ("가", "나", "a"), (phone(1), phone(2))
SMALL_CHUNK = 3


@dataclass(frozen=True)
class Before:
    """A student who exists, or was deleted, before the import."""

    name: str
    parent_phone: str
    deleted_days_ago: int | None
    active: bool
    member: bool
    enrolled: bool


names, phones = st.sampled_from(NAMES), st.sampled_from(PHONES)
good_rows = st.builds(
    StudentRow,
    st.just(0),
    names,
    phones,
    st.sampled_from(["", phone(3)]),
    st.sampled_from(["", "새봄중"]),
    st.sampled_from(["", "3"]),
)
bad_rows = st.builds(RowProblem, st.just(0), st.sampled_from(ProblemCode), names)
row_lists = st.lists(st.one_of(good_rows, good_rows, good_rows, bad_rows), max_size=10)
befores = st.lists(
    st.builds(Before, names, phones, st.none() | st.integers(1, 3), st.booleans(), st.booleans(), st.booleans()),
    max_size=8,
    # Among students who are not deleted, a unique index allows only one with the same name and parent's phone.
    unique_by=lambda before: (before.name, before.parent_phone, before.deleted_days_ago),
)


def numbered(rows: list[Row]) -> list[Row]:
    kinds: dict[type, Callable[..., Row]] = {StudentRow: StudentRow, RowProblem: RowProblem}
    return [
        kinds[type(row)](line, *(getattr(row, name) for name in type(row).__slots__ if name != "line"))
        for line, row in enumerate(rows, start=4)
    ]


def begin(befores: list[Before], now: Any) -> tuple[Academy, Lecture, dict[int, int]]:
    """Create an academy with these students and a lecture.

    Return the academy, the lecture, and a dict from each student's key to the student's index in `befores`.
    """
    academy = Academy()
    lecture, keys = academy.lecture(), {}
    for number, before in enumerate(befores):
        days = before.deleted_days_ago
        deleted_at = None if days is None else now - timedelta(days=days)
        known = {"phone": phone(number), "school": f"학교{number}", "grade": "1"}
        student = academy.student(before.name, before.parent_phone, deleted_at=deleted_at, **known)
        User.objects.filter(id=student.user_id).update(is_active=before.active)
        if not before.member:
            TenantMembership.objects.filter(user_id=student.user_id).delete()
        if before.enrolled:
            Enrollment.objects.create(tenant=academy.tenant, lecture=lecture, student=student)
        keys[student.pk] = number
    return academy, lecture, keys


def tables(academy: Academy, keys: dict[int, int]) -> dict[str, Any]:
    """Return all rows of the academy, without the values that differ in each run: keys, usernames and times."""
    mine = {"tenant": academy.tenant}

    def known(student: Student) -> Any:
        return keys.get(student.pk, "new")

    students = Student.objects.filter(**mine).select_related("user", "parent").order_by("id")
    outcomes = ImportedRow.objects.filter(job__tenant=academy.tenant).select_related("student").order_by("line")
    return {
        "students": sorted(
            [
                *(
                    str(known(student)),
                    student.name,
                    student.parent_phone,
                    student.phone,
                    student.school,
                    student.grade,
                ),
                *(student.deleted_at is None, student.parent.phone, student.parent.tenant_id == academy.id),
                *(student.user.name, student.user.password, student.user.is_active, student.user.must_change_password),
                sorted(TenantMembership.objects.filter(user=student.user).values_list("role", flat=True)),
                Enrollment.objects.filter(student=student, **mine).count(),
            ]
            for student in students
        ),
        "users": User.objects.filter(**mine).count(),
        "parents": sorted(Parent.objects.filter(**mine).values_list("phone", "name", "user")),
        "outcomes": [
            [
                row.line,
                row.outcome,
                row.code,
                row.reason,
                row.name,
                row.student and [known(row.student), row.student.name],
            ]
            for row in outcomes
        ],
    }


def run(
    work: Callable[..., ImportTotals], rows: list[Row], befores: list[Before], now: Any, enroll: bool
) -> tuple[ImportTotals, dict[str, Any]]:
    academy, lecture, keys = begin(befores, now)
    totals = academy.run(rows, work, lecture_id=lecture.pk if enroll else None, password_hash="the hash")
    return totals, tables(academy, keys)


every_example = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.django_db(transaction=True)
@every_example
@given(row_lists, befores, st.booleans())
def test_bulk_and_row_by_row_imports_give_the_same_outcomes_and_tables(
    rows: list[Row], befores: list[Before], enroll: bool
) -> None:
    rows, now = numbered(rows), timezone.now()
    bystander, _, its_keys = begin(befores, now)
    untouched = tables(bystander, its_keys)
    with mock.patch.object(bulk_from_excel, "CHUNK_ROWS", SMALL_CHUNK):
        bulk = run(bulk_create_students_from_excel_rows_optimized, rows, befores, now, enroll)
    assert bulk == run(bulk_create_students_from_excel_rows, rows, befores, now, enroll)
    assert tables(bystander, its_keys) == untouched


@pytest.mark.django_db(transaction=True)
@every_example
@given(good_rows, befores, st.booleans())
def test_a_single_enrolment_has_the_outcome_of_a_bulk_import(
    row: StudentRow, befores: list[Before], enroll: bool
) -> None:
    now = timezone.now()
    totals, bulk = run(bulk_create_students_from_excel_rows_optimized, [row], befores, now, enroll)
    academy, lecture, keys = begin(befores, now)
    enrolled = get_or_create_student_for_lecture_enroll(
        tenant_id=academy.id, row=row, lecture_id=lecture.pk if enroll else None, password_hash="the hash"
    )
    assert totals.as_result()[enrolled.outcome] == 1
    assert {**bulk, "outcomes": []} == tables(academy, keys)
