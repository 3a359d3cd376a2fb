"""Access and refresh tokens: JWTs that name the caller, so that no request needs SQL for that.

The audience keeps the kinds apart: an access token is never a refresh token or a ticket
(`realtime.connect.tickets`), nor the reverse. RFC 7519; RFC 8725 for the checks (one algorithm, required claims).
"""

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import jwt
from django.conf import settings

from academy.domain.roles import Role
from apps.core.keys import FOR_ACCESS, FOR_REFRESH, signing_keys, verifying_keys
from realtime.redis.clock import clock, is_time

ALGORITHM = "HS256"
# The library judges times by the clock of this host, so it is told to judge none.
OPTIONS: Any = {"require": ["exp", "aud"], "verify_iat": False, "verify_exp": False}
ACCESS: Literal["api"] = "api"
REFRESH: Literal["refresh"] = "refresh"
UPLOAD_SECONDS = 6 * 3600.0
"""So long a request may take whose token was good when it began; a revocation is kept for longer."""


class TokenError(Exception):
    """The token is not valid: sign in again."""


class TokenExpiredError(TokenError):
    """The token has expired: refresh it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, as the access token says. Stands where Django has `request.user`."""

    user_id: int
    session_id: UUID
    tenant_id: int
    tenant_code: str
    role: Role
    name: str
    must_change_password: bool
    issued_at: float = 0.0
    """Of the token, in Unix seconds; taken before anything was read that the token says."""
    is_authenticated: Literal[True] = True

    @property
    def pk(self) -> int:
        return self.user_id


PURPOSES = {ACCESS: FOR_ACCESS, REFRESH: FOR_REFRESH}


def access_token(caller: Caller) -> str:
    # To the millisecond: a revocation ends what was issued before it, and nothing after.
    now = caller.issued_at or clock.now()
    claims = {
        "aud": ACCESS,
        "iat": now,
        "exp": now + settings.ACCESS_TOKEN_SECONDS,
        "user": caller.user_id,
        "session": str(caller.session_id),
        "tenant": caller.tenant_id,
        "tenant_code": caller.tenant_code,
        "role": caller.role.value,
        "name": caller.name,
        "must_change_password": caller.must_change_password,
    }
    return _encode(claims)


def read_access_token(token: str, arrived_at: float | None = None) -> Caller:
    """The caller, if the token was good when the request arrived. Raises TokenExpiredError or TokenError."""
    took = clock.now() - arrived_at if arrived_at else 0.0
    claims = _decode(token, ACCESS, min(took, UPLOAD_SECONDS))
    try:
        return Caller(
            user_id=int(claims["user"]),
            session_id=UUID(claims["session"]),
            tenant_id=int(claims["tenant"]),
            tenant_code=str(claims["tenant_code"]),
            role=Role(claims["role"]),
            name=str(claims["name"]),
            must_change_password=bool(claims["must_change_password"]),
            issued_at=float(claims["iat"]),
        )
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise TokenError("The access token is not valid: sign in again.") from error


def refresh_token(session_id: UUID, token_id: UUID, expires_at: float) -> str:
    claims = {"aud": REFRESH, "exp": int(expires_at), "session": str(session_id), "token": str(token_id)}
    return _encode(claims)


def read_refresh_token(token: str) -> tuple[UUID, UUID]:
    """The session and the token's own id. Raises TokenExpiredError or TokenError."""
    claims = _decode(token, REFRESH)
    try:
        return UUID(claims["session"]), UUID(claims["token"])
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise TokenError("The refresh token is not valid: sign in again.") from error


def _encode(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, signing_keys(PURPOSES[claims["aud"]])[0], ALGORITHM)


def _decode(token: str, audience: str, leeway: float = 0.0) -> dict[str, Any]:
    for key in verifying_keys(PURPOSES[audience]):
        try:
            claims = jwt.decode(token, key, [ALGORITHM], audience=audience, options=OPTIONS)
        except jwt.InvalidSignatureError:
            continue  # it may have been signed with the key before the last rotation
        except jwt.InvalidTokenError:
            break
        if not all(is_time(claims[name]) for name in ("exp", "iat") if name in claims):
            break
        if claims["exp"] <= clock.now() - leeway:
            raise TokenExpiredError("The token has expired: refresh it, or sign in again.")
        return claims
    raise TokenError("The token is not valid: sign in again.")
