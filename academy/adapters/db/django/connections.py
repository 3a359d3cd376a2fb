"""Database connections are few: work that takes long holds none."""

from django.db import connections


def give_back_connection() -> None:
    """Give this thread's connection back before slow work: to the pool in the web process, or to PostgreSQL.

    The next query takes one again. Raises RuntimeError inside `atomic()`: a transaction cannot let go of its
    connection, so slow work has no place there.
    """
    for connection in connections.all(initialized_only=True):
        # The blocks that Django's test cases put around a test are nobody's slow work.
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            raise RuntimeError("Do this outside atomic(): it is slow, and a transaction holds its connection.")
        if not connection.in_atomic_block:
            connection.close()
