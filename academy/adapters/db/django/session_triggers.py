"""What code says to the triggers: that it revokes itself, or that a new hash is of the same password."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def revoked_by_caller() -> Iterator[None]:
    """Let the triggers write no revocations for sessions that end in this block: the caller writes them.

    Use it inside `atomic()`. Where the block fails, the end of the transaction or savepoint resets the setting.
    """
    _set("academy.tenant_revoked", "on")
    yield
    _set("academy.tenant_revoked", "off")


@contextmanager
def same_password(user_id: int) -> Iterator[None]:
    """Let the triggers end no sessions of this account for a new hash: it is of the password that it had before.

    Use it inside `atomic()`. Anything else that changes in this block counts as ever.
    """
    _set("academy.same_password", str(user_id))
    yield
    _set("academy.same_password", "")


def _set(name: str, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
