"""Limits how long a transaction waits for locks, and how long other transactions wait for its locks."""

from django.db import connection

LOCK_SECONDS = 3
"""How long a statement waits for a lock that another transaction holds, before it fails."""
STATEMENT_SECONDS = 10
IDLE_SECONDS = 10
"""How long a transaction may be idle between two statements. If its process is frozen for longer, the transaction is
rolled back, which releases its locks."""


def limit_waiting() -> None:
    """Apply `LOCK_SECONDS`, `STATEMENT_SECONDS` and `IDLE_SECONDS` to the rest of the current transaction.

    Call it before taking a lock for which other transactions may wait. A statement that runs or waits for too long
    raises OperationalError, which a view answers with 503 and `Retry-After`.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true),"
            " set_config('idle_in_transaction_session_timeout', %s, true)",
            [f"{LOCK_SECONDS}s", f"{STATEMENT_SECONDS}s", f"{IDLE_SECONDS}s"],
        )
