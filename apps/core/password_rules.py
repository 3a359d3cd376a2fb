"""The rules for new passwords: in the API, for an import's initial password, and in Django's forms and commands."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

from academy.domain.passwords import PasswordProblem, password_problem
from apps.core.errors import ApiError
from apps.core.models import User


class PasswordRules:
    """Refuses passwords that are easy to guess. To be listed in `AUTH_PASSWORD_VALIDATORS`."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError for a password that is not accepted. The error says what is wrong and what to do."""
        if problem := problem_of(password, words_of(user) if isinstance(user, User) else ()):
            raise ValidationError(problem.message, code=problem.code)

    def get_help_text(self) -> str:
        return (
            f"Use at least {settings.PASSWORD_MIN_LENGTH} characters, for example a sentence of your own. "
            "Your name, your academy's name, and passwords that many use are not taken."
        )


def check_new_password(field: str, password: str, own_words: Iterable[str]) -> None:
    """Raise ApiError (400) for a password that is not accepted. `field` is the name of the form's field."""
    if problem := problem_of(password, own_words):
        raise ApiError(400, problem.code, problem.message, {field: [problem.message]})


def problem_of(password: str, own_words: Iterable[str]) -> PasswordProblem | None:
    return password_problem(
        password, min_length=settings.PASSWORD_MIN_LENGTH, own_words=own_words, common=_common_passwords()
    )


def words_of(user: User) -> list[str]:
    """Return the names that must not make up most of this account's password."""
    academy = [user.tenant.code, user.tenant.name] if user.tenant else []
    return [user.username, user.name, *academy]


@cache
def _common_passwords() -> frozenset[str]:
    """Return Django's list of 20,000 common passwords, which Royce Williams made from leaked passwords."""
    return frozenset(CommonPasswordValidator().passwords)
