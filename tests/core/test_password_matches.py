"""Tests that a password is hashed equally often whether or not the account exists."""

from typing import Any

import pytest
from django.contrib.auth.hashers import get_hasher, make_password

from academy.passwords import hash_password, password_matches

LIGATURE = "o\ufb00ice chair"  # NFKC: "office chair"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which every text that is hashed from now on is added."""
    hasher, found = type(get_hasher()), list[str]()
    encode: Any = hasher.encode

    def note(self: Any, password: str, *given: Any, **named: Any) -> str:
        found.append(password)
        return str(encode(self, password, *given, **named))

    monkeypatch.setattr(hasher, "encode", note)
    return found


@pytest.mark.parametrize(("password", "hashes"), [("plain words here", 1), (LIGATURE, 2)])
def test_an_account_that_does_not_exist_costs_as_many_hashes_as_a_wrong_password(
    hashed: list[str], password: str, hashes: int
) -> None:
    stored = hash_password("the right one")
    hashed.clear()
    assert not password_matches(password, stored)
    of_account = list(hashed)
    hashed.clear()
    assert not password_matches(password, None)
    assert hashed == of_account
    assert len(hashed) == hashes


def test_both_unicode_forms_of_a_password_are_accepted_also_by_old_hashes() -> None:
    for typed in (LIGATURE, "office chair"):
        assert password_matches(typed, hash_password(LIGATURE))
    assert password_matches(LIGATURE, make_password(LIGATURE))
