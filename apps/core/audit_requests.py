"""Writes lines of the audit log about what a signed-in caller does."""

from typing import Any

from rest_framework.request import Request

from apps.core.audit import Event, audit
from apps.core.authentication import address_of, caller_of


def audit_as(request: Request, event: Event, *, subject: str, **more: Any) -> None:
    """Write a line of the audit log with the caller's tenant, account, session and address."""
    caller = caller_of(request)
    audit(
        event,
        tenant=caller.tenant_id,
        user=caller.user_id,
        session=caller.session_id,
        address=address_of(request),
        subject=subject,
        **more,
    )
