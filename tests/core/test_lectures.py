"""Tests of lectures, lessons and enrolments over HTTP, and of what students and parents see of their lectures."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from academy.domain.lectures import MAX_ENROLLED_AT_ONCE
from academy.domain.roles import Role
from apps.core.models import Tenant, TenantMembership, User
from apps.core.tokens import Caller, access_token
from apps.domains.lectures.models import Enrollment, Lecture, Session
from apps.domains.students.models import Parent, Student
from apps.support.video.models import Video
from realtime.models import OutboxEntry
from tests.core.conftest import Asks


def make_student(tenant: Tenant, name: str, parent: Parent | None = None) -> Student:
    user = User.objects.create(tenant=tenant, username=f"s-{uuid4()}")
    parent = parent or Parent.objects.create(tenant=tenant, phone=f"010{uuid4().int % 10**8:08}")
    return Student.objects.create(tenant=tenant, user=user, parent=parent, name=name, parent_phone=parent.phone)


def make_video(lecture: Lecture, status: str = "READY", **fields: Any) -> Video:
    session = Session.objects.create(
        tenant=lecture.tenant, lecture=lecture, title="1", order=lecture.sessions.count() + 1
    )
    return Video.objects.create(tenant=lecture.tenant, session=session, title="V", status=status, **fields)


def client_of(tenant: Tenant, user: User, role: Role) -> Client:
    TenantMembership.objects.create(tenant=tenant, user=user, role=role)
    caller = Caller(user.pk, uuid4(), tenant.pk, tenant.code, role, "somebody", must_change_password=False)
    headers = {"Authorization": f"Bearer {access_token(caller)}", "Host": "localhost"}
    return Client(raise_request_exception=False, headers=headers)


@pytest.fixture
def lecture(tenant: Tenant) -> Lecture:
    return Lecture.objects.create(tenant=tenant, title="중등 수학")


@pytest.fixture
def other() -> Tenant:
    return Tenant.objects.create(code="saebom", name="Saebom")


def enrol(client: Client, lecture: Lecture, students: list[int]) -> Any:
    path = f"/api/v1/lectures/{lecture.pk}/students/"
    return client.post(path, {"students": students}, content_type="application/json")


def delete(client: Client, path: str) -> tuple[int, str | None]:
    answer = client.delete(f"/api/v1/{path}/")
    return answer.status_code, answer.json()["code"] if answer.content else None


class TestEnrollingSeveralStudents:
    def test_all_are_enrolled_and_those_who_were_enrolled_before_are_counted(
        self, asks: Asks, tenant: Tenant, lecture: Lecture
    ) -> None:
        students = [make_student(tenant, f"학생{number}").pk for number in range(3)]
        assert enrol(asks(), lecture, students[:1]).json() == {"enrolled": 1, "already": 0}
        answer = enrol(asks(Role.STAFF), lecture, [*students, students[0]])
        assert (answer.status_code, answer.json()) == (200, {"enrolled": 2, "already": 1})
        assert sorted(Enrollment.objects.values_list("student", flat=True)) == students

    def test_any_number_of_students_costs_the_same_number_of_queries(
        self, asks: Asks, tenant: Tenant, lecture: Lecture
    ) -> None:
        client, costs = asks(), []
        for number in (1, 20):
            students = [make_student(tenant, f"학생{number}").pk for _ in range(number)]
            with CaptureQueriesContext(connection) as queries:
                assert enrol(client, lecture, students).status_code == 200
            costs.append(len(queries))
        assert costs[0] == costs[1]

    def test_nobody_is_enrolled_if_one_of_them_is_deleted_or_of_another_academy(
        self, asks: Asks, tenant: Tenant, other: Tenant, lecture: Lecture
    ) -> None:
        mine, deleted, foreign = (
            make_student(tenant, "가"), make_student(tenant, "나"), make_student(other, "다"),
        )  # fmt: skip
        Student.objects.filter(pk=deleted.pk).update(deleted_at=timezone.now())
        for wrong in (deleted.pk, foreign.pk, 10**17):
            answer = enrol(asks(), lecture, [mine.pk, wrong])
            assert (answer.status_code, list(answer.json()["fields"])) == (400, ["students"])
            assert str(wrong) in answer.json()["message"]
        assert not Enrollment.objects.exists()

    @pytest.mark.parametrize(
        "students", [[], [0], [-1], [10**30], "1", None, [None], list(range(1, MAX_ENROLLED_AT_ONCE + 2))]
    )
    def test_what_is_no_list_of_ids_or_too_long_is_refused(self, asks: Asks, lecture: Lecture, students: Any) -> None:
        assert enrol(asks(), lecture, students).status_code == 400

    def test_another_academys_lecture_does_not_exist(self, asks: Asks, tenant: Tenant, other: Tenant) -> None:
        foreign = Lecture.objects.create(tenant=other, title="X")
        assert enrol(asks(), foreign, [make_student(tenant, "가").pk]).status_code == 404

    @pytest.mark.parametrize("role", [Role.TEACHER, Role.STUDENT, Role.PARENT])
    def test_only_the_office_enrols(self, asks: Asks, lecture: Lecture, role: Role) -> None:
        assert enrol(asks(role), lecture, [1]).status_code == 403


def test_enrolments_are_searched_by_student_and_have_what_tells_students_apart(
    asks: Asks, tenant: Tenant, lecture: Lecture
) -> None:
    kim, lee = make_student(tenant, "김하나"), make_student(tenant, "이하나")
    enrol(asks(), lecture, [kim.pk, lee.pk])
    found = asks(Role.TEACHER).get(f"/api/v1/enrolments/?lecture={lecture.pk}&search=김").json()["results"]
    assert [(row["student_name"], row["parent_phone"]) for row in found] == [("김하나", kim.parent_phone)]
    assert {"school", "grade"} < found[0].keys()


def test_the_students_who_do_not_attend_a_lecture_are_listed(asks: Asks, tenant: Tenant, lecture: Lecture) -> None:
    kim, lee = make_student(tenant, "김하나"), make_student(tenant, "이하나")
    enrol(asks(), lecture, [kim.pk])
    found = asks().get(f"/api/v1/students/?not_in_lecture={lecture.pk}&search=하나").json()["results"]
    assert [row["id"] for row in found] == [lee.pk]
    assert asks().get("/api/v1/students/", {"not_in_lecture": "x"}).status_code == 400


def test_the_list_of_lectures_counts_students_and_videos_with_the_same_number_of_queries(
    asks: Asks, tenant: Tenant, lecture: Lecture
) -> None:
    client = asks()
    enrol(client, lecture, [make_student(tenant, "가").pk, make_student(tenant, "나").pk])
    for fields in ({}, {"status": "FAILED"}, {"deleted_at": timezone.now()}):
        make_video(lecture, **fields)
    with CaptureQueriesContext(connection) as one:
        (shown,) = client.get("/api/v1/lectures/").json()["results"]
    assert (shown["student_count"], shown["video_count"]) == (2, 2)
    for number in range(20):
        Lecture.objects.create(tenant=tenant, title=f"{number}")
    with CaptureQueriesContext(connection) as many:
        assert client.get("/api/v1/lectures/").json()["count"] == 21
    assert len(one) == len(many)


def test_archived_lectures_are_listed_apart_and_can_be_taken_back(asks: Asks, lecture: Lecture) -> None:
    client, path = asks(), f"/api/v1/lectures/{lecture.pk}/"

    def listed(**query: str) -> list[int]:
        return [row["id"] for row in client.get("/api/v1/lectures/", query).json()["results"]]

    assert client.patch(path, {"active": False}, content_type="application/json").json()["active"] is False
    assert (listed(active="true"), listed(active="false"), listed()) == ([], [lecture.pk], [lecture.pk])
    client.patch(path, {"active": True}, content_type="application/json")
    assert (listed(active="true"), listed(active="false")) == ([lecture.pk], [])
    assert client.get("/api/v1/lectures/", {"active": "maybe"}).status_code == 400


class TestDeleting:
    def test_a_lecture_without_videos_goes_with_its_lessons_and_enrolments(
        self, asks: Asks, tenant: Tenant, lecture: Lecture
    ) -> None:
        student = make_student(tenant, "가")
        enrol(asks(), lecture, [student.pk])
        Session.objects.create(tenant=tenant, lecture=lecture, title="1", order=1)
        assert delete(asks(), f"lectures/{lecture.pk}") == (204, None)
        assert [model.objects.count() for model in (Lecture, Session, Enrollment)] == [0, 0, 0]
        assert delete(asks(), f"lectures/{lecture.pk}") == (404, "not_found")
        revoked = [entry.payload for entry in OutboxEntry.objects.filter(kind="revocation")]
        assert any(f"user:{student.user_id}" in str(payload) for payload in revoked), revoked

    @pytest.mark.parametrize("fields", [{}, {"status": "FAILED"}, {"deleted_at": timezone.now()}])
    def test_a_lecture_or_lesson_stays_while_a_video_has_a_row(
        self, asks: Asks, lecture: Lecture, fields: dict[str, Any]
    ) -> None:
        video = make_video(lecture, **fields)
        assert delete(asks(), f"lectures/{lecture.pk}") == (409, "has_videos")
        assert delete(asks(), f"lessons/{video.session_id}") == (409, "has_videos")
        assert Video.objects.filter(pk=video.pk).exists()

    def test_another_academy_and_teachers_delete_nothing(self, asks: Asks, other: Tenant, lecture: Lecture) -> None:
        foreign = Lecture.objects.create(tenant=other, title="X")
        lesson = Session.objects.create(tenant=other, lecture=foreign, title="1", order=1)
        assert delete(asks(), f"lectures/{foreign.pk}") == (404, "not_found")
        assert delete(asks(), f"lessons/{lesson.pk}") == (404, "not_found")
        assert delete(asks(Role.TEACHER), f"lectures/{lecture.pk}") == (403, "role_refused")
        assert delete(asks(Role.TEACHER), f"lessons/{lesson.pk}") == (403, "role_refused")
        assert Lecture.objects.count() == 2


def test_lessons_are_listed_added_renamed_and_deleted(asks: Asks, lecture: Lecture) -> None:
    client, path = asks(), f"/api/v1/lectures/{lecture.pk}/lessons/"
    made = [client.post(path, {"title": title}, content_type="application/json") for title in ("1강", "2강")]
    assert [answer.status_code for answer in made] == [201, 201]
    first, second = (answer.json()["id"] for answer in made)
    renamed = client.patch(f"/api/v1/lessons/{first}/", {"title": "첫 시간"}, content_type="application/json")
    assert (renamed.status_code, renamed.json()["title"]) == (200, "첫 시간")
    listed = asks(Role.TEACHER).get(path).json()["results"]
    assert [(row["title"], row["order"], row["video_count"]) for row in listed] == [("첫 시간", 1, 0), ("2강", 2, 0)]
    assert delete(client, f"lessons/{second}") == (204, None)
    assert client.get(f"/api/v1/lessons/{second}/").status_code == 404
    assert (
        client.patch(f"/api/v1/lessons/{second}/", {"title": "x"}, content_type="application/json").status_code == 404
    )


def test_lessons_of_another_academy_do_not_exist(asks: Asks, other: Tenant) -> None:
    foreign = Lecture.objects.create(tenant=other, title="X")
    lesson = Session.objects.create(tenant=other, lecture=foreign, title="1", order=1)
    client, doors = asks(), (f"lectures/{foreign.pk}/lessons/", f"lessons/{lesson.pk}/")
    assert [client.get(f"/api/v1/{door}").status_code for door in doors] == [404, 404]
    assert client.post(f"/api/v1/{doors[0]}", {"title": "x"}, content_type="application/json").status_code == 404
    client.patch(f"/api/v1/{doors[1]}", {"title": "x"}, content_type="application/json")
    lesson.refresh_from_db()
    assert (lesson.title, foreign.sessions.count()) == ("1", 1)


class TestMyLectures:
    @pytest.fixture
    def parent(self, tenant: Tenant) -> Parent:
        user = User.objects.create(tenant=tenant, username="parent")
        return Parent.objects.create(tenant=tenant, phone="01000000009", user=user)

    def test_a_student_and_her_parent_see_the_lectures_that_she_attends(
        self, asks: Asks, tenant: Tenant, lecture: Lecture, parent: Parent
    ) -> None:
        child, sibling = make_student(tenant, "최하나", parent), make_student(tenant, "최두리", parent)
        classmate = make_student(tenant, "반 친구")
        english = Lecture.objects.create(tenant=tenant, title="고등 영어")
        Lecture.objects.create(tenant=tenant, title="남의 강의")
        enrol(asks(), lecture, [child.pk, sibling.pk, classmate.pk])
        enrol(asks(), english, [sibling.pk, classmate.pk])
        for fields in ({}, {"status": "PROCESSING"}, {"deleted_at": timezone.now()}):
            make_video(lecture, **fields)
        of_child = client_of(tenant, child.user, Role.STUDENT).get("/api/v1/my/lectures/").json()
        assert [(row["title"], row["students"], row["video_count"]) for row in of_child["results"]] == [
            ("중등 수학", ["최하나"], 1)
        ]
        assert of_child["results"][0].keys() == {
            "id", "title", "description", "students", "video_count", "video_changes",
        }  # fmt: skip
        assert parent.user is not None
        of_parent = client_of(tenant, parent.user, Role.PARENT).get("/api/v1/my/lectures/").json()
        assert [(row["title"], row["students"]) for row in of_parent["results"]] == [
            ("고등 영어", ["최두리"]), ("중등 수학", ["최두리", "최하나"]),
        ]  # fmt: skip
        assert of_parent["count"] == 2

    def test_any_number_of_lectures_is_listed_in_pages(self, tenant: Tenant) -> None:
        student = make_student(tenant, "가")
        made = Lecture.objects.bulk_create(Lecture(tenant=tenant, title="같은 제목") for _ in range(201))
        Enrollment.objects.bulk_create(Enrollment(tenant=tenant, lecture=each, student=student) for each in made)
        client = client_of(tenant, student.user, Role.STUDENT)
        pages = [client.get(f"/api/v1/my/lectures/?page_size=1000&page={page}").json() for page in (1, 2)]
        assert [(page["count"], len(page["results"])) for page in pages] == [(201, 200), (201, 1)]
        found = [row["id"] for page in pages for row in page["results"]]
        assert found == [each.pk for each in made]

    def test_a_deleted_student_has_none_and_the_faculty_have_no_such_list(
        self, asks: Asks, tenant: Tenant, lecture: Lecture, parent: Parent
    ) -> None:
        child = make_student(tenant, "가", parent)
        enrol(asks(), lecture, [child.pk])
        Student.objects.update(deleted_at=timezone.now())
        assert parent.user is not None
        client = client_of(tenant, parent.user, Role.PARENT)
        assert client.get("/api/v1/my/lectures/").json()["count"] == 0
        for role in (Role.OWNER, Role.STAFF, Role.TEACHER):
            assert asks(role).get("/api/v1/my/lectures/").status_code == 403
