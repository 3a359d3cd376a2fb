"""Functions that the push engine calls: one ends sessions, one sends a revocation. Both write into the audit log."""

from typing import Any

from academy.adapters.db.django import repositories_sessions
from apps.core.audit import Event, audit
from realtime.outbox import revoke


def end_sessions(tenant_id: int, user_id: int | None, session_id: str | None) -> None:
    """End one session, or all sessions of a user or a tenant. This is the project's `REALTIME_END_SESSIONS`.

    `realtime.outbox.revoke.revoke` and `manage.py realtime_revoke` call it.
    """
    repositories_sessions.end_sessions(tenant_id, user_id, session_id)
    subject = f"session:{session_id}" if session_id else f"user:{user_id}" if user_id else f"tenant:{tenant_id}"
    audit(Event.REVOKED, tenant=tenant_id, subject=subject, cause="revoke")


def send_revocation(payload: dict[str, Any]) -> None:
    """Send a revocation from the outbox, and write into the audit log what caused it.

    The revocation was written by a trigger, or by a process that died before sending it.
    """
    revoke.send_revocation(payload)
    tenant_id, subject = int(payload["tenant"]), str(payload["subject"])
    audit(
        Event.REVOKED,
        tenant=tenant_id,
        subject=f"tenant:{tenant_id}" if subject == "tenant" else subject,
        cause=payload.get("cause", "left_behind"),
        database_user=payload.get("by"),
        process=payload.get("process"),
    )
