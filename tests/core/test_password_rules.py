"""Tests that the same rules apply wherever a password is set."""

from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import get_password_validators, validate_password
from django.core.exceptions import ValidationError
from django.test import Client
from openpyxl import Workbook
from pytest_django import Settings

from apps.core.models import Tenant, User
from tests.core.conftest import Asks

REFUSED = {
    "password_too_short": "short",
    "password_too_common": "1q2w3e4r5t6y7u8i9o0p",
    "password_too_simple": "asdfasdfasdfasdf",
    "password_too_similar": "hanbit-hanbit-2026!",
}


@pytest.fixture
def client(asks: Asks) -> Client:
    made = asks()
    User.objects.update(password=make_password("the old one", hasher="md5"))
    return made


@pytest.fixture(autouse=True)
def quick(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def change(client: Client, password: str) -> Any:
    body = {"old_password": "the old one", "new_password": password}
    return client.post("/api/v1/auth/password/", body, "application/json")


def start_import(client: Client, password: str) -> Any:
    file = BytesIO()
    Workbook().save(file)
    file.seek(0)
    file.name = "students.xlsx"
    return client.post("/api/v1/students/import/", {"file": file, "initial_password": password})


@pytest.mark.parametrize("code", REFUSED)
@pytest.mark.parametrize(("door", "field"), [(change, "new_password"), (start_import, "initial_password")])
def test_a_weak_password_is_refused_with_its_reason(client: Client, door: Any, field: str, code: str) -> None:
    answer = door(client, REFUSED[code])
    body = answer.json()
    assert (answer.status_code, body["code"]) == (400, code)
    assert body["fields"] == {field: [body["message"]]}


def test_djangos_own_forms_and_commands_keep_the_rules(tenant: Tenant) -> None:
    user = User(tenant=tenant, username="kim")
    for code, password in REFUSED.items():
        with pytest.raises(ValidationError) as refusal:
            validate_password(password, user)
        assert [problem.code for problem in refusal.value.error_list] == [code]
    validate_password("correct horse battery staple", user)


def test_a_shorter_password_is_accepted_if_the_setting_allows_it(settings: Settings) -> None:
    settings.PASSWORD_MIN_LENGTH = 8
    validate_password("곰 세 마리가 산다")
    (rules,) = get_password_validators(settings.AUTH_PASSWORD_VALIDATORS)
    assert "at least 8 characters" in rules.get_help_text()


def test_long_passwords_are_not_cut(client: Client) -> None:
    long = "오늘은 비가 왔고 내일은 눈이 온다고 한다. " * 4
    assert 64 < len(long) < 200
    assert change(client, long).status_code == 200
    user = User.objects.get()
    assert user.check_password(long)
    assert not user.check_password(long[:64])
