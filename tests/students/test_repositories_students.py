import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from academy.adapters.db.django import repositories_lectures as lectures
from academy.adapters.db.django import repositories_students as students
from academy.adapters.db.django import students_chunk_sql
from apps.core.models import LoginSession, User
from apps.domains.lectures.models import Enrollment
from apps.domains.students.models import Parent
from realtime.models import OutboxEntry
from realtime.outbox.revoke import REVOCATION
from tests.students.people import Academy, phone


def test_active_and_newest_deleted_students_are_found_by_name_and_phone(academy: Academy) -> None:
    now, other = timezone.now(), Academy()
    active = academy.student("가", phone(1))
    academy.student("가", phone(2), deleted_at=now - timedelta(days=2))
    newest = academy.student("가", phone(2), deleted_at=now - timedelta(days=1))
    other.student("나", phone(1))
    other.student("나", phone(2), deleted_at=now)
    keys = [("가", phone(1)), ("가", phone(2)), ("나", phone(1)), ("나", phone(2)), ("다", phone(1))]
    assert students.student_batch_filter_by_name_phone(academy.id, keys) == {("가", phone(1)): active.pk}
    assert students.student_batch_filter_deleted_by_name_phone(academy.id, keys) == {("가", phone(2)): newest.pk}
    assert students.student_batch_filter_by_name_phone(academy.id, []) == {}


def test_the_list_is_searched_by_name_school_and_phones(academy: Academy) -> None:
    one = academy.student("김민준", phone(12345678), school="한빛중")
    two = academy.student("이서연", phone(2), phone=phone(87654321))
    academy.student("박지호", phone(3), deleted_at=timezone.now())
    Academy().student("김민준", phone(12345678))
    lecture = academy.lecture()
    Enrollment.objects.create(tenant=academy.tenant, lecture=lecture, student=two)

    def found(**wanted: str | int) -> list[int]:
        return [student.pk for student in students.students_of(academy.id, **wanted)]  # type: ignore[arg-type]

    assert found() == [one.pk, two.pk]
    assert (
        found(search="민준") == found(search="한빛") == found(search="1234-5678") == found(search="김 한빛") == [one.pk]
    )
    assert found(search="8765") == found(lecture_id=lecture.pk) == [two.pk]
    assert found(search="민준", lecture_id=lecture.pk) == found(search="%") == []


def test_another_academys_student_is_not_found(academy: Academy) -> None:
    mine, other = academy.student("가", phone(1)), Academy()
    assert students.find_student(academy.id, mine.pk) == mine
    assert students.find_student(other.id, mine.pk) is None
    assert students.change_student(other.id, mine.pk, {"name": "나"}) is None
    assert not students.delete_student(other.id, mine.pk)


def test_changing_a_student_changes_the_name_and_the_parent(academy: Academy) -> None:
    student = academy.student("가", phone(1), school="한빛중")
    changed = students.change_student(academy.id, student.pk, {"name": "나", "parent_phone": phone(2)})
    assert changed is not None
    student.refresh_from_db()
    assert (student.name, student.user.name, student.parent.phone, student.school) == ("나", "나", phone(2), "한빛중")
    assert Parent.objects.filter(tenant=academy.tenant).count() == 2


def test_a_student_cannot_be_changed_into_a_duplicate(academy: Academy) -> None:
    academy.student("가", phone(1))
    student = academy.student("나", phone(1))
    with pytest.raises(students.StudentExistsError, match="another student"):
        students.change_student(academy.id, student.pk, {"name": "가"})
    student.refresh_from_db()
    assert student.name == "나"


def test_a_deleted_student_is_signed_out_and_marked(academy: Academy) -> None:
    student = academy.student("가", phone(1))
    now = timezone.now()
    session = LoginSession.objects.create(
        user=student.user, token_id="0" * 32, rotated_at=now, expires_at=now + timedelta(days=1)
    )
    assert students.delete_student(academy.id, student.pk)
    assert not students.delete_student(academy.id, student.pk)
    student.refresh_from_db()
    session.refresh_from_db()
    assert student.deleted_at is not None
    assert session.ended_at is not None
    assert not student.user.is_active
    assert students.find_student(academy.id, student.pk) is None
    assert revoked(academy) == {f"user:{student.user_id}", f"session:{session.pk}"}


def revoked(academy: Academy) -> set[str]:
    rows = OutboxEntry.objects.filter(kind=REVOCATION, tenant_id=academy.id)
    return set(rows.values_list("payload__subject", flat=True))


def with_account(parent: Parent) -> Parent:
    parent.user = User.objects.create(tenant=parent.tenant, username=f"parent-{parent.phone}")
    parent.save()
    return parent


def test_a_parent_cannot_watch_a_deleted_child_or_another_parents_child(academy: Academy) -> None:
    deleted, moved, stays = (academy.student(name, phone(number)) for number, name in enumerate("가나다"))
    parents = [with_account(student.parent) for student in (deleted, moved, stays)]
    students.delete_student(academy.id, deleted.pk)
    students.change_student(academy.id, moved.pk, {"parent_phone": phone(9)})
    students.change_student(academy.id, stays.pk, {"school": "한빛중"})
    assert revoked(academy) == {f"user:{user}" for user in (deleted.user_id, parents[0].user_id, parents[1].user_id)}


def test_the_end_of_an_enrolment_ends_the_students_connections(academy: Academy) -> None:
    student = academy.student("가", phone(1))
    parent, other = with_account(student.parent), Academy()
    enrolment = Enrollment.objects.create(tenant=academy.tenant, lecture=academy.lecture(), student=student)
    assert not lectures.delete_enrolment(other.id, enrolment.pk)
    assert revoked(academy) == revoked(other) == set()
    assert lectures.delete_enrolment(academy.id, enrolment.pk)
    assert revoked(academy) == {f"user:{student.user_id}", f"user:{parent.user_id}"}
    assert not lectures.delete_enrolment(academy.id, enrolment.pk)


# --- indexes ----------------------------------------------------------------------------------------------------------

STUDENTS, CHUNK = 100_000, 200


def fill(academy: Academy) -> None:
    """Create 100,000 students in three academies, and delete every fourth student."""
    others = [Academy().id, Academy().id]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE TEMPORARY TABLE filling AS
            SELECT number, (%s::bigint[])[1 + number %% 3] AS tenant_id, '010' || lpad(number::text, 8, '0') AS phone
            FROM generate_series(1, %s) AS number;
            ANALYZE filling;
            INSERT INTO "user" (tenant_id, username, name, password, is_active, is_superuser,
                                must_change_password, created_at)
            SELECT tenant_id, 'u' || number, 'x', '!', true, false, true, now() FROM filling;
            INSERT INTO parents (tenant_id, name, phone, created_at) SELECT tenant_id, '', phone, now() FROM filling;
            ANALYZE "user", parents;
            INSERT INTO students (tenant_id, user_id, parent_id, name, phone, parent_phone, school, grade,
                                  created_at, updated_at, deleted_at)
            SELECT filling.tenant_id, "user".id, parents.id, '학생' || number %% 5000, '', filling.phone, '', '',
                   now(), now(), CASE WHEN number %% 4 = 0 THEN now() END
            FROM filling JOIN "user" ON username = 'u' || number AND "user".tenant_id = filling.tenant_id
            JOIN parents ON parents.phone = filling.phone AND parents.tenant_id = filling.tenant_id;
            DROP TABLE filling;
            """,
            [[academy.id, *others], STUDENTS],
        )


def test_the_queries_of_a_chunk_look_up_each_student_in_their_index(academy: Academy) -> None:
    """During a first large import, PostgreSQL has no statistics of the table."""
    fill(academy)
    check_plans(academy)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE students")
    check_plans(academy)


def check_plans(academy: Academy) -> None:
    numbers = [number * 3 for number in range(1, CHUNK + 1)]
    parameters: list[Any] = [
        [f"학생{number % 5000}" for number in numbers],
        [phone(number) for number in numbers],
        academy.id,
    ]
    for statement, index, rows in (
        (students_chunk_sql.FIND_ACTIVE, "idx_student_tenant_name_phone", 150),
        (students_chunk_sql.FIND_NEWEST_DELETED, "idx_student_tenant_name_phone_deleted", 50),
    ):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
            answer = cursor.fetchone()[0]
        plan = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
        scans = [node for node in nodes(plan) if node.get("Relation Name") == "students" or "Index Name" in node]
        assert {node.get("Index Name") for node in scans} == {index}, plan
        read = sum(
            node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) for node in scans
        )
        assert read == pytest.approx(rows, abs=CHUNK), plan
        assert plan["Actual Rows"] == rows


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    below = plan.get("Plans", [])
    assert isinstance(below, list)
    return [plan, *(node for child in below for node in nodes(child))]
