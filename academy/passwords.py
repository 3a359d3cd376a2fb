"""Hashing and comparing passwords. Each call takes a good part of a second of one processor, on purpose.

A web request calls these through `apps.core.hashing`, which does the work in a few threads of its own.
"""

from django.contrib.auth.hashers import check_password, make_password

from academy.domain.passwords import normalised


def hash_password(password: str) -> str:
    return make_password(normalised(password))


def password_matches(password: str, password_hash: str | None) -> bool:
    """Compare a password with a stored hash.

    `None` (there is no such account) costs as many hashes as a wrong password, so that nobody can try names.
    """
    # Hashes from before passwords were normalised hold what was typed.
    spellings = dict.fromkeys((normalised(password), password))
    if password_hash is None:
        for spelling in spellings:
            make_password(spelling)
        return False
    return any(check_password(spelling, password_hash) for spelling in spellings)
