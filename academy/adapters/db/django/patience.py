"""Limits how long a transaction waits for locks, and how long other transactions wait for its locks."""

from django.db import connection

LOCK_SECONDS = 3
"""The longest wait for a lock that another transaction holds."""
STATEMENT_SECONDS = 10
IDLE_SECONDS = 10
"""The longest time between two statements. If a process is frozen for longer, its transaction is rolled back, which
frees its locks."""


def limit_waiting() -> None:
    """Apply the three limits above to the rest of the current transaction.

    Call it before taking a lock for which other transactions may wait. A statement that runs or waits for too long
    raises OperationalError, which a view answers with 503 and `Retry-After`.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true),"
            " set_config('idle_in_transaction_session_timeout', %s, true)",
            [f"{LOCK_SECONDS}s", f"{STATEMENT_SECONDS}s", f"{IDLE_SECONDS}s"],
        )
