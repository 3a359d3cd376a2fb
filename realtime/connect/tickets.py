"""Tickets: short-lived signed permissions to connect. Read without a database.

A ticket is a JWT (RFC 7519) of at most 4 KiB with the audience `realtime`, so that an access token of the API is never
a ticket, nor the reverse. It says which tenant, who, which topics, and how long a connection may live. A ticket that a
browser keeps as a cookie has an audience of its own and names its cookie: sent in any other way it opens nothing, and
no other ticket opens anything as a cookie.

The functions here check signature and times, these by the clock that all processes share (`redis/clock.py`). Whether a
ticket was revoked is not in it: `web/doors.py` asks that too.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jwt

from realtime.records.errors import BadTopicError, TicketError, TicketExpiredError
from realtime.records.topics import TopicFilter
from realtime.redis.clock import clock, is_time

ALGORITHM = "HS256"
AUDIENCE = "realtime"
COOKIE_AUDIENCE = "realtime-cookie"
CONNECT_SECONDS = 60
RENEWABLE_SECONDS = 12 * 3600
MAX_TICKET_BYTES = 4096
EXPIRED = "The ticket has expired: get a new one and connect again."
NOT_VALID = "The ticket is not valid: get one from /api/v1/realtime/ticket/."
_JWT = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket permits. `connection_seconds` is how long a connection that it opens may live."""

    tenant_id: int
    user_id: int
    session_id: str
    role: str
    topics: TopicFilter
    connection_seconds: int
    issued_at: float = 0.0
    """Unix seconds, taken before anything was read that it depends on: a revocation since then ends it."""
    first_issued_at: float = 0.0
    """Of the ticket that this one renews, or of the one that that one renewed."""

    @property
    def share(self) -> str:
        """Names what this user may see: browser tabs with the same one may share a connection."""
        parts = f"{self.tenant_id}/{self.user_id}/{self.role}/{self.topics.hash}"
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


def issue_ticket(ticket: Ticket, key: bytes, *, seconds: int = CONNECT_SECONDS) -> str:
    """Sign a ticket to connect with for so many seconds since it was issued (0: now).

    Raises BadTopicError if it names too much.
    """
    return _sign({"aud": AUDIENCE, **_claims(ticket, seconds)}, key, MAX_TICKET_BYTES)


def issue_cookie_ticket(ticket: Ticket, key: bytes, cookie: str) -> str:
    """Sign the same rights for the cookie of this name. Raises BadTopicError if it names too much.

    Browsers drop a cookie whose name and value have over 4096 bytes together.
    """
    claims = {"aud": COOKIE_AUDIENCE, "cookie": cookie, **_claims(ticket, CONNECT_SECONDS)}
    return _sign(claims, key, MAX_TICKET_BYTES - len(cookie))


def _claims(ticket: Ticket, seconds: int) -> dict[str, Any]:
    now = ticket.issued_at or clock.now()
    return {
        "iat": now,
        "exp": now + seconds,
        "first": ticket.first_issued_at or now,
        "tenant": ticket.tenant_id,
        "user": ticket.user_id,
        "session": ticket.session_id,
        "role": ticket.role,
        "topics": sorted(ticket.topics.patterns),
        "life": ticket.connection_seconds,
    }


def _sign(claims: dict[str, Any], key: bytes, most_bytes: int) -> str:
    text = jwt.encode(claims, key, ALGORITHM)
    if len(text) > most_bytes:
        raise BadTopicError(f"A ticket for {len(claims['topics'])} topics is too long: name fewer.")
    return text


def read_ticket(text: str, *keys: bytes) -> Ticket:
    """Return the ticket, to connect with. Raises TicketExpiredError or TicketError."""
    return _ticket(_decode(text, keys, AUDIENCE, check_expiry=True))


def read_rights(text: str, *keys: bytes) -> Ticket:
    """Return the ticket, for a client that polls: good for as long as a connection that it opened might live.

    Raises TicketExpiredError or TicketError.
    """
    return _within_its_life(_ticket(_decode(text, keys, AUDIENCE, check_expiry=False)))


def read_renewable(text: str, *keys: bytes) -> Ticket:
    """Return a ticket whose rights may be carried over into a new one, expired or not.

    Raises TicketExpiredError or TicketError.
    """
    ticket = _ticket(_decode(text, keys, AUDIENCE, check_expiry=False))
    if ticket.first_issued_at + RENEWABLE_SECONDS < clock.now():
        raise TicketExpiredError("The ticket is too old to be renewed: ask for one as at first.")
    return ticket


def read_cookie_ticket(text: str, cookie: str, *keys: bytes, reconnecting: bool) -> Ticket:
    """Return the ticket that came as the cookie of this name. Raises TicketExpiredError or TicketError.

    `reconnecting`: the browser comes back by itself with the cookie that it began with. That is good until the
    connection's lifetime ends, and for what is left of it.
    """
    claims = _decode(text, keys, COOKIE_AUDIENCE, check_expiry=not reconnecting)
    if claims.get("cookie") != cookie:
        raise TicketError(NOT_VALID)
    return _within_its_life(_ticket(claims))


def _within_its_life(ticket: Ticket) -> Ticket:
    left = ticket.issued_at + ticket.connection_seconds - clock.now()
    if left < 1:
        raise TicketExpiredError(EXPIRED)
    return replace(ticket, connection_seconds=int(left))


def _decode(text: str, keys: Sequence[bytes], audience: str, *, check_expiry: bool) -> dict[str, Any]:
    if len(text) > MAX_TICKET_BYTES:
        raise TicketError(f"The ticket is longer than {MAX_TICKET_BYTES} bytes.")
    if not _JWT.fullmatch(text):  # the library skips characters that are none of base64url's
        raise TicketError(NOT_VALID)
    claims = _verified(text, keys, audience)
    if check_expiry and claims["exp"] <= clock.now():
        raise TicketExpiredError(EXPIRED)
    return claims


def _verified(text: str, keys: Sequence[bytes], audience: str) -> dict[str, Any]:
    # The library judges times by the clock of this host, so it is told to judge none.
    options: Any = {"require": ["exp", "iat", "aud"], "verify_iat": False, "verify_exp": False}
    for key in keys:
        try:
            claims = dict(jwt.decode(text, key, [ALGORITHM], audience=audience, options=options))
        except jwt.InvalidSignatureError:
            continue  # signed with another of the keys, or by somebody else
        except jwt.InvalidTokenError:
            break
        if is_time(claims["exp"]) and is_time(claims["iat"]):
            return claims
    raise TicketError(NOT_VALID)


def _ticket(claims: dict[str, Any]) -> Ticket:
    try:
        return Ticket(
            tenant_id=int(claims["tenant"]),
            user_id=int(claims["user"]),
            session_id=str(claims["session"]),
            role=str(claims["role"]),
            topics=TopicFilter.of(claims["topics"]),
            connection_seconds=int(claims["life"]),
            issued_at=float(claims["iat"]),
            first_issued_at=float(claims["first"]),
        )
    except (BadTopicError, KeyError, TypeError, ValueError, OverflowError):
        raise TicketError(NOT_VALID) from None
