"""What runs after a commit never raises: the caller's transaction is committed, whatever comes of it.

Django's own `robust=True` names the hook by its `__qualname__`, which a `functools.partial` has not, and leaves a
broken connection to the next hook.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from django.db import DatabaseError, transaction

log = structlog.get_logger(__name__)


def run_after_commit(hook: Callable[..., object], *arguments: Any) -> None:
    """Calls `hook(*arguments)` once the current transaction is committed. Its errors are logged.

    A hook whose work has to be done must leave something in the database that others find: the process may die first.
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
    """Lets the next hook, and whoever comes after it, have a connection that works."""
    connection = transaction.get_connection()
    if connection.in_atomic_block or not connection.errors_occurred:
        return
    try:
        connection.close_if_unusable_or_obsolete()
    except Exception:
        log.exception("connection_not_closed")
