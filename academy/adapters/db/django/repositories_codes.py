"""Queries on one-time codes: issue one, use one, and delete those that have expired."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models.functions import Now

from academy.adapters.db.django.repositories_core import NO_DEVICE, Device, SignedIn, create_session, role_of
from academy.adapters.db.django.repositories_sessions import end_open_sessions, open_sessions
from academy.adapters.db.django.tenancy import rows_of
from apps.core.models import OneTimeCode, User


def put_code(user_id: int, *, issued_by: int, code_hash: str, seconds: int) -> datetime:
    """Store the hash of a new code for an account, and return the time at which the new code expires.

    The new code replaces an earlier one. Call this in the transaction that has locked the account, so that nobody
    closes the account at the same moment.
    """
    OneTimeCode.objects.filter(user_id=user_id).delete()
    code = OneTimeCode.objects.create(
        user_id=user_id, issued_by_id=issued_by, code_hash=code_hash, expires_at=Now() + timedelta(seconds=seconds)
    )
    code.refresh_from_db(fields=["expires_at"])
    return code.expires_at


def code_hash_of(user: User) -> str | None:
    """Return the hash of the code that was read with the account (`repositories_core.find_account`), or None."""
    code: OneTimeCode | None = getattr(user, "one_time_code", None)
    return code.code_hash if code else None


def sign_in_with_code(user: User, code_hash: str, device: Device = NO_DEVICE) -> SignedIn | None:
    """Use up the code of an account, and open a session in which the account has to choose a password.

    The old password and all other sessions of the account end. Return None, and change nothing, if the account no
    longer has this code, if the code has expired, or if the account is closed or has no role.
    """
    role = role_of(user)
    if role is None or user.tenant is None:
        return None
    with transaction.atomic():
        # Everything that changes an account or its code locks the account's row first. So no code can be used twice.
        active = rows_of(user.tenant.pk, User).select_for_update(no_key=True).filter(pk=user.pk, is_active=True)
        if not active.exists():
            return None
        used, _ = OneTimeCode.objects.filter(user=user, code_hash=code_hash, expires_at__gt=Now()).delete()
        if not used:
            return None
        end_open_sessions(user.tenant.pk, open_sessions(user.tenant.pk, user.pk))
        user.set_unusable_password()
        user.must_change_password = True
        user.save(update_fields=["password", "must_change_password"])
        session = create_session(user, device)
    return SignedIn(session, user, user.tenant, role)


def has_expired(user: User, code_hash: str) -> bool:
    """Return whether the code with this hash is still stored for the account, and has expired."""
    return OneTimeCode.objects.filter(user=user, code_hash=code_hash, expires_at__lte=Now()).exists()


def purge_codes(expired_before: datetime, most: int) -> int:
    """Delete up to `most` codes that expired before this time. Return how many were deleted."""
    with transaction.atomic():
        expired = OneTimeCode.objects.filter(expires_at__lt=expired_before)
        ids = list(expired.select_for_update(skip_locked=True).values_list("pk", flat=True)[:most])
        OneTimeCode.objects.filter(pk__in=ids).delete()
    return len(ids)
