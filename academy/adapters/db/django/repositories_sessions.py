"""Queries that list and end the sign-in sessions of accounts.

When a session ends in any way, a trigger on the table revokes its tokens and tickets and ends its connections. Inside
`revoked_by_caller()`, the caller does this instead.
"""

from contextlib import nullcontext
from datetime import datetime
from uuid import UUID

from django.contrib.sessions.models import Session as OperatorSession
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from academy.adapters.db.django.session_triggers import revoked_by_caller
from academy.adapters.db.django.tenancy import rows_of
from apps.core.models import LoginSession, User
from realtime.outbox.revoke import revoke_on_commit


def open_sessions(tenant_id: int, user_id: int) -> QuerySet[LoginSession]:
    """Return the open sessions of an account of the tenant, the most recently used first."""
    return _open(tenant_id).filter(user_id=user_id).order_by("-last_used_at", "pk")


def owner_of_session(tenant_id: int, session_id: UUID) -> int | None:
    """Return the id of the account to which this open session belongs, or None if the tenant has no such session."""
    return _open(tenant_id).filter(pk=session_id).values_list("user_id", flat=True).first()


def owner_of_open_session(session_id: UUID, tenant_code: str | None) -> tuple[int, int] | None:
    """Return the ids of the tenant and the account of a session, or None if there is no open session with this id.

    If `tenant_code` is given, also return None if the session belongs to another tenant.
    """
    found = LoginSession.objects.filter(pk=session_id, ended_at=None, expires_at__gt=timezone.now())
    if tenant_code is not None:
        found = found.filter(user__tenant__code=tenant_code)
    return found.exclude(user__tenant=None).values_list("user__tenant_id", "user_id").first()


def owner_of_any_session(session_id: UUID) -> tuple[int | None, int | None]:
    """Return the ids of the tenant and the account of any session, even of one that has ended.

    Return `(None, None)` if there is no such session. Only the audit log may call this.
    """
    found = LoginSession.objects.filter(pk=session_id).values_list("user__tenant_id", "user_id").first()
    return found or (None, None)


def end_open_sessions(tenant_id: int, sessions: QuerySet[LoginSession]) -> int:
    """End these sessions and their connections, and revoke their tokens. Return how many were ended."""
    with transaction.atomic():
        ended = list(sessions.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True))
        with revoked_by_caller():
            LoginSession.objects.filter(pk__in=ended).update(ended_at=timezone.now())
        for session_id in ended:
            revoke_on_commit(tenant_id, session_id=str(session_id))
    return len(ended)


def end_sessions(tenant_id: int, user_id: int | None, session_id: str | None) -> None:
    """End one session, or all sessions of an account, or (if both ids are None) all sessions of the tenant.

    The engine calls this (`REALTIME_END_SESSIONS`) when it revokes tokens and tickets, so that nobody can get new ones
    with a refresh token.
    """
    sessions = _open(tenant_id)
    if session_id is not None:
        key = _uuid(session_id)
        sessions = sessions.filter(pk=key) if key else sessions.none()
    elif user_id is not None:
        sessions = sessions.filter(user_id=user_id)
    with transaction.atomic():
        of_tenant = session_id is None and user_id is None
        # If the engine has revoked everything of the tenant, the triggers need not revoke each session.
        with revoked_by_caller() if of_tenant else nullcontext():
            sessions.update(ended_at=timezone.now())


def purge_sessions(expired_before: datetime, most: int) -> int:
    """Delete up to `most` sessions that expired before this time, oldest first. Return how many were deleted.

    Their tokens are no longer valid, so the triggers need not revoke anything. Rows that another process is deleting
    are skipped.
    """
    with transaction.atomic():
        expired = LoginSession.objects.filter(expires_at__lt=expired_before).order_by("expires_at")
        ids = list(expired.select_for_update(skip_locked=True).values_list("pk", flat=True)[:most])
        with revoked_by_caller():
            LoginSession.objects.filter(pk__in=ids).delete()
    return len(ids)


def purge_operator_sessions(expired_before: datetime, most: int) -> int:
    """Delete up to `most` sessions in the Django admin that expired before this time. Return how many were deleted."""
    with transaction.atomic():
        expired = OperatorSession.objects.filter(expire_date__lt=expired_before).order_by("expire_date")
        keys = list(expired.select_for_update(skip_locked=True).values_list("pk", flat=True)[:most])
        OperatorSession.objects.filter(pk__in=keys).delete()
    return len(keys)


def _open(tenant_id: int) -> QuerySet[LoginSession]:
    of_tenant = rows_of(tenant_id, User)
    return LoginSession.objects.filter(user__in=of_tenant, ended_at=None, expires_at__gt=timezone.now())


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None  # not the id of a session
