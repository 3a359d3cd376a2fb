"""What code that revokes itself says to the triggers, which else write a row for each session that ends."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def revoked_by_caller() -> Iterator[None]:
    """Let the triggers write no revocations for sessions that end in this block: the caller writes them.

    Use it inside `atomic()`. Where the block fails, the end of the transaction or savepoint resets the setting.
    """
    _set("on")
    yield
    _set("off")


def _set(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('academy.tenant_revoked', %s, true)", [value])
