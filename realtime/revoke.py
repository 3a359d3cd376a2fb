"""Revoking, for the project's own code: a logout, a changed role, a removed membership, a suspended tenant."""

import time
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from realtime import conf
from realtime.outbox import send_on_commit
from realtime.revocation import GROUP, TENANT, session_subject, user_subject

log = structlog.get_logger(__name__)

REVOCATION = "revocation"
"""The kind of its outbox rows (`realtime.conf.outbox_senders`)."""


def revoke_on_commit(tenant_id: int, *, user_id: int | None = None, session_id: str | None = None) -> None:
    """Ends a session, or all that a user has, or (with neither) all of a tenant, once the transaction is committed.

    Connections end within a second, tokens and tickets with their next use. Call it inside `atomic()`, beside the write
    that it tells of: like a record it leaves through the outbox, and is not lost with a Redis that is away.
    """
    send_on_commit(REVOCATION, tenant_id, _payload(tenant_id, user_id, session_id))


def revoke(tenant_id: int, *, user_id: int | None = None, session_id: str | None = None) -> None:
    """The same at once, where no transaction is concerned. Raises RedisError where it could not be recorded."""
    send_revocation(_payload(tenant_id, user_id, session_id))


def send_revocation(payload: dict[str, Any]) -> None:
    """Records the mark, then tells all processes. Raises RedisError where it could not be recorded."""
    conf.revocations().add(payload["tenant"], payload["subject"], payload["at"])
    layer = get_channel_layer()  # type: ignore[no-untyped-call]
    if layer is None:
        return  # each process finds the mark when it probes Redis
    try:
        async_to_sync(layer.group_send)(GROUP, {"type": "realtime.revoked", **payload})
    except (RedisError, OSError) as problem:
        log.warning("revocation_not_told", tenant=payload["tenant"], error=str(problem))


def _payload(tenant_id: int, user_id: int | None, session_id: str | None) -> dict[str, Any]:
    subject = session_subject(session_id) if session_id else user_subject(user_id) if user_id is not None else TENANT
    return {"tenant": tenant_id, "subject": subject, "at": time.time() * 1000}
