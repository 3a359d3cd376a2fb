"""Queries on academies, accounts and sign-in sessions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from academy.adapters.db.django.session_triggers import revoked_by_caller, same_password
from academy.adapters.db.django.tenancy import rows_of
from academy.domain.roles import Role
from apps.core.models import LoginSession, Tenant, TenantMembership, User
from realtime.outbox.revoke import revoke_on_commit

ROTATION_GRACE = timedelta(seconds=30)
"""How long after an exchange the previous refresh token is still accepted. Two tabs may refresh at the same moment."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that was opened or continued, with its account, academy and role."""

    session: LoginSession
    user: User
    tenant: Tenant
    role: Role


@dataclass(frozen=True, slots=True)
class Device:
    """The IP address and the browser of a sign-in or refresh. The list of sessions shows them."""

    address: str | None = None
    user_agent: str = ""


NO_DEVICE = Device()


class SessionEndedError(Exception):
    """The session cannot continue: it has ended, its refresh token was used twice, or the account is closed."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def find_user(user_id: int) -> User | None:
    """Return the active account with this id, with its academy loaded. Return None if there is no such account."""
    return User.objects.select_related("tenant").filter(pk=user_id, is_active=True).first()


def find_operator(username: str) -> User | None:
    """Return the active account of the operator with this name, or None. Operators belong to no academy."""
    return User.objects.filter(tenant=None, username=username, is_active=True, is_superuser=True).first()


def operator_exists(username: str, database: str) -> bool:
    """Return whether there is an operator with this name. Operators belong to no academy."""
    return User.objects.using(database).filter(tenant=None, username=username).exists()


def find_user_id(tenant_id: int, username: str) -> int | None:
    return User.objects.filter(tenant_id=tenant_id, username=username).values_list("pk", flat=True).first()


def find_tenant_code(tenant_id: int) -> str | None:
    return Tenant.objects.filter(pk=tenant_id).values_list("code", flat=True).first()


def names_of_tenant(tenant_id: int) -> tuple[str, ...]:
    """Return the academy's code and name, or an empty tuple if there is no such academy."""
    return Tenant.objects.filter(pk=tenant_id).values_list("code", "name").first() or ()


def find_tenant_id(tenant_code: str) -> int | None:
    return Tenant.objects.filter(code=tenant_code).values_list("pk", flat=True).first()


def all_tenant_ids() -> list[int]:
    return list(Tenant.objects.order_by("pk").values_list("pk", flat=True))


def names_of(tenant_ids: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Return a dict from id to code and name, for these academies. Only `academy.figures` may call this."""
    rows = Tenant.objects.filter(pk__in=set(tenant_ids)).values_list("pk", "code", "name")
    return {tenant_id: (code, name) for tenant_id, code, name in rows}


def find_account(tenant_code: str, username: str) -> User | None:
    """Return the account with this name in the academy with the code `tenant_code`, or None. Both must be active.

    The account's one-time code is loaded, too. The caller checks the password or the one-time code.
    """
    found = User.objects.select_related("tenant", "one_time_code").filter(tenant__code=tenant_code, tenant__active=True)
    return found.filter(username=username, is_active=True).first()


def open_session(user: User, device: Device = NO_DEVICE) -> SignedIn | None:
    """Open a session for an account whose password was checked.

    Return None if the account has no role, or was closed or given another password since `user` was read.
    """
    role = role_of(user)
    if role is None or user.tenant is None:
        return None
    with transaction.atomic():
        # A password change ends all open sessions, and this lock makes it wait. A change that came before the lock
        # makes `same` empty, so no session is opened. A change that comes after the lock also ends the new session.
        same = User.objects.select_for_update(no_key=True).filter(pk=user.pk, password=user.password, is_active=True)
        if not same.exists():
            return None
        session = create_session(user, device)
    return SignedIn(session, user, user.tenant, role)


def create_session(user: User, device: Device) -> LoginSession:
    """Create the row of a session. The caller has locked the row of the account, and checked that it may sign in."""
    now = timezone.now()
    return LoginSession.objects.create(
        user=user,
        token_id=uuid4(),
        rotated_at=now,
        expires_at=now + timedelta(seconds=settings.REFRESH_TOKEN_SECONDS),
        address=device.address,
        user_agent=device.user_agent,
    )


def rotate_session(session_id: UUID, token_id: UUID, device: Device = NO_DEVICE) -> SignedIn:
    """Exchange the refresh token of a session for a new token. Return the session with its account.

    For `ROTATION_GRACE` after an exchange, the previous token is still accepted, but not exchanged: the session keeps
    its newer token. A token that is no longer accepted was probably copied, so this call ends the session.

    Raises SessionEndedError if the session has ended, if this call ends it, or if the account is closed. The error is
    raised after the commit, so that a session which this call ends stays ended.
    """
    now = timezone.now()
    with transaction.atomic():
        session = (
            LoginSession.objects.select_for_update(of=("self",))
            .select_related("user__tenant")
            .filter(pk=session_id, ended_at=None, expires_at__gt=now)
            .first()
        )
        if session is None:
            raise SessionEndedError("ended", "The session has ended: sign in again.")
        stolen = not _accept(session, token_id)
        if not stolen:
            session.last_used_at, session.address, session.user_agent = now, device.address, device.user_agent
        if stolen and session.user.tenant_id is not None:
            with revoked_by_caller():
                session.save()
            revoke_on_commit(session.user.tenant_id, session_id=str(session.pk))
        else:
            session.save()
    user, role = session.user, role_of(session.user)
    if stolen:
        raise SessionEndedError("used_twice", "The refresh token was used twice: the session has ended, sign in again.")
    if role is None or user.tenant is None or not (user.is_active and user.tenant.active):
        raise SessionEndedError("closed", "The account is closed.")
    return SignedIn(session, user, user.tenant, role)


def _accept(session: LoginSession, token_id: UUID) -> bool:
    now = timezone.now()
    if token_id == session.token_id:
        session.previous_token_id, session.token_id, session.rotated_at = token_id, uuid4(), now
        return True
    if token_id == session.previous_token_id and now - session.rotated_at < ROTATION_GRACE:
        return True
    session.ended_at = now
    return False


def end_session(tenant_id: int, session_id: UUID) -> None:
    """End a session and its connections, and revoke its tokens."""
    with transaction.atomic():
        with revoked_by_caller():
            LoginSession.objects.filter(pk=session_id, ended_at=None).update(ended_at=timezone.now())
        revoke_on_commit(tenant_id, session_id=str(session_id))


def revoke_users(tenant_id: int, *user_ids: int | None) -> None:
    """End the connections of these users, and revoke their access tokens and tickets.

    Their sessions continue: the users get new tokens, and may reconnect.

    Call it inside `atomic()`.
    """
    for user_id in user_ids:
        if user_id is not None:
            revoke_on_commit(tenant_id, user_id=user_id)


def change_password(user: User, password_hash: str) -> bool:
    """Set the password and end all the account's sessions.

    Return False, and change nothing, if the account was closed or given another password since `user` was read.
    """
    with transaction.atomic():
        same = User.objects.select_for_update(no_key=True).filter(pk=user.pk, password=user.password, is_active=True)
        if not same.exists():
            return False
        user.password, user.must_change_password = password_hash, False
        # A trigger ends and revokes each session. Revoking only the user would not be enough: that revokes only
        # tickets with an earlier time, and an old ticket may seem newer, as the times may be from different clocks.
        user.save(update_fields=["password", "must_change_password"])
        if user.tenant_id is not None:
            revoke_on_commit(user.tenant_id, user_id=user.pk)
    return True


def renew_hash(user: User, new_hash: str) -> None:
    """Replace the account's outdated hash by a new hash of the same password. The sessions stay open.

    Do nothing if the account was given another password since `user` was read.
    """
    with transaction.atomic(), same_password(user.pk):
        if User.objects.filter(pk=user.pk, password=user.password).update(password=new_hash):
            user.password = new_hash


def has_other_hash(user: User) -> bool:
    """Return whether the account is active and its password hash has changed since `user` was read."""
    return User.objects.filter(pk=user.pk, is_active=True).exclude(password=user.password).exists()


def account_in(tenant_code: str | None, username: str, database: str) -> User | None:
    """Return the account with this name in the academy with the code `tenant_code`, or None. The account may be closed.

    If `tenant_code` is None, return the account of the operator with this name.
    """
    named = User.objects.using(database).filter(username=username).select_related("tenant")
    return (named.filter(tenant=None) if tenant_code is None else named.filter(tenant__code=tenant_code)).first()


def accounts_named(username: str, database: str, *, limit: int) -> list[User]:
    """Return at most `limit` accounts with this name: operators first, then sorted by academy."""
    named = User.objects.using(database).filter(username=username).select_related("tenant")
    return list(named.order_by(F("tenant__code").asc(nulls_first=True))[:limit])


def role_in(tenant_id: int, user_id: int) -> Role | None:
    """Return the role of an account of the tenant, or None if there is no such account or the account has no role."""
    found = rows_of(tenant_id, TenantMembership).filter(user_id=user_id, user__tenant_id=tenant_id)
    value = found.values_list("role", flat=True).first()
    return Role(value) if value else None


def role_of(user: User) -> Role | None:
    """Return the role of an account in its academy, or None if it has none."""
    return None if user.tenant_id is None else role_in(user.tenant_id, user.pk)


def create_tenant(code: str, name: str) -> Tenant | None:
    """Create an academy. Return None if the code is taken."""
    tenant, created = Tenant.objects.get_or_create(code=code, defaults={"name": name})
    return tenant if created else None


def create_account(tenant: Tenant, username: str, name: str, role: Role, password_hash: str) -> User:
    user = User.objects.create(tenant=tenant, username=username, name=name, password=password_hash)
    TenantMembership.objects.create(tenant=tenant, user=user, role=role)
    return user


def keep_password(tenant_id: int, username: str) -> None:
    """Let an account keep its initial password: its user no longer has to choose another."""
    User.objects.filter(tenant_id=tenant_id, username=username).update(must_change_password=False)
