"""Which errors of the database are tried again, and which are the matter of one row."""

from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, DataError

Answer = TypeVar("Answer")

MAX_TRIES = 4

_DEADLOCK, _SERIALIZATION, _UNIQUE = "40P01", "40001", "23505"
_DATA, _INTEGRITY = "22", "23"
_RAISED_BY_A_TRIGGER = "P0001"


class StudentsMovedError(Exception):
    """Somebody else made or restored a student between our looking and our writing: look again."""


SAVE_ERRORS = (DatabaseError, StudentsMovedError, UnicodeError)
"""All that saving students may raise besides what its docstrings tell."""


def try_again(work: Callable[[], Answer]) -> Answer:
    """The answer of `work`, a whole transaction, which is run again if a concurrent one was in its way.

    Raises what `work` raised last.
    """
    for _ in range(MAX_TRIES - 1):
        try:
            return work()
        except SAVE_ERRORS as error:
            if not is_concurrent(error):
                raise
    return work()


def is_concurrent(error: BaseException) -> bool:
    """Whether somebody else's work was in the way (or a username was taken), so that trying again may help."""
    return isinstance(error, StudentsMovedError) or _code(error) in {_DEADLOCK, _SERIALIZATION, _UNIQUE}


def is_of_a_row(error: BaseException) -> bool:
    """Whether a row's content can have caused it.

    Anything else (no connection, no space, a wrong statement) is not the row's fault: the job stops.
    """
    code = _code(error)
    if is_concurrent(error) or isinstance(error, UnicodeError) or code == _RAISED_BY_A_TRIGGER:
        return True
    # Without a code it was psycopg that refused the value, before PostgreSQL saw it.
    return code[:2] in {_DATA, _INTEGRITY} or (code == "" and isinstance(error, DataError))


def _code(error: BaseException) -> str:
    """PostgreSQL's five letters, or ''."""
    return getattr(error.__cause__, "sqlstate", None) or ""
