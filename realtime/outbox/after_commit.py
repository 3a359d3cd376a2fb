"""Runs functions after a commit, and never raises their errors, because the caller's transaction is committed.

Django's own `robust=True` is not enough: it logs the function's `__qualname__`, which a `functools.partial` does not
have, and it leaves a broken database connection to the next function.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from django.db import DatabaseError, transaction

log = structlog.get_logger(__name__)


def run_after_commit(hook: Callable[..., object], *arguments: Any) -> None:
    """Call `hook(*arguments)` once the current transaction is committed. Errors of the hook are only logged.

    The process may die between the commit and the call. If the work must not be lost, the transaction has to write a
    row that other processes find.
    """
    transaction.on_commit(_Hook(hook, arguments))


class _Hook:
    def __init__(self, hook: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self._call = partial(hook, *arguments)
        self.__qualname__ = getattr(hook, "__qualname__", repr(hook))

    def __call__(self) -> None:
        try:
            self._call()
        except DatabaseError as problem:
            log.warning("after_commit_failed", hook=self.__qualname__, error=str(problem).strip())
        except Exception:
            log.exception("after_commit_failed", hook=self.__qualname__)
        _drop_broken_connection()


def _drop_broken_connection() -> None:
    """Close a broken database connection, so that the next hook gets a new one."""
    connection = transaction.get_connection()
    if connection.in_atomic_block or not connection.errors_occurred:
        return
    try:
        connection.close_if_unusable_or_obsolete()
    except Exception:
        log.exception("connection_not_closed")
