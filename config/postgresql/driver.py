"""psycopg with connections that wait only a limited time for an answer. Django uses this module as its driver.

A server may keep a connection open without answering, for example if a pooler hangs or a process was stopped (SIGSTOP).
To the kernel such a connection is healthy, and a thread would wait forever.
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
"""How often a waiting thread checks whether it was interrupted, in seconds. This is psycopg's own value."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed if an answer does not arrive in time."""

    answer_seconds: float | None = None
    """How many seconds to wait for the answer to a statement. None means without limit."""

    def wait(self, gen: Any, interval: float = INTERVAL, timeout: float | None = None) -> Any:
        """Wait for an answer, and return it.

        If the answer does not arrive within `answer_seconds`, close the connection and raise OperationalError. If the
        caller passes a `timeout`, that applies instead: psycopg's own error is raised, and the connection stays open.
        """
        limit = self.answer_seconds if timeout is None else None
        try:
            return super().wait(gen, interval, timeout if limit is None else limit)
        except errors._WaitTimeout:  # noqa: SLF001 - it has no public name
            if limit is None:
                raise
            self.pgconn.finish()
            raise OperationalError(f"PostgreSQL has not answered for {limit:g} s: the connection is closed.") from None


connect = BoundedConnection.connect
