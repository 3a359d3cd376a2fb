"""Limits on how long a transaction waits for locks, and lets others wait for its own."""

from django.db import connection

LOCK_SECONDS = 3
"""For a lock that another transaction holds."""
STATEMENT_SECONDS = 10
IDLE_SECONDS = 10
"""Between two statements. A process that is frozen for longer loses its transaction, and its locks are free."""


def limit_waiting() -> None:
    """Limit the rest of the current transaction. Call it before taking a lock that others wait for.

    What takes longer raises OperationalError, which a request answers with 503 and `Retry-After`.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true),"
            " set_config('idle_in_transaction_session_timeout', %s, true)",
            [f"{LOCK_SECONDS}s", f"{STATEMENT_SECONDS}s", f"{IDLE_SECONDS}s"],
        )
