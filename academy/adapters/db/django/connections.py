"""Closes database connections before slow work, because the database accepts only a limited number of them."""

from django.db import connections


def give_back_connection() -> None:
    """Close this thread's database connections before slow work. The next query opens a connection again.

    Raises RuntimeError inside `atomic()`: a transaction needs its connection, so slow work must be done outside of it.
    """
    for connection in connections.all(initialized_only=True):
        # Ignore the blocks that Django's test cases put around a test.
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            raise RuntimeError("Do this outside atomic(): it is slow, and a transaction holds its connection.")
        if not connection.in_atomic_block:
            connection.close()
