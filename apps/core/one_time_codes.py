"""One-time codes: 16 digits that sign in to an account once, in place of its password.

A code has only digits, in four groups, so that it can be read out on the telephone in any language. There are 10^16
codes, and attempts to sign in are limited, so nobody guesses one before it expires. Only a keyed hash is stored. The
key is derived from `SECRET_KEY`, so a copy of the database alone does not reveal a code.
"""

import secrets
import unicodedata
from hmac import compare_digest, new

from apps.core.keys import signing_keys

FOR_CODES = "one-time code"
DIGITS = 16
GROUP = 4
MAX_TYPED = 60
"""A longer text is no code. It is not examined any further."""
SEPARATORS = frozenset(" -\u2010\u2011\u2012\u2013\u2014.\t\n")


def new_code() -> str:
    """Return a random code: 16 digits without spaces."""
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"


def grouped(code: str) -> str:
    """Return the code as people read it, such as `1234 5678 9012 3456`."""
    return " ".join(code[place : place + GROUP] for place in range(0, DIGITS, GROUP))


def read_code(typed: str) -> str | None:
    """Return the digits if a text may be a code, else None. Spaces, hyphens and full-width digits are understood."""
    if not DIGITS <= len(typed) <= MAX_TYPED:
        return None
    digits = "".join(letter for letter in unicodedata.normalize("NFKC", typed) if letter not in SEPARATORS)
    return digits if len(digits) == DIGITS and digits.isascii() and digits.isdecimal() else None


def hash_of(user_id: int, code: str) -> str:
    """Return the hash under which a new code is stored. The same code of two accounts has two hashes."""
    return _hashes(user_id, code)[0]


def is_code(user_id: int, typed: str, code_hash: str) -> bool:
    """Return whether a text is the code with this hash, which may have been made with an older key."""
    code = read_code(typed)
    if code is None:
        return False
    return any(compare_digest(known, code_hash) for known in _hashes(user_id, code))


def _hashes(user_id: int, code: str) -> list[str]:
    return [new(key, f"{user_id}:{code}".encode(), "sha256").hexdigest() for key in signing_keys(FOR_CODES)]
