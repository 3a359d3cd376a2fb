"""Hashes and compares passwords. Each call takes a large part of a second of CPU time, on purpose.

Web requests call these functions through `apps.core.hashing`, which runs them in a few threads of its own.
"""

from dataclasses import dataclass

from django.contrib.auth.hashers import check_password, make_password

from academy.domain.passwords import normalised


@dataclass(frozen=True, slots=True)
class Compared:
    """Whether a password is right, and a new hash of it where the stored one is outdated."""

    right: bool
    new_hash: str | None = None


def hash_password(password: str) -> str:
    return make_password(normalised(password))


def password_matches(password: str, password_hash: str | None) -> bool:
    """Compare a password with a stored hash.

    `None` (there is no such account) takes as long as a wrong password, so that the time does not tell which accounts
    exist.
    """
    right, _outdated = _compare(password, password_hash)
    return right


def compare_password(password: str, password_hash: str | None) -> Compared:
    """Compare as `password_matches` does, and hash a right password again where its stored hash is outdated.

    A hash is outdated if it has fewer rounds than new hashes, if it is of another algorithm, or if it was made before
    passwords were normalised.
    """
    right, outdated = _compare(password, password_hash)
    return Compared(right, hash_password(password) if outdated else None)


def _compare(password: str, password_hash: str | None) -> tuple[bool, bool]:
    """Return whether the password is right, and whether its hash is outdated."""
    # Hashes that were made before passwords were normalised are of the password as it was typed.
    spellings = dict.fromkeys((normalised(password), password))
    if password_hash is None:
        for spelling in spellings:
            make_password(spelling)
        return False, False
    outdated: list[str] = []
    for number, spelling in enumerate(spellings):
        if check_password(spelling, password_hash, outdated.append):
            return True, bool(outdated or number)
    return False, False
