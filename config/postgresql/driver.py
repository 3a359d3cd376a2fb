"""psycopg, whose connections wait for an answer for a limited time only. Django takes this module for the driver.

A link may go silent without being lost: a pooler that hangs, a server that was stopped. The kernel then sees a healthy
peer, and a thread would wait for ever.
"""

from typing import Any

import psycopg
from psycopg import (
    Binary,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    errors,
)

__all__ = [
    "Binary",
    "BoundedConnection",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "connect",
]


INTERVAL = 0.1
"""How often a waiting thread looks whether it was interrupted; psycopg's own value."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when an answer does not come in time."""

    answer_seconds: float | None = None
    """How long to wait for the answer to one statement. None: for ever."""

    def wait(self, gen: Any, interval: float = INTERVAL, timeout: float | None = None) -> Any:
        """Wait for an answer. Raises OperationalError where it does not come within the limit."""
        limit = self.answer_seconds if timeout is None else None
        try:
            return super().wait(gen, interval, timeout if limit is None else limit)
        except errors._WaitTimeout:  # noqa: SLF001 - it has no public name
            if limit is None:
                raise
            self.pgconn.finish()
            raise OperationalError(f"PostgreSQL has not answered for {limit:g} s: the connection is closed.") from None


connect = BoundedConnection.connect
