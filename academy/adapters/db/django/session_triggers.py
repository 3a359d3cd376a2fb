"""Context managers that keep database triggers from writing revocations, or from ending sessions, in a `with` block.

They set variables of the transaction, which the triggers read.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def revoked_by_caller() -> Iterator[None]:
    """Keep the triggers from writing revocations during a `with` block, because the caller writes them.

    This affects the triggers on sessions, enrolments and memberships. The others still write revocations.

    Use it inside `atomic()`. If the block fails, the rollback of the transaction or savepoint resets the setting.
    """
    _set("academy.tenant_revoked", "on")
    yield
    _set("academy.tenant_revoked", "off")


@contextmanager
def same_password(user_id: int) -> Iterator[None]:
    """Keep the triggers from ending this account's sessions when a `with` block writes a new hash of its password.

    The new hash must be of the same password. Use it inside `atomic()`. Other changes in the block end sessions as
    usual.
    """
    _set("academy.same_password", str(user_id))
    yield
    _set("academy.same_password", "")


def _set(name: str, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
