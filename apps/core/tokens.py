"""Access and refresh tokens: JWTs that name the caller, so that requests are authenticated without SQL.

The claim `aud` distinguishes the kinds of tokens: an access token is never accepted as a refresh token or as a ticket
(`realtime.connect.tickets`), nor the reverse. See RFC 7519, and RFC 8725 for the checks (one algorithm, required
claims).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

import jwt
from django.conf import settings

from academy.domain.roles import Role
from apps.core.keys import FOR_ACCESS, FOR_REFRESH, signing_keys, verifying_keys
from realtime.redis.clock import clock, is_time

ALGORITHM = "HS256"
# PyJWT would compare times with the clock of this host. `_decode` compares them with the shared clock instead.
OPTIONS: Any = {"require": ["exp", "aud"], "verify_iat": False, "verify_exp": False}
ACCESS: Literal["api"] = "api"
REFRESH: Literal["refresh"] = "refresh"
KNOWN_TOKENS = 2048
"""For how many tokens a process remembers that the signature is valid. A browser sends the same token for minutes."""
UPLOAD_SECONDS = 6 * 3600.0
"""How many seconds a request may take to arrive. If its token expires during this time, the request is accepted. If its
token is revoked during this time, the request is refused: revocations are kept for longer than this."""


class TokenError(Exception):
    """The token is not valid: sign in again."""


class TokenExpiredError(TokenError):
    """The token has expired: refresh it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request, as the access token names it. Views get the caller as `request.user`."""

    user_id: int
    session_id: UUID
    tenant_id: int
    tenant_code: str
    role: Role
    name: str
    must_change_password: bool
    issued_at: float = 0.0
    """When the token was issued, in Unix seconds. This time is taken before the account is read from the database, so
    every later change of the account is newer than the token."""
    has_password: bool = True
    """Whether the account has a password. It has none after a sign-in with a one-time code, until one is chosen."""
    is_authenticated: Literal[True] = True

    @property
    def pk(self) -> int:
        return self.user_id


PURPOSES = {ACCESS: FOR_ACCESS, REFRESH: FOR_REFRESH}


def access_token(caller: Caller) -> str:
    # Keep the fraction of a second: a revocation ends only tokens that were issued before it.
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
        "has_password": caller.has_password,
    }
    return _encode(claims)


def read_access_token(token: str, arrived_at: float | None = None) -> Caller:
    """Return the caller whom an access token names.

    Raises TokenExpiredError if the token had expired when the request began (`arrived_at`, or now if it is None).
    Raises TokenError if the token is not valid.
    """
    took = clock.now() - arrived_at if arrived_at else 0.0
    return _caller(_decode(token, ACCESS, min(took, UPLOAD_SECONDS)))


def read_signed_caller(token: str) -> tuple[Caller, float]:
    """Return the caller whom an access token names, and when the token expires. It may have expired.

    Raises TokenError if the token is not valid.
    """
    claims = _verified(token, ACCESS)
    return _caller(claims), claims["exp"]


def _caller(claims: Mapping[str, Any]) -> Caller:
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
            has_password=bool(claims.get("has_password", True)),  # older tokens do not say it
        )
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise TokenError("The access token is not valid: sign in again.") from error


def refresh_token(session_id: UUID, token_id: UUID, expires_at: float) -> str:
    claims = {"aud": REFRESH, "exp": int(expires_at), "session": str(session_id), "token": str(token_id)}
    return _encode(claims)


def read_refresh_token(token: str) -> tuple[UUID, UUID]:
    """Return the ids of the session and of the token.

    Raises TokenExpiredError if the token has expired, and TokenError if it is not valid.
    """
    claims = _decode(token, REFRESH)
    try:
        return UUID(claims["session"]), UUID(claims["token"])
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise TokenError("The refresh token is not valid: sign in again.") from error


def _encode(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, signing_keys(PURPOSES[claims["aud"]])[0], ALGORITHM)


def _decode(token: str, audience: str, leeway: float = 0.0) -> Mapping[str, Any]:
    claims = _verified(token, audience)
    if claims["exp"] <= clock.now() - leeway:
        raise TokenExpiredError("The token has expired: refresh it, or sign in again.")
    return claims


def _verified(token: str, audience: str) -> Mapping[str, Any]:
    """Return the claims of a token that we signed. Its expiry is not checked."""
    return _verified_by(tuple(verifying_keys(PURPOSES[audience])), token, audience)


@lru_cache(KNOWN_TOKENS)
def _verified_by(keys: tuple[bytes, ...], token: str, audience: str) -> Mapping[str, Any]:
    """Return the claims of a token. Errors are not remembered, so only tokens that we signed use memory."""
    for key in keys:
        try:
            claims = jwt.decode(token, key, [ALGORITHM], audience=audience, options=OPTIONS)
        except jwt.InvalidSignatureError:
            continue  # the token may have been signed with an older key
        except jwt.InvalidTokenError:
            break
        if not all(is_time(claims[name]) for name in ("exp", "iat") if name in claims):
            break
        return MappingProxyType(claims)
    raise TokenError("The token is not valid: sign in again.")
