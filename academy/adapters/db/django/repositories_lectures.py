"""Queries on lectures and enrolments."""

from typing import Any

from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet

from academy.adapters.db.django.repositories_core import revoke_users
from academy.adapters.db.django.session_triggers import revoked_by_caller
from academy.adapters.db.django.tenancy import rows_of
from apps.domains.lectures.models import Enrollment, Lecture, Session


def lectures_of(tenant_id: int, *, search: str | None = None) -> QuerySet[Lecture]:
    """Return the academy's lectures, sorted by title, each with `student_count`. `search` searches the titles."""
    present = Count("enrollments", filter=Q(enrollments__student__deleted_at=None))
    lectures = rows_of(tenant_id, Lecture).annotate(student_count=present).order_by("title", "id")
    return lectures.filter(title__icontains=search) if search else lectures


def find_lecture(tenant_id: int, lecture_id: int) -> Lecture | None:
    return lectures_of(tenant_id).filter(pk=lecture_id).first()


def create_lecture(tenant_id: int, fields: dict[str, Any]) -> Lecture:
    return Lecture.objects.create(tenant_id=tenant_id, **fields)


def change_lecture(tenant_id: int, lecture_id: int, fields: dict[str, Any]) -> bool:
    """Change a lecture. Return False if there is no such lecture."""
    if not fields:
        return find_lecture(tenant_id, lecture_id) is not None
    return bool(rows_of(tenant_id, Lecture).filter(pk=lecture_id).update(**fields))


def sessions_of(tenant_id: int, lecture_id: int) -> QuerySet[Session]:
    """Return the lessons of a lecture, in their order."""
    return rows_of(tenant_id, Session).filter(lecture_id=lecture_id).order_by("order")


def session_exists(tenant_id: int, session_id: int) -> bool:
    return rows_of(tenant_id, Session).filter(pk=session_id).exists()


def lock_session(tenant_id: int, session_id: int) -> bool:
    """Keep a lesson from being deleted until the transaction ends. Return False if there is no such lesson."""
    return bool(rows_of(tenant_id, Session).select_for_update(no_key=True).filter(pk=session_id).first())


def add_session(tenant_id: int, lecture_id: int, title: str) -> Session | None:
    """Add a lesson at the end of a lecture, and return it. Return None if there is no such lecture."""
    with transaction.atomic():
        # Lock the lecture, because two lessons added at the same moment would get the same number.
        if rows_of(tenant_id, Lecture).select_for_update().filter(pk=lecture_id).first() is None:
            return None
        last = sessions_of(tenant_id, lecture_id).aggregate(last=Max("order"))["last"] or 0
        return Session.objects.create(tenant_id=tenant_id, lecture_id=lecture_id, title=title, order=last + 1)


def enrolments_of(
    tenant_id: int, *, lecture_id: int | None = None, student_id: int | None = None
) -> QuerySet[Enrollment]:
    """Return the enrolments, newest first, with their students and lectures.

    Enrolments of deleted students are left out.
    """
    rows = rows_of(tenant_id, Enrollment).filter(student__deleted_at=None).select_related("student", "lecture")
    if lecture_id is not None:
        rows = rows.filter(lecture_id=lecture_id)
    if student_id is not None:
        rows = rows.filter(student_id=student_id)
    return rows.order_by("-created_at", "-id")


def delete_enrolment(tenant_id: int, enrolment_id: int) -> bool:
    """Delete an enrolment. Return False if there is no such enrolment.

    Revoke the tokens of the student and the parent, who may no longer watch the videos of the lecture.
    """
    with transaction.atomic():
        enrolments = rows_of(tenant_id, Enrollment).filter(pk=enrolment_id)
        concerned = enrolments.values_list("student__user_id", "student__parent__user_id").first()
        with revoked_by_caller():
            deleted, _ = enrolments.delete()
        revoke_users(tenant_id, *(concerned or ()))
    return bool(deleted)
