"""Tests that signing in renews an outdated hash, in the hashing queue and without ending any session."""

from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, check_password, identify_hasher, make_password
from django.db import connection, transaction
from django.test import Client, RequestFactory
from pytest_django import Settings

from academy.adapters.db.django import repositories_core
from academy.adapters.db.django.session_triggers import same_password
from academy.domain.roles import Role
from academy.passwords import Compared, compare_password, hash_password
from apps.core.authentication import TenantBackend
from apps.core.hashing import HashingLine
from apps.core.models import LoginSession, Tenant, TenantMembership, User
from realtime.models import OutboxEntry

pytestmark = pytest.mark.django_db

PASSWORD = "우리집 강아지의 옛날 이름은"
LIGATURE = "o\ufb00ice chair"  # NFKC: "office chair"


class Hasher(PBKDF2PasswordHasher):
    iterations = 20


@pytest.fixture(autouse=True)
def quick(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.Hasher", "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher"]


OUTDATED = {
    "fewer rounds": lambda: Hasher().encode(PASSWORD, "somesaltsomesaltsomesalt", 10),
    "another algorithm": lambda: make_password(PASSWORD, hasher="pbkdf2_sha1"),
}


def account(password_hash: str) -> User:
    tenant = Tenant.objects.create(code="renewed", name="Renewed")
    user = User.objects.create(tenant=tenant, username="kim", password=password_hash)
    TenantMembership.objects.create(tenant=tenant, user=user, role=Role.STAFF)
    return user


def sign_in(password: str = PASSWORD) -> Any:
    body = {"tenant": "renewed", "username": "kim", "password": password}
    return Client().post("/api/v1/auth/token/", body, "application/json", headers={"Host": "localhost"})


def is_outdated(password_hash: str) -> bool:
    hasher = identify_hasher(password_hash)
    return hasher.algorithm != Hasher.algorithm or hasher.must_update(password_hash)


@pytest.mark.parametrize("kind", OUTDATED)
def test_signing_in_renews_the_hash_and_ends_nothing(kind: str, redis: object, monkeypatch: pytest.MonkeyPatch) -> None:
    user = account(OUTDATED[kind]())
    other = repositories_core.open_session(user)
    assert other is not None
    held: list[bool] = []
    run = HashingLine.run

    def note(line: HashingLine, work: Any, origin: Any) -> Any:
        def watched() -> Any:
            held.append(connection.connection is not None)  # the connection of the hashing thread
            return work()

        return run(line, watched, origin)

    monkeypatch.setattr(HashingLine, "run", note)
    assert sign_in("wrong").status_code == 401
    user.refresh_from_db()
    assert is_outdated(user.password)
    assert sign_in().status_code == 200
    user.refresh_from_db()
    assert not is_outdated(user.password)
    assert check_password(PASSWORD, user.password)
    renewed = user.password
    assert sign_in().status_code == 200
    user.refresh_from_db()
    assert user.password == renewed
    assert held == [False] * 3
    assert LoginSession.objects.filter(user=user, ended_at=None).count() == 3
    assert not OutboxEntry.objects.filter(kind="revocation").exists()


def test_a_hash_from_before_passwords_were_normalised_is_renewed() -> None:
    compared = compare_password(LIGATURE, make_password(LIGATURE))
    assert compared.right
    assert compared.new_hash is not None
    assert check_password("office chair", compared.new_hash)
    assert compare_password(LIGATURE, hash_password(LIGATURE)) == Compared(right=True)
    assert compare_password("wrong", make_password(LIGATURE)) == compare_password("any", None) == Compared(right=False)


def test_operators_and_djangos_own_sign_in_renew_too() -> None:
    user = account(OUTDATED["fewer rounds"]())
    found = TenantBackend().authenticate(RequestFactory().get("/"), "kim", PASSWORD, tenant="renewed")
    assert found == user
    user.refresh_from_db()
    assert not is_outdated(user.password)


def test_two_sign_ins_at_once_both_succeed(redis: object, monkeypatch: pytest.MonkeyPatch) -> None:
    user = account(OUTDATED["fewer rounds"]())
    others: list[int] = []
    find = repositories_core.find_account

    def find_then_renew(tenant_code: str, username: str) -> User | None:
        found = find(tenant_code, username)
        if not others and found is not None:
            others.append(found.pk)
            repositories_core.renew_hash(User.objects.get(pk=found.pk), hash_password(PASSWORD))
        return found

    monkeypatch.setattr(repositories_core, "find_account", find_then_renew)
    assert sign_in().status_code == 200
    assert others == [user.pk]


def test_a_password_that_was_changed_meanwhile_stays() -> None:
    user = account(OUTDATED["fewer rounds"]())
    User.objects.filter(pk=user.pk).update(password=hash_password("another password"))
    repositories_core.renew_hash(user, hash_password(PASSWORD))
    user.refresh_from_db()
    assert user.check_password("another password")


def test_only_a_new_hash_of_this_account_in_this_transaction_ends_nothing() -> None:
    user, tenant = account(hash_password(PASSWORD)), Tenant.objects.get(code="renewed")
    neighbour = User.objects.create(tenant=tenant, username="lee", password=user.password)
    TenantMembership.objects.create(tenant=tenant, user=neighbour, role=Role.STAFF)
    with transaction.atomic(), same_password(user.pk):
        assert ends(neighbour, password="x")
        assert not ends(user, password="y")
        assert ends(user, password="z", is_active=False)
    User.objects.filter(pk=user.pk).update(is_active=True)
    assert ends(user, password="a new password")


def ends(user: User, **changes: Any) -> bool:
    """Return whether this change of an account ends its sessions."""
    user.refresh_from_db()
    opened = repositories_core.open_session(user)
    assert opened is not None
    User.objects.filter(pk=user.pk).update(**changes)
    opened.session.refresh_from_db()
    return opened.session.ended_at is not None
