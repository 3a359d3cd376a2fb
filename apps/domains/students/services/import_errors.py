"""Decides after which errors of the database to try again, and which errors concern only one row."""

from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, DataError

Answer = TypeVar("Answer")

MAX_TRIES = 4

_DEADLOCK, _SERIALIZATION, _UNIQUE = "40P01", "40001", "23505"
_DATA, _INTEGRITY = "22", "23"
_RAISED_BY_A_TRIGGER = "P0001"


class StudentsMovedError(Exception):
    """Another transaction created or restored a student between our query and our write: try again."""


SAVE_ERRORS = (DatabaseError, StudentsMovedError, UnicodeError)
"""The errors that saving students may raise: because of a row, another transaction or the database itself."""


def try_again(work: Callable[[], Answer]) -> Answer:
    """Call `work`, which is a whole transaction, and return its result.

    If `work` raises because of a conflict (`is_concurrent`), call it again. After `MAX_TRIES` calls that all ended with
    a conflict, raise the error of the last call. Raise an error that is not a conflict at once.
    """
    for _ in range(MAX_TRIES - 1):
        try:
            return work()
        except SAVE_ERRORS as error:
            if not is_concurrent(error):
                raise
    return work()


def is_concurrent(error: BaseException) -> bool:
    """Return whether another transaction or a taken username caused the error. If so, another try may succeed."""
    return isinstance(error, StudentsMovedError) or _code(error) in {_DEADLOCK, _SERIALIZATION, _UNIQUE}


def is_of_a_row(error: BaseException) -> bool:
    """Return whether the error may concern one row only, so that other rows can still be saved.

    After any other error (no connection, no space, a wrong statement) the import stops.
    """
    code = _code(error)
    if is_concurrent(error) or isinstance(error, UnicodeError) or code == _RAISED_BY_A_TRIGGER:
        return True
    # A DataError without a code is from psycopg, which refused to send the value to PostgreSQL.
    return code[:2] in {_DATA, _INTEGRITY} or (code == "" and isinstance(error, DataError))


def _code(error: BaseException) -> str:
    """Return PostgreSQL's error code of five characters, or ''."""
    return getattr(error.__cause__, "sqlstate", None) or ""
