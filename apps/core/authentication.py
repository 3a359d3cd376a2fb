"""Authenticates requests by their access token, without SQL."""

import ipaddress
from contextlib import suppress
from typing import Any

from django.contrib.auth.backends import BaseBackend
from redis.exceptions import RedisError
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request
from structlog.contextvars import bind_contextvars

from academy.adapters.db.django import repositories_core
from academy.adapters.db.django.repositories_core import Device
from apps.core.audit import Event, audit
from apps.core.hashing import Origin, password_is_right
from apps.core.tokens import Caller, TokenError, TokenExpiredError, read_access_token
from realtime import conf
from realtime.identity import Identity
from realtime.records.errors import RevokedError

MAX_USER_AGENT_LETTERS = 200


class TenantBackend(BaseBackend):
    """Authenticates accounts for Django. Needs the academy's code, because names are unique only within an academy."""

    def authenticate(
        self,
        request: Any,
        username: str | None = None,
        password: str | None = None,
        tenant: str | None = None,
        **kwargs: Any,  # noqa: ARG002 - Django's signature
    ) -> Any:
        if not (username and password and tenant):
            return None
        origin = Origin.of_sign_in(tenant, address_of(request) if request else "")
        user = repositories_core.find_account(tenant, username)
        return user if password_is_right(user, password, origin) else None

    def get_user(self, user_id: int) -> Any:
        return repositories_core.find_user(user_id)


class AccessTokenAuthentication(BaseAuthentication):
    """Authenticates by `Authorization: Bearer <access token>`.

    If `X-Tenant-Code` is sent and names another academy than the token does, the answer is 403.
    """

    def authenticate(self, request: Request) -> tuple[Caller, str] | None:
        parts = get_authorization_header(request).decode("latin-1").split()
        if not parts or parts[0].lower() != "bearer":
            return None
        try:
            token = parts[1] if len(parts) == 2 else ""  # noqa: PLR2004 - scheme and token
            caller = read_access_token(token, arrived_at(request))
        except TokenExpiredError as error:
            raise AuthenticationFailed(str(error), "token_expired") from error
        except TokenError as error:
            raise AuthenticationFailed(str(error), "token_invalid") from error
        bind_contextvars(tenant=caller.tenant_id)  # for each line that this request logs
        claimed = request.headers.get("X-Tenant-Code")
        if claimed is not None and claimed != caller.tenant_code:
            audit(
                Event.OTHER_TENANT_REFUSED,
                tenant=caller.tenant_id,
                user=caller.user_id,
                session=caller.session_id,
                address=address_of(request),
                subject=f"tenant:{caller.tenant_id}",
                outcome="refused",
                reason="header",
            )
            raise PermissionDenied(
                f"X-Tenant-Code says {claimed!r}, but the token belongs to {caller.tenant_code!r}.", "tenant_mismatch"
            )
        self.check_marks(caller)
        return caller, parts[1]

    def check_marks(self, caller: Caller) -> None:
        """Raise AuthenticationFailed (401) if the caller was revoked, and RedisError (503) if Redis does not answer."""
        try:
            conf.revocations().check(identity_of(caller))
        except RevokedError as error:
            raise AuthenticationFailed(str(error), "session_ended") from error

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's signature
        return "Bearer"


class LogoutAuthentication(AccessTokenAuthentication):
    """Authenticates a logout. A token is accepted even if revocations cannot be checked, since a logout is harmless."""

    def check_marks(self, caller: Caller) -> None:
        with suppress(RedisError, OSError):
            super().check_marks(caller)


def arrived_at(request: Request) -> float | None:
    """Return when the request began, in Unix seconds, or None if that is unknown.

    Authentication compares the token with this time, because the token may expire while the body arrives.
    """
    scope: dict[str, Any] = getattr(request, "scope", {})  # requests have a scope under ASGI, but not in some tests
    return scope.get("arrived_at")


def address_of(request: Any) -> str:
    """Return the address of the client. Behind a trusted proxy, this is the address that the proxy names."""
    return str(request.META.get("REMOTE_ADDR", ""))


def device_of(request: Any) -> Device:
    """Return the address and the shortened User-Agent of a request, for the list of sessions."""
    try:
        address = str(ipaddress.ip_address(address_of(request).partition("%")[0]))
    except ValueError:  # a server behind a Unix socket knows no address
        address = None
    words = "".join(letter if letter.isprintable() else " " for letter in request.headers.get("User-Agent", ""))
    return Device(address, words[:MAX_USER_AGENT_LETTERS])


def identity_of(caller: Caller) -> Identity:
    """Return the caller's identity for the push engine."""
    return Identity(
        tenant_id=caller.tenant_id,
        user_id=caller.user_id,
        session_id=str(caller.session_id),
        role=caller.role.value,
        tenant_code=caller.tenant_code,
        issued_at=caller.issued_at,
    )


def caller_of(request: Request) -> Caller:
    """Return the caller of a view that requires a token. Raises TypeError in other views."""
    caller: object = request.user
    if not isinstance(caller, Caller):
        raise TypeError("This view is open to callers without a token; it must not ask who they are.")
    return caller
