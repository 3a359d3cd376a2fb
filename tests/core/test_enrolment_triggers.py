"""Tests that any end of an enrolment revokes the tickets of the student and the parents."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import connection

from academy.adapters.db.django.repositories_lectures import delete_enrolment
from academy.domain.roles import Role
from apps.core.models import Tenant, TenantMembership, User
from apps.domains.lectures.models import Enrollment, Lecture
from apps.domains.students.models import Parent, Student
from realtime.models import OutboxEntry
from realtime.outbox.revoke import REVOCATION

pytestmark = pytest.mark.django_db


def account(tenant: Tenant, role: Role) -> User:
    user = User.objects.create(tenant=tenant, username=f"{uuid4()}")
    TenantMembership.objects.create(tenant=tenant, user=user, role=role)
    return user


@pytest.fixture
def enrolment(tenant: Tenant) -> Enrollment:
    parent = Parent.objects.create(tenant=tenant, phone="01011112222", user=account(tenant, Role.PARENT))
    user = account(tenant, Role.STUDENT)
    student = Student.objects.create(tenant=tenant, user=user, parent=parent, name="이하나", parent_phone="01011112222")
    lecture = Lecture.objects.create(tenant=tenant, title="수학")
    return Enrollment.objects.create(tenant=tenant, lecture=lecture, student=student)


def revoked() -> list[str]:
    """Return the subjects of the revocations in the outbox."""
    rows = OutboxEntry.objects.filter(kind=REVOCATION).values_list("payload", flat=True)
    return sorted(payload["subject"] for payload in rows)


def by_sql(text: str) -> Callable[[Enrollment], None]:
    def change(enrolment: Enrollment) -> None:
        with connection.cursor() as cursor:
            cursor.execute(text, {"enrolment": enrolment.pk, "student": enrolment.student_id})

    return change


def moved(enrolment: Enrollment) -> None:
    enrolment.lecture = Lecture.objects.create(tenant=enrolment.tenant, title="영어")
    enrolment.save()


ENDING: dict[str, Callable[[Enrollment], object]] = {
    "deleted in a shell": lambda enrolment: Enrollment.objects.filter(pk=enrolment.pk).delete(),
    "deleted in SQL": by_sql("DELETE FROM enrollment WHERE id = %(enrolment)s"),
    "moved to another lecture": moved,
    "its lecture deleted": lambda enrolment: Lecture.objects.filter(pk=enrolment.lecture_id).delete(),
    "its student marked as deleted": by_sql("UPDATE students SET deleted_at = now() WHERE id = %(student)s"),
    "by the API": lambda enrolment: delete_enrolment(enrolment.tenant_id, enrolment.pk),
}


@pytest.mark.parametrize("what", ENDING)
def test_an_enrolment_that_ends_revokes_the_student_and_the_parent_once(enrolment: Enrollment, what: str) -> None:
    student = enrolment.student
    expected = sorted(f"user:{user_id}" for user_id in (student.user_id, student.parent.user_id))
    ENDING[what](enrolment)
    assert revoked() == expected


def test_a_parent_is_revoked_when_the_child_gets_another_parent(enrolment: Enrollment, tenant: Tenant) -> None:
    student, old = enrolment.student, enrolment.student.parent
    student.parent = Parent.objects.create(tenant=tenant, phone="01033334444", user=account(tenant, Role.PARENT))
    student.save()
    assert revoked() == [f"user:{old.user_id}"]


def test_other_changes_of_a_student_revoke_nobody(enrolment: Enrollment) -> None:
    enrolment.student.name = "이두리"
    enrolment.student.save()
    enrolment.save()
    assert revoked() == []


def test_a_parent_without_an_account_is_left_out(enrolment: Enrollment) -> None:
    Parent.objects.update(user=None)
    Enrollment.objects.filter(pk=enrolment.pk).delete()
    assert revoked() == [f"user:{enrolment.student.user_id}"]
