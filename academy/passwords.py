"""Hashes and compares passwords. Each call takes a large part of a second of CPU time, on purpose.

Web requests call these functions through `apps.core.hashing`, which runs them in a few threads of its own.
"""

from dataclasses import dataclass

from django.contrib.auth.hashers import check_password, make_password

from academy.domain.passwords import normalised


@dataclass(frozen=True, slots=True)
class Compared:
    """Whether a password is right. If it is right and the stored hash is outdated, `new_hash` is a new hash."""

    right: bool
    new_hash: str | None = None


def hash_password(password: str) -> str:
    return make_password(normalised(password))


def password_matches(password: str, password_hash: str | None) -> bool:
    """Return whether a password matches a stored hash.

    The hash is `None` if there is no such account. The call then takes as long as for a wrong password, so that the
    time does not tell which accounts exist.
    """
    right, _outdated = _compare(password, password_hash)
    return right


def compare_password(password: str, password_hash: str | None) -> Compared:
    """Compare as `password_matches` does. If the password is right but its hash is outdated, also return a new hash.

    A hash is outdated if new hashes have more rounds or another algorithm, or if an older version made the hash from a
    password that was not normalised.
    """
    right, outdated = _compare(password, password_hash)
    return Compared(right, hash_password(password) if outdated else None)


def _compare(password: str, password_hash: str | None) -> tuple[bool, bool]:
    """Return whether the password is right, and whether its hash is outdated."""
    # An older version hashed passwords as they were typed, without normalising them.
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
