"""Every door that hashes a password does so in the line's threads, and never in a request's own."""

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
from apps.core.models import Tenant, TenantMembership, User
from tests.core.conftest import Asks

threads: list[str] = []
OLD, NEW = "우리집 강아지의 옛날 이름은", "우리집 고양이의 지금 이름은"


class NotedHasher(PBKDF2PasswordHasher):
    """Quick, and notes the thread that hashes."""

    iterations = 1

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:  # noqa: ARG002 - Django's
        threads.append(threading.current_thread().name)
        encoded: str = super().encode(password, salt, 1)
        return encoded


@pytest.fixture(autouse=True)
def noted(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.{NotedHasher.__name__}"]


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


def noted_threads() -> set[str]:
    """The kinds of threads that hashed something."""
    return {name.rpartition("-")[0] for name in threads}


@pytest.mark.parametrize("changes", [{}, {"password": "wrong"}, {"username": "nobody"}, {"tenant": "nowhere"}])
def test_signing_in(kim: User, redis: object, changes: dict[str, str]) -> None:
    assert sign_in(**changes).status_code == (401 if changes else 200)
    assert noted_threads() == {"hashing"}


def test_changing_the_password(kim: User, redis: object) -> None:
    headers = {"Host": "localhost", "Authorization": f"Bearer {sign_in().json()['access']}"}
    threads.clear()
    body = {"old_password": OLD, "new_password": NEW}
    answer = Client().post("/api/v1/auth/password/", body, "application/json", headers=headers)
    assert answer.status_code == 200, answer.content
    assert noted_threads() == {"hashing"}
    assert (sign_in().status_code, sign_in(password=NEW).status_code) == (401, 200)


def test_the_initial_password_of_an_import(asks: Asks, settings: Settings) -> None:
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    client, workbook, file = asks(), Workbook(), BytesIO()
    workbook.save(file)
    file.seek(0)
    file.name = "students.xlsx"
    answer = client.post("/api/v1/students/import/", {"file": file, "initial_password": NEW})
    assert answer.status_code == 202, answer.content
    assert noted_threads() == {"hashing"}


def test_a_password_is_the_same_in_every_spelling_of_unicode(kim: User, redis: object) -> None:
    composed = "호랑이 담배 피우던 시절"
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    kim.set_password(decomposed)
    kim.save()
    assert [sign_in(password=typed).status_code for typed in (composed, decomposed)] == [200, 200]
    kim.password = NotedHasher().encode(decomposed, "somesalt")  # as it was before passwords were normalised
    kim.save()
    assert sign_in(password=decomposed).status_code == 200
