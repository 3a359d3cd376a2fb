"""Tests of `manage.py createsuperuser`: the name of an existing operator is refused with one sentence."""

import pytest
from django.core.management import CommandError, call_command

from apps.core.models import Tenant, User

pytestmark = pytest.mark.django_db


def test_the_name_of_an_existing_operator_is_refused_in_a_sentence() -> None:
    User.objects.create_superuser("operator")
    with pytest.raises(CommandError, match="There is an operator 'operator' already"):
        call_command("createsuperuser", username="operator", interactive=False)


def test_with_prompts_another_name_is_asked_for_before_a_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Asked(Exception):  # noqa: N818 - it is no error
        """Raised when the command asks for a value. The text is the prompt."""

    def ask(what: str) -> str:
        raise Asked(what)

    User.objects.create_superuser("operator")
    monkeypatch.setattr("builtins.input", ask)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with pytest.raises(Asked, match="Username"):
        call_command("createsuperuser", username="operator")
    assert "There is an operator 'operator' already" in capsys.readouterr().err


def test_an_academy_may_have_an_account_of_the_same_name() -> None:
    academy = Tenant.objects.create(code="same-name", name="Same name")
    User.objects.create(tenant=academy, username="operator")
    call_command("createsuperuser", username="operator", interactive=False, verbosity=0)
    assert User.objects.get(username="operator", tenant=None).is_superuser
