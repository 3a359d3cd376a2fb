"""The audit log: who did what to whom, one JSON object a line, from a logger of its own (`academy.audit`).

Names of events and fields are a contract (docs/reference/audit-log.md). People are named by their ids. What somebody
typed is never written down: some type their password into the field of the name.
"""

from enum import StrEnum
from typing import Any

import structlog
from django.conf import settings
from django.utils.crypto import salted_hmac

LOGGER = "academy.audit"
log = structlog.get_logger(LOGGER)


class Event(StrEnum):
    """What is written down."""

    SIGN_IN_LIMITED = "sign_in_limited"
    SESSION_ENDED = "session_ended"
    OPERATOR_SIGNED_IN = "operator_signed_in"
    OPERATOR_SIGN_IN_FAILED = "operator_sign_in_failed"
    OPERATOR_CHANGED = "operator_changed"


def audit(
    event: Event,
    *,
    tenant: int | None,
    user: int | None = None,
    session: object = None,
    address: str = "",
    subject: str = "",
    outcome: str = "ok",
    **more: Any,
) -> None:
    """Write a line. `user` and `session` are those of who acts; `subject` is what it was done to, as `user:7`.

    `more` may hold ids, numbers and fixed words; never names, passwords, tokens or anything that a request brought.
    """
    log.info(
        event.value,
        tenant=tenant,
        user=user,
        session=str(session) if session else None,
        address=address,
        subject=subject,
        outcome=outcome,
        **more,
    )


def account_mark(tenant_code: str, username: str) -> str:
    """Return a mark of what was typed as an account: the same for the same text, and no way back to it."""
    text = f"{tenant_code}/{username}"
    return salted_hmac("academy.audit", text, settings.SECRET_KEY, algorithm="sha256").hexdigest()[:16]
