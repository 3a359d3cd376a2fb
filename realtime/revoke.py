"""Revoking, for the project's own code: a logout, a changed role, a removed membership, a suspended tenant."""

import time
from datetime import timedelta
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import DatabaseError, transaction
from django.utils import timezone
from redis import Redis
from redis.exceptions import RedisError

from realtime import conf
from realtime.outbox import entries_since, note_sent, send_on_commit
from realtime.revocation import GROUP, KEPT_SECONDS, TENANT, Revocations, session_subject, user_subject

log = structlog.get_logger(__name__)

REVOCATION = "revocation"
"""The kind of its outbox rows (`realtime.conf.outbox_senders`)."""


def revoke_on_commit(tenant_id: int, *, user_id: int | None = None, session_id: str | None = None) -> None:
    """Ends a session, or all that a user has, or (with neither) all of a tenant, once the transaction is committed.

    Connections end within a second, tokens and tickets with their next use. Call it inside `atomic()`, beside the write
    that it tells of: like a record it leaves through the outbox, and is not lost with a Redis that is away or emptied.
    """
    send_on_commit(REVOCATION, tenant_id, _payload(tenant_id, user_id, session_id))


def revoke(tenant_id: int, *, user_id: int | None = None, session_id: str | None = None) -> None:
    """The same at once, where no transaction is concerned, and the sign-ins too (`REALTIME_END_SESSIONS`).

    Raises RedisError where it could not be recorded.
    """
    payload = _payload(tenant_id, user_id, session_id)
    send_revocation(payload)
    if (end_sessions := conf.session_ender()) is not None:
        end_sessions(tenant_id, user_id, session_id)
        send_revocation(payload)  # for whoever refreshed a token in between
    try:
        with transaction.atomic():  # for a Redis that is emptied later
            note_sent(REVOCATION, tenant_id, payload)
    except DatabaseError as problem:
        log.warning("revocation_not_kept", tenant=tenant_id, error=str(problem).strip())


def send_revocation(payload: dict[str, Any]) -> None:
    """Records the mark, then tells all processes. Raises RedisError where it could not be recorded.

    The time is that of the sending, after the commit: whoever read before the commit what it changed read it before.
    """
    payload = {**payload, "at": time.time() * 1000}
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
    return {"tenant": tenant_id, "subject": subject}


def restore_marks(redis: Redis, *, key_prefix: str = "") -> int:
    """Records the marks of all revocations that still end something, for a Redis that lost them; their number.

    Tells no process: connections were ended when they were revoked, or are with the next probe. Raises RedisError.
    """
    marks = [
        (entry.tenant_id, str(entry.payload["subject"]), (entry.sent_at or entry.created_at).timestamp() * 1000)
        for entry in entries_since(REVOCATION, timezone.now() - timedelta(seconds=KEPT_SECONDS))
        if "subject" in entry.payload
    ]
    Revocations(redis, key_prefix=key_prefix).add_all(marks)
    return len(marks)
