"""Which errors of the database are tried again, and which are the matter of one row."""

from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, DataError, IntegrityError, InternalError

Answer = TypeVar("Answer")

MAX_TRIES = 4

ROW_ERRORS = (DataError, IntegrityError, InternalError, UnicodeError)
"""What a row's content may cause. Anything else (no connection, no space) is not the row's: the job stops."""

_DEADLOCK, _SERIALIZATION, _UNIQUE = "40P01", "40001", "23505"


class StudentsMovedError(Exception):
    """Somebody else made or restored a student between our looking and our writing: look again."""


def try_again(work: Callable[[], Answer]) -> Answer:
    """The answer of `work`, a whole transaction, which is run again if a concurrent one was in its way.

    Raises what `work` raised last.
    """
    for left in reversed(range(MAX_TRIES)):
        try:
            return work()
        except (DatabaseError, StudentsMovedError) as error:
            if left == 0 or not is_concurrent(error):
                raise
    raise AssertionError("unreachable")


def is_concurrent(error: BaseException) -> bool:
    """Whether somebody else's work was in the way (or a username was taken), so that trying again may help."""
    code = getattr(error.__cause__, "sqlstate", None)
    return isinstance(error, StudentsMovedError) or code in {_DEADLOCK, _SERIALIZATION, _UNIQUE}
