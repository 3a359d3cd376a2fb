"""Tests of the people of an academy: who may manage whom, what a form refuses, and what the list contains."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from redis import Redis

from academy import people
from academy.domain.roles import OFFICE, Role
from apps.core.models import LoginSession, OneTimeCode, Tenant, TenantMembership, User
from apps.core.tokens import Caller, access_token
from apps.domains.students.models import Parent, Student
from realtime.models import OutboxEntry

PEOPLE = "/api/v1/people/"
OTHERS = [Role.TEACHER, Role.STUDENT, Role.PARENT]


def account(tenant: Tenant, role: Role = Role.TEACHER, **fields: Any) -> User:
    user = User.objects.create(tenant=tenant, **{"username": f"{role}-{uuid4()}", "name": "김하나"} | fields)
    TenantMembership.objects.create(tenant=tenant, user=user, role=role)
    return user


def client_of(user: User, role: Role = Role.OWNER) -> Client:
    assert user.tenant is not None
    caller = Caller(user.pk, uuid4(), user.tenant.pk, user.tenant.code, role, "somebody", must_change_password=False)
    headers = {"Authorization": f"Bearer {access_token(caller)}", "Host": "localhost"}
    return Client(raise_request_exception=False, headers=headers)


@pytest.fixture
def owner(tenant: Tenant, redis: Redis) -> User:
    return account(tenant, Role.OWNER, username="owner")


@pytest.fixture
def client(owner: User) -> Client:
    return client_of(owner)


@pytest.fixture
def staff(tenant: Tenant, owner: User) -> Client:
    return client_of(account(tenant, Role.STAFF, username="staff"), Role.STAFF)


def send(client: Client, path: str, body: object = None, method: str = "POST") -> HttpResponse:
    answer: Any = client.generic(method, PEOPLE + path, json.dumps(body or {}), content_type="application/json")
    return answer  # type: ignore[no-any-return]


def codes(*answers: HttpResponse) -> list[tuple[int, str]]:
    return [(answer.status_code, json.loads(answer.content).get("code", "")) for answer in answers]


def every_deed(client: Client, user: User) -> list[HttpResponse]:
    return [
        send(client, f"{user.pk}/", {"name": "다른 이름"}, "PATCH"),
        send(client, f"{user.pk}/", {"role": "parent"}, "PATCH"),
        send(client, f"{user.pk}/code/"),
        send(client, f"{user.pk}/close/"),
        send(client, f"{user.pk}/reopen/"),
    ]


# Who may manage whom.


@pytest.mark.parametrize("role", [Role.OWNER, Role.STAFF])
def test_staff_can_do_nothing_to_owners_and_staff(tenant: Tenant, staff: Client, role: Role) -> None:
    other = account(tenant, role)
    assert codes(*every_deed(staff, other)) == [(403, "role_refused")] * 5
    assert TenantMembership.objects.get(user=other).role == role
    assert User.objects.get(pk=other.pk).is_active


@pytest.mark.parametrize("role", sorted(OFFICE))
def test_staff_make_nobody_owner_or_staff(tenant: Tenant, staff: Client, role: Role) -> None:
    teacher = account(tenant)
    added = send(staff, "", {"role": role, "name": "새 사람", "username": "new"})
    raised = send(staff, f"{teacher.pk}/", {"role": role}, "PATCH")
    assert codes(added, raised) == [(403, "role_refused")] * 2
    assert not User.objects.filter(username="new").exists()


@pytest.mark.parametrize("role", [Role.TEACHER, Role.PARENT])
def test_staff_manage_teachers_and_parents(tenant: Tenant, staff: Client, role: Role) -> None:
    other = account(tenant, role)
    assert [answer.status_code for answer in every_deed(staff, other)] == [200, 200, 201, 200, 200]
    assert send(staff, "", {"role": role, "name": "새 사람", "username": "new"}).status_code == 201


@pytest.mark.parametrize("role", Role)
def test_owners_manage_everybody(tenant: Tenant, client: Client, role: Role) -> None:
    other = account(tenant, role)
    assert [answer.status_code for answer in every_deed(client, other)] == [200, 200, 201, 200, 200]


@pytest.mark.parametrize("role", [Role.OWNER, Role.STAFF])
def test_nobody_changes_the_own_role_closes_the_own_account_or_issues_a_code_for_it(tenant: Tenant, role: Role) -> None:
    myself = account(tenant, role)
    client = client_of(myself, role)
    refused = [
        send(client, f"{myself.pk}/", {"role": "teacher"}, "PATCH"),
        send(client, f"{myself.pk}/code/"),
        send(client, f"{myself.pk}/close/"),
    ]
    assert codes(*refused) == [(409, "own_account")] * 3
    renamed = send(client, f"{myself.pk}/", {"name": "새 이름", "role": role}, "PATCH")
    assert (renamed.status_code, json.loads(renamed.content)["name"]) == (200, "새 이름")


@pytest.mark.parametrize("role", OTHERS)
def test_all_other_roles_are_refused(tenant: Tenant, owner: User, role: Role) -> None:
    client = client_of(account(tenant, role), role)
    answers = [client.get(PEOPLE), client.get(f"{PEOPLE}{owner.pk}/"), send(client, ""), *every_deed(client, owner)]
    assert codes(*answers) == [(403, "role_refused")] * 8  # type: ignore[arg-type]


@pytest.mark.parametrize("now", [Role.STAFF, Role.TEACHER, None])
def test_the_role_in_the_database_counts_and_not_the_one_of_the_token(
    tenant: Tenant, client: Client, owner: User, now: Role | None
) -> None:
    """The token has the role `owner`. Its account has just got another role, or has just been closed."""
    colleague = account(tenant, Role.OWNER)
    TenantMembership.objects.filter(user=owner).update(role=now or Role.OWNER)
    User.objects.filter(pk=owner.pk).update(is_active=now is not None)
    assert codes(*every_deed(client, colleague)) == [(403, "role_refused")] * 5
    assert codes(send(client, "", {"role": "owner", "name": "x", "username": "x"})) == [(403, "role_refused")]


def test_operators_are_not_listed_and_cannot_be_managed(tenant: Tenant, client: Client, owner: User) -> None:
    operator = User.objects.create(username="operator", is_superuser=True)
    inside = account(tenant, Role.OWNER, username="inside", is_superuser=True)
    assert [person["id"] for person in client.get(PEOPLE).json()["results"]] == [owner.pk]
    for user in (operator, inside):
        assert [answer.status_code for answer in every_deed(client, user)] == [404] * 5
        assert client.get(f"{PEOPLE}{user.pk}/").status_code == 404


def test_accounts_of_another_academy_do_not_exist(tenant: Tenant, client: Client, owner: User) -> None:
    other = Tenant.objects.create(code="saebom", name="Saebom")
    stranger = account(other, username="stranger")
    assert [answer.status_code for answer in every_deed(client, stranger)] == [404] * 5
    assert client.get(f"{PEOPLE}{stranger.pk}/").status_code == 404
    TenantMembership.objects.create(tenant=tenant, user=stranger, role=Role.TEACHER)  # a wrong row
    assert [answer.status_code for answer in every_deed(client, stranger)] == [404] * 5
    assert [person["id"] for person in client.get(PEOPLE).json()["results"]] == [owner.pk]
    assert not OneTimeCode.objects.exists()


# What a change ends.


def test_another_role_revokes_the_account_once(tenant: Tenant, client: Client) -> None:
    teacher = account(tenant)
    assert send(client, f"{teacher.pk}/", {"role": "staff"}, "PATCH").status_code == 200
    rows = OutboxEntry.objects.filter(kind="revocation").values_list("payload__subject", flat=True)
    assert list(rows) == [f"user:{teacher.pk}"]
    TenantMembership.objects.filter(user=teacher).update(role="teacher")  # by a shell: the trigger still works
    assert list(rows.all()) == [f"user:{teacher.pk}"] * 2


def test_closing_an_account_ends_its_sign_ins_and_opening_it_brings_none_back(tenant: Tenant, client: Client) -> None:
    teacher, now = account(tenant), timezone.now()
    session = LoginSession.objects.create(
        user=teacher, token_id=uuid4(), rotated_at=now, expires_at=now + timedelta(days=1)
    )
    closed = send(client, f"{teacher.pk}/close/")
    assert (closed.status_code, json.loads(closed.content)["active"]) == (200, False)
    session.refresh_from_db()
    assert session.ended_at is not None
    subjects = set(OutboxEntry.objects.filter(kind="revocation").values_list("payload__subject", flat=True))
    assert subjects == {f"session:{session.pk}", f"user:{teacher.pk}"}
    opened = send(client, f"{teacher.pk}/reopen/")
    assert (opened.status_code, json.loads(opened.content)["active"]) == (200, True)
    assert not LoginSession.objects.filter(user=teacher, ended_at=None).exists()


def test_what_changes_nothing_revokes_nothing(tenant: Tenant, client: Client) -> None:
    teacher = account(tenant)
    for path, body, method in (
        ("/reopen/", {}, "POST"),
        ("/", {"role": "teacher", "name": teacher.name}, "PATCH"),
        ("/", {}, "PATCH"),
        ("/", {"name": "이름만"}, "PATCH"),
    ):
        assert send(client, f"{teacher.pk}{path}", body, method).status_code == 200
    assert not OutboxEntry.objects.filter(kind="revocation").exists()


# Students and parents.


def student(tenant: Tenant, **fields: Any) -> Student:
    parent = Parent.objects.create(tenant=tenant, phone="01012345678")
    user = account(tenant, Role.STUDENT)
    return Student.objects.create(
        tenant=tenant, user=user, parent=parent, name="김학생", parent_phone=parent.phone, **fields
    )


def test_a_students_name_and_role_are_those_of_the_students_record(tenant: Tenant, client: Client) -> None:
    pupil = student(tenant)
    refused = [
        send(client, f"{pupil.user_id}/", {"name": "다른 이름"}, "PATCH"),
        send(client, f"{pupil.user_id}/", {"role": "teacher"}, "PATCH"),
        send(client, f"{account(tenant).pk}/", {"role": "student"}, "PATCH"),
        send(client, "", {"role": "student", "name": "새 학생", "username": "new"}),
    ]
    assert codes(*refused) == [(409, "student_account")] * 4
    assert send(client, f"{pupil.user_id}/code/").status_code == 201


def test_the_account_of_a_removed_student_is_not_opened_here(tenant: Tenant, client: Client) -> None:
    pupil = student(tenant, deleted_at=timezone.now())
    User.objects.filter(pk=pupil.user_id).update(is_active=False)
    assert codes(send(client, f"{pupil.user_id}/reopen/")) == [(409, "student_removed")]
    assert codes(send(client, f"{pupil.user_id}/code/")) == [(409, "account_inactive")]


def test_a_parents_account_is_connected_by_the_phone_number_once(tenant: Tenant, client: Client) -> None:
    pupil = student(tenant)
    other = Tenant.objects.create(code="saebom", name="Saebom")
    Parent.objects.create(tenant=other, phone="01099998888")
    new = {"role": "parent", "name": "학부모", "username": "parent-1", "parent_phone": "010-1234-5678"}
    added = json.loads(send(client, "", new).content)
    pupil.parent.refresh_from_db()
    assert pupil.parent.user_id == added["id"]
    refused = [
        send(client, "", new | {"username": "parent-2"}),
        send(client, "", new | {"username": "parent-3", "parent_phone": "010-9999-8888"}),
    ]
    assert codes(*refused) == [(409, "parent_missing")] * 2
    assert not User.objects.filter(username__in=["parent-2", "parent-3"]).exists()
    for wrong in ({"parent_phone": "02-123-4567"}, {"role": "teacher"}):
        answer = send(client, "", new | {"username": "parent-4"} | wrong)
        assert (answer.status_code, *json.loads(answer.content)["fields"]) == (400, "parent_phone")


# Forms and the list.


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": "Kim"}, "username"),
        ({"username": "김하나"}, "username"),
        ({"username": "a b"}, "username"),
        ({"username": ".a"}, "username"),
        ({"username": "a\nb"}, "username"),
        ({"username": "x" * 61}, "username"),
        ({"username": ""}, "username"),
        ({"name": "가" * 51}, "name"),
        ({"name": " \u200b\u3164 "}, "name"),
        ({"name": None}, "name"),
        ({"role": "superuser"}, "role"),
        ({"role": ["owner"]}, "role"),
    ],
)
def test_a_wrong_field_is_named(client: Client, changes: dict[str, Any], field: str) -> None:
    answer = send(client, "", {"role": "teacher", "name": "새 사람", "username": "new"} | changes)
    assert (answer.status_code, *json.loads(answer.content)["fields"]) == (400, field)


def test_all_wrong_fields_are_named_at_once(client: Client) -> None:
    answer = send(client, "", {"role": "teacher", "name": " ", "username": "Kim", "parent_phone": "02-123"})
    assert answer.status_code == 400
    assert json.loads(answer.content)["fields"].keys() == {"name", "username", "parent_phone"}


def test_a_user_name_that_is_taken_is_refused_and_another_academy_may_have_it(client: Client, owner: User) -> None:
    new = {"role": "teacher", "name": "새 사람", "username": "new"}
    added, twice = send(client, "", new), send(client, "", new)
    assert (added.status_code, *codes(twice)) == (201, (409, "username_taken"))
    assert list(json.loads(twice.content)["fields"]) == ["username"]
    stranger = account(Tenant.objects.create(code="saebom", name="Saebom"), Role.OWNER)
    assert send(client_of(stranger), "", new).status_code == 201


def test_fields_that_nobody_may_set_are_ignored(client: Client, owner: User) -> None:
    more = {"is_superuser": True, "tenant": 1, "password": "x", "id": 7, "active": False, "must_change_password": False}
    added = json.loads(
        send(client, "", {"role": "teacher", "name": "새\u202e  사람", "username": "new"} | more).content
    )
    user = User.objects.get(pk=added["id"])
    assert (user.is_superuser, user.tenant_id, user.has_usable_password(), user.is_active) == (
        False,
        owner.tenant_id,
        False,
        True,
    )
    assert (added["name"], added["has_password"], added["code_expires_at"]) == ("새 사람", False, None)
    send(client, f"{user.pk}/", more | {"username": "other"}, "PATCH")
    user.refresh_from_db()
    assert (user.username, user.is_superuser, user.is_active) == ("new", False, True)


def test_the_list_is_searched_filtered_and_paged(tenant: Tenant, client: Client, owner: User) -> None:
    two = account(tenant, Role.PARENT, name="가두리", username="duri-park", is_active=False)
    one = account(tenant, name="박하나", username="hana")

    def found(**query: str) -> list[int]:
        return [person["id"] for person in client.get(PEOPLE, query).json()["results"]]

    assert found() == [owner.pk, one.pk, two.pk]
    assert found(search="하나") == [owner.pk, one.pk]
    assert found(search="박 HANA") == found(search="ㅂㅎ") == [one.pk]
    assert found(search="park") == [two.pk]
    assert found(role="parent") == found(active="false") == [two.pk]
    assert found(role="teacher", active="false") == []
    first = client.get(PEOPLE, {"page_size": "2"}).json()
    assert (first["count"], len(first["results"])) == (3, 2)
    assert found(page_size="2", page="2") == [two.pk]


@pytest.mark.parametrize("query", [{"role": "x"}, {"active": "1"}, {"search": "x" * 101}, {"search": "\0"}])
def test_a_filter_that_there_is_not_is_refused(client: Client, query: dict[str, str]) -> None:
    answer = client.get(PEOPLE, query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


def test_the_list_says_who_has_a_code_and_when_a_sign_in_was_last_used(
    tenant: Tenant, client: Client, owner: User
) -> None:
    teacher, now = account(tenant), timezone.now()
    for used in (now, now - timedelta(days=365)):
        LoginSession.objects.create(
            user=teacher, token_id=uuid4(), rotated_at=now, expires_at=now, last_used_at=used, ended_at=now
        )
    OneTimeCode.objects.create(user=account(tenant, username="late"), issued_by=owner, code_hash="", expires_at=now)
    expires_at = json.loads(send(client, f"{teacher.pk}/code/").content)["expires_at"]
    listed = {person["id"]: person for person in client.get(PEOPLE).json()["results"]}
    assert listed[teacher.pk]["code_expires_at"] == expires_at
    assert listed[teacher.pk]["last_used_at"] is not None
    assert [person["code_expires_at"] for person in listed.values()].count(None) == 2
    assert listed[owner.pk]["last_used_at"] is None
    assert "code_hash" not in json.dumps(listed)


def test_the_list_needs_two_queries_however_many_people_there_are(tenant: Tenant, client: Client, owner: User) -> None:
    for number in range(30):
        user = account(tenant)
        if number % 2:
            OneTimeCode.objects.create(user=user, issued_by=owner, code_hash="", expires_at=timezone.now())
    with CaptureQueriesContext(connection) as statements:
        assert len(client.get(PEOPLE).json()["results"]) == 31
    assert len(statements) == 2


@pytest.mark.parametrize("number", ["9" * 19, "9" * 5000])
def test_an_id_too_large_for_the_database_does_not_exist(client: Client, number: str) -> None:
    for method, path in (("GET", ""), ("PATCH", ""), *(("POST", f"{deed}/") for deed in ("close", "reopen", "code"))):
        answer = client.generic(method, f"{PEOPLE}{number}/{path}", b"{}", content_type="application/json")
        assert answer.status_code == 404


def test_the_rules_hold_for_code_that_forgets_to_check_a_role(tenant: Tenant, owner: User) -> None:
    teacher = account(tenant)
    with pytest.raises(people.PersonError):
        people.close(tenant.pk, teacher.pk, owner.pk)
    with pytest.raises(people.PersonMissingError):
        people.close(tenant.pk, owner.pk, 0)
