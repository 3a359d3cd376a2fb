"""Tests of `manage.py changepassword`. Names are unique only within an academy, so the command asks for the academy."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.core.models import LoginSession, Tenant, User

pytestmark = pytest.mark.django_db

NEW = "우리집 고양이의 지금 이름은"


@pytest.fixture(autouse=True)
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the answers to the next prompts. While it is empty, each answer is the new password."""
    words: list[str] = []
    monkeypatch.setattr("getpass.getpass", lambda **_: words.pop(0) if words else NEW)
    return words


def account(code: str | None, username: str = "kim") -> User:
    tenant = Tenant.objects.get_or_create(code=code, defaults={"name": code})[0] if code else None
    return User.objects.create(tenant=tenant, username=username, is_superuser=tenant is None)


def has_new_password(user: User) -> bool:
    user.refresh_from_db()
    return user.check_password(NEW)


def test_the_academy_selects_the_account(capsys: pytest.CaptureFixture[str]) -> None:
    here, there, operator = account("here"), account("there"), account(None)
    now = timezone.now()
    session = LoginSession.objects.create(user=there, token_id=uuid4(), rotated_at=now, expires_at=now + timedelta(1))
    call_command("changepassword", "kim", tenant="there")
    assert [has_new_password(user) for user in (here, there, operator)] == [False, True, False]
    session.refresh_from_db()
    assert session.ended_at is not None
    assert "The password of kim of the academy there is changed" in capsys.readouterr().out
    call_command("changepassword", "kim", operator=True)
    assert [has_new_password(user) for user in (here, operator)] == [False, True]


def test_a_name_of_one_account_needs_no_academy() -> None:
    user = account("here")
    call_command("changepassword", "kim")
    assert has_new_password(user)


def test_a_name_of_several_accounts_is_refused_in_a_sentence() -> None:
    account("here"), account("there")
    with pytest.raises(CommandError) as refused:
        call_command("changepassword", "kim")
    assert str(refused.value) == (
        "Several accounts are called 'kim': say which one, by --tenant here or --tenant there."
    )
    account(None)
    with pytest.raises(CommandError, match="by --operator, --tenant here or --tenant there"):
        call_command("changepassword", "kim")
    for number in range(10):
        account(f"academy-{number}")
    with pytest.raises(CommandError, match=r"--operator, .*academy-3 or others"):
        call_command("changepassword", "kim")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tenant": "nowhere"}, "There is no account 'kim' in the academy 'nowhere'."),
        ({"operator": True}, "There is no account 'kim' among the operators."),
        ({}, "There is no account 'kim'."),
    ],
)
def test_an_unknown_account_is_reported(options: dict[str, object], said: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("changepassword", "kim", **options)
    assert str(refused.value) == said


def test_a_password_that_is_too_weak_or_mistyped_is_asked_for_again(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    user = account("here")
    typed += ["short", "short", NEW, "mistyped", NEW, NEW]
    call_command("changepassword", "kim")
    assert has_new_password(user)
    said = capsys.readouterr().err
    assert "too short" in said
    assert "differ" in said
    typed += ["short"] * 6
    with pytest.raises(CommandError, match="not changed"):
        call_command("changepassword", "kim")
