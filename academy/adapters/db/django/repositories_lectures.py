"""Queries on lectures, their lessons, and enrolments."""

from collections.abc import Collection
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import transaction
from django.db.models import Count, F, IntegerField, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from academy.adapters.db.django.repositories_core import revoke_users
from academy.adapters.db.django.repositories_students import students_of
from academy.adapters.db.django.session_triggers import revoked_by_caller
from academy.adapters.db.django.tenancy import rows_of
from apps.domains.lectures.models import Enrollment, Lecture, Session
from apps.domains.students.models import Student
from apps.support.video.models import Video


class HasVideosError(Exception):
    """The lecture or the lesson has videos, or had videos that were deleted in the last two days.

    The rows of deleted videos stay for two days. Deleting them earlier would leave their files behind.
    """


class UnknownStudentsError(Exception):
    """The academy has no active students with the ids in `student_ids`."""

    def __init__(self, student_ids: list[int]) -> None:
        super().__init__(student_ids)
        self.student_ids = student_ids


def lectures_of(tenant_id: int, *, search: str | None = None, active: bool | None = None) -> QuerySet[Lecture]:
    """Return the academy's lectures, sorted by title, each with `student_count` and `video_count`.

    `search` searches the titles. `active` selects the lectures that are active, or those that are archived.
    """
    present = rows_of(tenant_id, Enrollment).filter(lecture=OuterRef("pk"), student__deleted_at=None)
    videos = rows_of(tenant_id, Video).filter(session__lecture=OuterRef("pk"), deleted_at=None)
    lectures = rows_of(tenant_id, Lecture).annotate(
        student_count=_count(present, "lecture"), video_count=_count(videos, "session__lecture")
    )
    if search:
        lectures = lectures.filter(title__icontains=search)
    if active is not None:
        lectures = lectures.filter(active=active)
    return lectures.order_by("title", "id")


def _count(rows: QuerySet[Any], group: str) -> Coalesce:
    """Return the SQL expression for the number of these rows. All must have the same value in the column `group`."""
    counted = rows.order_by().values(group).annotate(rows=Count("pk")).values("rows")
    return Coalesce(Subquery(counted), 0, output_field=IntegerField())


def find_lecture(tenant_id: int, lecture_id: int) -> Lecture | None:
    return lectures_of(tenant_id).filter(pk=lecture_id).first()


def create_lecture(tenant_id: int, fields: dict[str, Any]) -> Lecture:
    return Lecture.objects.create(tenant_id=tenant_id, **fields)


def change_lecture(tenant_id: int, lecture_id: int, fields: dict[str, Any]) -> bool:
    """Change a lecture. Return False if there is no such lecture."""
    if not fields:
        return find_lecture(tenant_id, lecture_id) is not None
    return bool(rows_of(tenant_id, Lecture).filter(pk=lecture_id).update(**fields))


def delete_lecture(tenant_id: int, lecture_id: int) -> bool:
    """Delete a lecture, its lessons and its enrolments.

    Return False if there is no such lecture. Raises HasVideosError if the lecture has videos. Triggers revoke the
    tickets of the enrolled students and their parents.
    """
    with transaction.atomic():
        lecture = rows_of(tenant_id, Lecture).select_for_update().filter(pk=lecture_id).first()
        if lecture is None:
            return False
        # Lock the lessons: adding a video needs the lock of its lesson, so no video can be added after the check below.
        list(sessions_of(tenant_id, lecture_id).select_for_update())
        if rows_of(tenant_id, Video).filter(session__lecture=lecture_id).exists():
            raise HasVideosError
        lecture.delete()
    return True


def lectures_attended(tenant_id: int, user_id: int) -> QuerySet[Lecture]:
    """Return the lectures that this student, or a child of this parent, attends, sorted by title.

    Each has `students`, the names of the student or of the parent's children who attend it, and `video_count`, the
    number of its READY videos.
    """
    videos = rows_of(tenant_id, Video).filter(session__lecture=OuterRef("pk"), deleted_at=None, status="READY")
    attended = rows_of(tenant_id, Lecture).filter(_attended_by(user_id), enrollments__tenant_id=tenant_id)
    return attended.annotate(
        students=ArrayAgg("enrollments__student__name", distinct=True),
        video_count=_count(videos, "session__lecture"),
    ).order_by("title", "id")


def lectures_visible_to(tenant_id: int, user_id: int, lecture_ids: set[int]) -> set[int]:
    """Return the ids, among `lecture_ids`, of the lectures that this student, or a child of this parent, attends."""
    attended = rows_of(tenant_id, Lecture).filter(_attended_by(user_id), enrollments__tenant_id=tenant_id)
    return set(attended.filter(pk__in=lecture_ids).values_list("pk", flat=True))


def _attended_by(user_id: int) -> Q:
    attends = Q(enrollments__student__user_id=user_id) | Q(enrollments__student__parent__user_id=user_id)
    return attends & Q(enrollments__student__deleted_at=None)


def count_video_change(tenant_id: int, session_id: int) -> tuple[int, int]:
    """Count a change of the READY videos of a lesson's lecture. Return the lecture's id and the number of the change.

    The lecture stays locked until the transaction ends, so that each change has a number of its own.
    """
    lecture = rows_of(tenant_id, Lecture).filter(sessions=session_id)
    lecture.update(video_changes=F("video_changes") + 1)
    return lecture.values_list("pk", "video_changes").get()


def sessions_of(tenant_id: int, lecture_id: int) -> QuerySet[Session]:
    """Return the lessons of a lecture, in their order."""
    return rows_of(tenant_id, Session).filter(lecture_id=lecture_id).order_by("order")


def lessons_of(tenant_id: int, *, lecture_id: int | None = None, session_id: int | None = None) -> QuerySet[Session]:
    """Return the lessons of a lecture, or the lesson with the id `session_id`, each with `video_count`."""
    videos = rows_of(tenant_id, Video).filter(session=OuterRef("pk"), deleted_at=None)
    lessons = rows_of(tenant_id, Session).annotate(video_count=_count(videos, "session"))
    if lecture_id is not None:
        lessons = lessons.filter(lecture_id=lecture_id)
    if session_id is not None:
        lessons = lessons.filter(pk=session_id)
    return lessons.order_by("order")


def session_exists(tenant_id: int, session_id: int) -> bool:
    return rows_of(tenant_id, Session).filter(pk=session_id).exists()


def lock_session(tenant_id: int, session_id: int) -> bool:
    """Keep a lesson from being deleted until the transaction ends. Return False if there is no such lesson."""
    return bool(rows_of(tenant_id, Session).select_for_update(no_key=True).filter(pk=session_id).first())


def add_session(tenant_id: int, lecture_id: int, title: str) -> Session | None:
    """Add a lesson at the end of a lecture, and return it. Return None if there is no such lecture."""
    with transaction.atomic():
        # Without this lock, two lessons added at the same moment could get the same `order`.
        if rows_of(tenant_id, Lecture).select_for_update().filter(pk=lecture_id).first() is None:
            return None
        last = sessions_of(tenant_id, lecture_id).aggregate(last=Max("order"))["last"] or 0
        return Session.objects.create(tenant_id=tenant_id, lecture_id=lecture_id, title=title, order=last + 1)


def rename_session(tenant_id: int, session_id: int, title: str) -> bool:
    """Give a lesson another title. Return False if there is no such lesson."""
    return bool(rows_of(tenant_id, Session).filter(pk=session_id).update(title=title))


def delete_session(tenant_id: int, session_id: int) -> bool:
    """Delete a lesson. Return False if there is no such lesson. Raises HasVideosError if the lesson has videos."""
    with transaction.atomic():
        session = rows_of(tenant_id, Session).select_for_update().filter(pk=session_id).first()
        if session is None:
            return False
        if rows_of(tenant_id, Video).filter(session=session_id).exists():
            raise HasVideosError
        session.delete()
    return True


def enrolments_of(
    tenant_id: int, *, lecture_id: int | None = None, student_id: int | None = None, search: str | None = None
) -> QuerySet[Enrollment]:
    """Return the enrolments, newest first, with their students and lectures.

    Enrolments of deleted students are left out. `search` searches the students, as in the list of students.
    """
    rows = rows_of(tenant_id, Enrollment).filter(student__deleted_at=None).select_related("student", "lecture")
    if lecture_id is not None:
        rows = rows.filter(lecture_id=lecture_id)
    if student_id is not None:
        rows = rows.filter(student_id=student_id)
    if search:
        rows = rows.filter(student__in=students_of(tenant_id, search=search).order_by().values("pk"))
    return rows.order_by("-created_at", "-id")


def enroll_students(tenant_id: int, lecture_id: int, student_ids: Collection[int]) -> int:
    """Enrol students in a lecture. Return the number of those who were not enrolled before.

    Raises UnknownStudentsError, and enrols nobody, if an id is not of an active student of this academy. The caller
    must have checked that the lecture belongs to this academy.
    """
    with transaction.atomic():
        # Lock the students, so that none is deleted meanwhile.
        found = rows_of(tenant_id, Student).filter(pk__in=student_ids, deleted_at=None)
        present = set(found.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
        if absent := set(student_ids) - present:
            raise UnknownStudentsError(sorted(absent))
        enrolled = rows_of(tenant_id, Enrollment).filter(lecture_id=lecture_id, student_id__in=present)
        before = set(enrolled.values_list("student_id", flat=True))
        rows_of(tenant_id, Enrollment).bulk_create(
            [
                Enrollment(tenant_id=tenant_id, lecture_id=lecture_id, student_id=student_id)
                for student_id in sorted(present - before)
            ],
            ignore_conflicts=True,  # somebody else may enrol the same student at the same moment
        )
    return len(present - before)


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
