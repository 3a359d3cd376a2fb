"""Tests that passwords are hashed only in the threads of the hashing queue, never in the thread of a request."""

import threading
import unicodedata
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.test import Client
from openpyxl import Workbook
from pytest_django import Settings

from academy.domain.roles import Role
from apps.core.hashing import HashingLine, Origin
from apps.core.models import Tenant, TenantMembership, User
from tests.core.conftest import Asks

threads: list[str] = []
OLD, NEW = "우리집 강아지의 옛날 이름은", "우리집 고양이의 지금 이름은"


class RecordingHasher(PBKDF2PasswordHasher):
    """A quick hasher that records the thread in which it runs."""

    iterations = 1

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:  # noqa: ARG002 - as in Django
        threads.append(threading.current_thread().name)
        encoded: str = super().encode(password, salt, 1)
        return encoded


@pytest.fixture(autouse=True)
def recording(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.{RecordingHasher.__name__}"]


@pytest.fixture
def kim(tenant: Tenant) -> User:
    user = User(tenant=tenant, username="kim")
    user.set_password(OLD)
    user.save()
    TenantMembership.objects.create(tenant=tenant, user=user, role=Role.OWNER)
    threads.clear()
    return user


def sign_in(**changes: str) -> Any:
    account = {"tenant": "hanbit", "username": "kim", "password": OLD} | changes
    headers = {"Host": "localhost"}
    return Client().post("/api/v1/auth/token/", account, "application/json", headers=headers)


def hashing_threads() -> set[str]:
    """Return the names of the threads that hashed a password, without their numbers."""
    return {name.rpartition("-")[0] for name in threads}


@pytest.mark.parametrize("changes", [{}, {"password": "wrong"}, {"username": "nobody"}, {"tenant": "nowhere"}])
def test_signing_in(kim: User, redis: object, changes: dict[str, str]) -> None:
    assert sign_in(**changes).status_code == (401 if changes else 200)
    assert hashing_threads() == {"hashing"}


def test_changing_the_password(kim: User, redis: object) -> None:
    headers = {"Host": "localhost", "Authorization": f"Bearer {sign_in().json()['access']}"}
    threads.clear()
    body = {"old_password": OLD, "new_password": NEW}
    answer = Client().post("/api/v1/auth/password/", body, "application/json", headers=headers)
    assert answer.status_code == 200, answer.content
    assert hashing_threads() == {"hashing"}
    assert (sign_in().status_code, sign_in(password=NEW).status_code) == (401, 200)


def start_import(client: Client, name: str = "students.xlsx", address: str = "192.0.2.1") -> Any:
    file = BytesIO()
    Workbook().save(file)
    file.seek(0)
    file.name = name
    form = {"file": file, "initial_password": NEW}
    return client.post("/api/v1/students/import/", form, REMOTE_ADDR=address)


@pytest.fixture
def storage(settings: Settings) -> None:
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}


def test_the_initial_password_of_an_import(asks: Asks, storage: None) -> None:
    answer = start_import(asks())
    assert answer.status_code == 202, answer.content
    assert hashing_threads() == {"hashing"}


def test_signed_in_users_are_ranked_by_their_account(
    kim: User, asks: Asks, storage: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    origins: list[Origin] = []
    rank = HashingLine._rank

    def note(line: HashingLine, origin: Origin) -> int:
        origins.append(origin)
        return rank(line, origin)

    monkeypatch.setattr(HashingLine, "_rank", note)
    headers = {"Host": "localhost", "Authorization": f"Bearer {sign_in().json()['access']}"}
    body = {"old_password": OLD, "new_password": NEW}
    assert Client().post("/api/v1/auth/password/", body, "application/json", headers=headers).status_code == 200
    assert start_import(asks()).status_code == 202
    assert [(origin.known, origin.user is None) for origin in origins] == [(False, True), *[(False, False)] * 3]
    assert (origins[1].user, origins[1].tenant) == (kim.pk, "hanbit")


def test_a_refused_import_hashes_nothing(asks: Asks, settings: Settings, storage: None) -> None:
    threads.clear()
    assert start_import(asks(Role.STUDENT)).status_code == 403
    assert start_import(asks(), "students.pdf").status_code == 400
    settings.QUOTA_JOBS = 0
    assert start_import(asks()).json()["code"] == "quota_jobs"
    assert threads == []


def test_imports_with_a_password_are_limited_for_a_user_at_all_addresses_together(
    asks: Asks, settings: Settings, storage: None
) -> None:
    settings.SIGN_IN_ACCOUNT_LIMIT = 3
    client, other = asks(), asks()
    statuses = [start_import(client, address=f"192.0.2.{number}").status_code for number in range(4)]
    assert statuses == [202, 202, 202, 429]
    refused = start_import(client, address="192.0.2.9")
    assert refused.json()["message"].startswith("Too many imports with an initial password: wait ")
    assert int(refused["Retry-After"]) > 0
    assert start_import(other, address="192.0.2.10").status_code == 202


def test_imports_with_a_password_are_limited_for_an_academy(asks: Asks, settings: Settings, storage: None) -> None:
    settings.SIGN_IN_TENANT_LIMIT = 2
    statuses = [start_import(asks(), address=f"192.0.2.{number}").status_code for number in range(3)]
    assert statuses == [202, 202, 429]


def test_a_password_is_the_same_in_every_unicode_form(kim: User, redis: object) -> None:
    composed = "호랑이 담배 피우던 시절"
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    kim.set_password(decomposed)
    kim.save()
    assert [sign_in(password=typed).status_code for typed in (composed, decomposed)] == [200, 200]
    kim.password = RecordingHasher().encode(decomposed, "somesalt")  # as it was before passwords were normalised
    kim.save()
    assert sign_in(password=decomposed).status_code == 200
