"""Tests of one-time codes: a code signs in once, and everything that revokes an account's rights deletes its code."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from redis import Redis

from academy import sessions
from academy.adapters.db.django import repositories_core
from academy.domain.roles import Role
from academy.passwords import hash_password
from apps.core.hashing import HashingBusyError
from apps.core.models import LoginSession, OneTimeCode, Tenant, TenantMembership, User
from apps.core.one_time_codes import grouped, hash_of, is_code, new_code, read_code
from apps.core.sign_in import check_password
from apps.core.tokens import Caller, access_token, read_access_token
from apps.core.views import auth_views

PASSWORD, NEW = "우리집 강아지의 옛날 이름은", "호랑이 담배 피우던 시절 이야기"
PASSWORDS = "/api/v1/auth/password/"


class Hasher(PBKDF2PasswordHasher):
    iterations = 1


@pytest.fixture(autouse=True)
def quick(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.Hasher"]


@pytest.fixture
def owner(tenant: Tenant, redis: Redis) -> User:
    return account(tenant, "owner", Role.OWNER)


@pytest.fixture
def kim(tenant: Tenant, owner: User) -> User:
    return account(tenant, "kim", Role.TEACHER)


def account(tenant: Tenant, username: str, role: Role) -> User:
    user = User.objects.create(tenant=tenant, username=username, name="김하나", password=hash_password(PASSWORD))
    TenantMembership.objects.create(tenant=tenant, user=user, role=role)
    return user


def client_of(user: User, role: Role = Role.OWNER) -> Client:
    assert user.tenant is not None
    caller = Caller(user.pk, uuid4(), user.tenant.pk, user.tenant.code, role, "somebody", must_change_password=False)
    return with_token(access_token(caller))


def with_token(token: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token}", "Host": "localhost"})


def issue(owner: User, user: User) -> str:
    answer = client_of(owner).post(f"/api/v1/people/{user.pk}/code/")
    assert answer.status_code == 201, answer.content
    code: str = answer.json()["code"]
    return code


def sign_in(password: str, username: str = "kim", address: str = "192.0.2.1") -> Any:
    body = {"tenant": "hanbit", "username": username, "password": password}
    headers = {"Host": "localhost"}
    return Client(REMOTE_ADDR=address).post("/api/v1/auth/token/", body, "application/json", headers=headers)


def choose(token: str, **fields: str) -> Any:
    return with_token(token).post(PASSWORDS, {"new_password": NEW} | fields, "application/json")


# What a code is.


def test_a_code_is_16_random_digits_in_groups_of_four() -> None:
    codes = {new_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert all(len(code) == 16 and code.isascii() and code.isdecimal() for code in codes)
    assert len({code[0] for code in codes}) == 10
    assert grouped("0123456789012345") == "0123 4567 8901 2345"


FULL_WIDTH = "".join(chr(ord(digit) + 0xFEE0) for digit in "0123456789012345")


@pytest.mark.parametrize("typed", ["0123456789012345", "0123 4567 8901 2345", " 0123-4567-8901-2345\n", FULL_WIDTH])
def test_a_code_is_understood_in_every_usual_spelling(typed: str) -> None:
    assert read_code(typed) == "0123456789012345"


@pytest.mark.parametrize("typed", ["", "012345678901234", "01234567890123456", "a" * 16, "٠" * 16, "1 " * 40])
def test_other_texts_are_no_code(typed: str) -> None:
    assert read_code(typed) is None


def test_the_stored_hash_depends_on_the_account_and_the_secret_key(settings: Settings) -> None:
    code = new_code()
    stored = hash_of(7, code)
    assert code not in stored
    assert is_code(7, grouped(code), stored)
    assert not is_code(8, code, stored)
    assert not is_code(7, new_code(), stored)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another key, " * 4
    assert is_code(7, code, stored)
    settings.SECRET_KEY_FALLBACKS = []
    assert not is_code(7, code, stored)


# How a code is used.


@pytest.mark.django_db
def test_a_code_signs_in_once_and_then_a_password_has_to_be_chosen(owner: User, kim: User) -> None:
    User.objects.filter(pk=kim.pk).update(password=make_password(None))
    assert sign_in(PASSWORD).status_code == 401
    code = issue(owner, kim)
    assert code.replace(" ", "") not in json.dumps(list(OneTimeCode.objects.values()), default=str)
    first, second = sign_in(code), sign_in(code)
    assert (first.status_code, second.status_code, second.json()["code"]) == (200, 401, "bad_credentials")
    token = first.json()["access"]
    caller = read_access_token(token)
    assert (caller.must_change_password, caller.has_password) == (True, False)
    shut = with_token(token).get("/api/v1/lectures/")
    assert (shut.status_code, shut.json()["code"]) == (403, "password_change_needed")
    changed = choose(token)
    assert changed.status_code == 200, changed.content
    caller = read_access_token(changed.json()["access"])
    assert (caller.must_change_password, caller.has_password) == (False, True)
    assert with_token(changed.json()["access"]).get("/api/v1/lectures/").status_code == 200
    assert (sign_in(NEW).status_code, sign_in(code).status_code) == (200, 401)


@pytest.mark.django_db
def test_a_refresh_still_says_that_there_is_no_password(owner: User, kim: User) -> None:
    tokens = sign_in(issue(owner, kim)).json()
    again = Client().post("/api/v1/auth/refresh/", {"refresh": tokens["refresh"]}, "application/json").json()
    assert not read_access_token(again["access"]).has_password
    assert choose(again["access"]).status_code == 200


@pytest.mark.django_db
def test_using_a_code_ends_the_old_password_and_all_other_sign_ins(owner: User, kim: User) -> None:
    before = sign_in(PASSWORD)
    code = issue(owner, kim)
    assert sign_in(PASSWORD).status_code == 200, "Until the code is used, the password works."
    after = sign_in(code).json()
    assert sign_in(PASSWORD).status_code == 401
    refreshed = Client().post("/api/v1/auth/refresh/", {"refresh": before.json()["refresh"]}, "application/json")
    assert refreshed.status_code == 401
    session = read_access_token(after["access"]).session_id
    assert [each.pk for each in LoginSession.objects.filter(user=kim, ended_at=None)] == [session]


@pytest.mark.django_db
def test_the_chosen_password_is_checked_and_is_not_a_code(owner: User, kim: User) -> None:
    code = issue(owner, kim)
    token = sign_in(code).json()["access"]
    refused = [choose(token, new_password=text) for text in ("short", code, code.replace(" ", ""), new_code())]
    assert [answer.json()["code"] for answer in refused] == ["password_too_short", *["same_password"] * 3]
    assert choose(token, old_password="whatever was typed").status_code == 200


@pytest.mark.django_db
def test_a_later_code_replaces_the_earlier_one(owner: User, kim: User) -> None:
    earlier, later = issue(owner, kim), issue(owner, kim)
    assert sign_in(earlier).status_code == 401
    assert sign_in(later).status_code == 200


@pytest.mark.django_db
def test_a_code_opens_no_other_account(tenant: Tenant, owner: User, kim: User) -> None:
    account(tenant, "lee", Role.TEACHER)
    code = issue(owner, kim)
    assert sign_in(code, "lee").status_code == 401
    assert sign_in(code, "nobody").status_code == 401
    assert sign_in(code).status_code == 200


@pytest.mark.django_db
def test_an_expired_code_is_refused_with_its_reason_and_a_wrong_one_without(owner: User, kim: User) -> None:
    code = issue(owner, kim)
    OneTimeCode.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    late, wrong = sign_in(code), sign_in(new_code())
    assert (late.status_code, late.json()["code"]) == (401, "code_expired")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "bad_credentials")
    kim.refresh_from_db()
    assert kim.has_usable_password()


@pytest.mark.django_db
def test_the_setting_says_how_long_a_code_is_valid(owner: User, kim: User, settings: Settings) -> None:
    settings.ONE_TIME_CODE_SECONDS = 3600
    issue(owner, kim)
    left = OneTimeCode.objects.get().expires_at - timezone.now()
    assert timedelta(minutes=50) < left < timedelta(minutes=70)


@pytest.mark.django_db
def test_guessing_codes_is_limited_like_guessing_passwords(owner: User, kim: User) -> None:
    code = issue(owner, kim)
    statuses = [sign_in(new_code()).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    assert sign_in(code).status_code == 429, "Nor is the right code tried then."
    assert sign_in(code, address="198.51.100.1").status_code == 200


# What deletes a code.

UPDATE = 'UPDATE "user" SET {} WHERE id = %s'


def by_sql(statement: str) -> Callable[[int], None]:
    def change(user_id: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, [user_id])

    return change


def close_and_reopen(user_id: int) -> None:
    by_sql(UPDATE.format("is_active = false"))(user_id)
    by_sql(UPDATE.format("is_active = true"))(user_id)


def promote_and_demote(user_id: int) -> None:
    before = TenantMembership.objects.get(user_id=user_id).role
    by_sql("UPDATE tenant_membership SET role = 'parent' WHERE user_id = %s")(user_id)
    TenantMembership.objects.filter(user_id=user_id).update(role=before)


ENDING: dict[str, Callable[[int], None]] = {
    "it is closed for a moment": close_and_reopen,
    "it has another role for a moment": promote_and_demote,
    "its membership is removed": by_sql("DELETE FROM tenant_membership WHERE user_id = %s"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("what", ENDING)
@pytest.mark.parametrize("whose", ["the account's", "the issuer's"])
def test_a_change_of_the_account_or_of_its_issuer_ends_the_code(
    tenant: Tenant, owner: User, kim: User, what: str, whose: str
) -> None:
    account(tenant, "lee", Role.TEACHER)
    code = issue(owner, kim)
    other = issue(account(tenant, "second", Role.OWNER), User.objects.get(username="lee"))
    ENDING[what](kim.pk if whose == "the account's" else owner.pk)
    assert sign_in(code).status_code == 401
    assert sign_in(other, "lee").status_code == 200


@pytest.mark.django_db
def test_a_staff_member_who_issued_a_code_cannot_become_an_owner_by_it(tenant: Tenant, owner: User, kim: User) -> None:
    staff = account(tenant, "staff", Role.STAFF)
    answer = client_of(staff, Role.STAFF).post(f"/api/v1/people/{kim.pk}/code/")
    promoted = client_of(owner).patch(f"/api/v1/people/{kim.pk}/", {"role": "owner"}, "application/json")
    assert (answer.status_code, promoted.status_code) == (201, 200)
    assert sign_in(answer.json()["code"]).status_code == 401


@pytest.mark.django_db
def test_changing_the_own_password_ends_the_code_but_renewing_its_hash_does_not(owner: User, kim: User) -> None:
    code = issue(owner, kim)
    kim.refresh_from_db()
    repositories_core.renew_hash(kim, hash_password(PASSWORD))
    assert OneTimeCode.objects.filter(user=kim).exists()
    token = sign_in(PASSWORD).json()["access"]
    assert choose(token, old_password=PASSWORD).status_code == 200
    assert sign_in(code).status_code == 401


@pytest.mark.django_db
def test_an_issuers_new_password_ends_the_codes_for_others_but_renewing_its_hash_does_not(
    owner: User, kim: User
) -> None:
    """Somebody else who knew the old password may have issued the code."""
    code = issue(owner, kim)
    owner.refresh_from_db()
    repositories_core.renew_hash(owner, hash_password(PASSWORD))
    assert OneTimeCode.objects.filter(user=kim).exists()
    token = sign_in(PASSWORD, "owner").json()["access"]
    assert choose(token, old_password=PASSWORD).status_code == 200
    assert sign_in(code).status_code == 401


@pytest.mark.django_db
def test_codes_are_deleted_a_day_after_they_expired(owner: User, kim: User) -> None:
    issue(owner, kim)
    OneTimeCode.objects.update(expires_at=timezone.now() - timedelta(hours=23))
    sessions.sweep_sessions()
    assert OneTimeCode.objects.exists()
    OneTimeCode.objects.update(expires_at=timezone.now() - timedelta(hours=25))
    sessions.sweep_sessions()
    assert not OneTimeCode.objects.exists()


# Choosing a new password.


@pytest.mark.django_db
def test_an_account_with_a_password_needs_the_old_one(kim: User) -> None:
    token = sign_in(PASSWORD).json()["access"]
    answer = choose(token)
    assert (answer.status_code, *answer.json()["fields"]) == (400, "old_password")
    assert choose(token, old_password="wrong").json()["code"] == "wrong_password"
    assert sign_in(PASSWORD).status_code == 200


@pytest.mark.django_db
def test_a_session_from_before_the_password_was_taken_away_chooses_no_new_one(
    kim: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator removes the password by SQL. For a moment, processes still accept the token of the ended session."""
    token = sign_in(PASSWORD).json()["access"]
    User.objects.filter(pk=kim.pk).update(password=make_password(None))
    answer = choose(token)
    assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")
    kim.refresh_from_db()
    assert not kim.has_usable_password()
    monkeypatch.setattr(auth_views, "_check_session_of_code", lambda _caller: None)
    assert choose(token).status_code == 200, "This is what the check prevents."


@pytest.mark.django_db
@pytest.mark.parametrize("other", ["closed", "without a role", "changed"])
def test_an_account_that_another_request_has_changed_gets_no_tokens_for_its_new_password(
    kim: User, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The access token is still valid, so only the view notices that another request has changed the account.

    In the case `closed`, the change is made before the request. In the other cases, it is made while the request runs,
    just after the old password was checked.
    """
    token = sign_in(PASSWORD).json()["access"]
    rows = User.objects.filter(pk=kim.pk)
    changes: dict[str, tuple[Callable[[], object], tuple[int, str]]] = {
        "closed": (lambda: rows.update(is_active=False), (401, "account_closed")),
        "without a role": (lambda: TenantMembership.objects.filter(user=kim).delete(), (401, "account_closed")),
        "changed": (lambda: rows.update(password=hash_password("another")), (409, "account_changed")),
    }
    change, expected = changes[other]
    if other == "closed":
        change()

    def and_change(*given: Any) -> bool:
        right = check_password(*given)
        change()
        return right

    monkeypatch.setattr(auth_views, "check_password", and_change)
    answer = choose(token, old_password=PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == expected


@pytest.mark.django_db
def test_an_attempt_whose_password_was_not_checked_does_not_count(kim: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_given: object) -> bool:
        raise HashingBusyError

    token = sign_in(PASSWORD).json()["access"]
    with monkeypatch.context() as patched:
        patched.setattr("apps.core.sign_in.password_is_right", busy)
        statuses = {choose(token, old_password=PASSWORD).status_code for _ in range(12)}
    assert statuses == {503}
    assert choose(token, old_password=PASSWORD).status_code == 200
