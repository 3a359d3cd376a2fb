"""Issues and reads tickets: short-lived signed permissions to connect. No database is needed.

A ticket is a JWT (RFC 7519) of at most 4 KiB with the audience `realtime`, so that an access token of the API is never
accepted as a ticket, nor a ticket as an access token. It names the tenant, the user, the topics, and how long a
connection may live. A ticket that a browser keeps as a cookie has its own audience, and names its cookie. It is
accepted only as that cookie, and no other ticket is accepted as a cookie.

The functions here check the signature and the times, by the clock that all processes share (`redis/clock.py`). A ticket
does not show whether it was revoked: `web/ticket_readers.py` says who checks that.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
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
KNOWN_TICKETS = 1024
"""For how many tickets a process remembers that the signature is valid. A client polls with one ticket for a minute."""
EXPIRED = "The ticket has expired: get a new one and connect again."
NOT_VALID = "The ticket is not valid: get one from /api/v1/realtime/ticket/."
_JWT = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ticket:
    """The content of a ticket. `connection_seconds` is how long a connection that the ticket opens may live."""

    tenant_id: int
    user_id: int
    session_id: str
    role: str
    topics: TopicFilter
    connection_seconds: int
    issued_at: float = 0.0
    """When the ticket was issued, in Unix seconds.

    The time is taken before the user's rights are read, so that a revocation during that read also revokes the ticket.
    """
    first_issued_at: float = 0.0
    """When the first ticket in the chain of renewals was issued, in Unix seconds."""

    @property
    def share(self) -> str:
        """A hash of the session and its permissions. Browser tabs with the same hash may share a connection."""
        parts = f"{self.tenant_id}/{self.user_id}/{self.session_id}/{self.role}/{self.topics.hash}"
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


def issue_ticket(ticket: Ticket, key: bytes, *, seconds: int = CONNECT_SECONDS) -> str:
    """Sign a ticket. It opens connections until `seconds` after its `issued_at` (if that is 0, after the present time).

    Raise BadTopicError if the topics make the ticket too long.
    """
    return _sign({"aud": AUDIENCE, **_claims(ticket, seconds)}, key, MAX_TICKET_BYTES)


def issue_cookie_ticket(ticket: Ticket, key: bytes, cookie: str) -> str:
    """Sign a ticket for the cookie with this name. Raise BadTopicError if the topics make the ticket too long.

    Browsers drop a cookie if its name and value have more than 4096 bytes together.
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
    """Read a ticket that is to open a connection.

    Raise TicketExpiredError if the ticket has expired, and TicketError if it is not valid.
    """
    return _ticket(_decode(text, keys, AUDIENCE, check_expiry=True))


def read_rights(text: str, *keys: bytes) -> Ticket:
    """Read the ticket of a client that polls. It is valid for as long as a connection may live (`connection_seconds`).

    Raise TicketExpiredError if this time is over, and TicketError if the ticket is not valid.
    """
    return _within_its_life(_ticket(_decode(text, keys, AUDIENCE, check_expiry=False)))


def read_renewable(text: str, *keys: bytes) -> Ticket:
    """Read a ticket that is to be renewed. It may have expired, but its chain must have begun in the last 12 hours.

    Raise TicketExpiredError if the chain began earlier, and TicketError if the ticket is not valid.
    """
    ticket = _ticket(_decode(text, keys, AUDIENCE, check_expiry=False))
    if ticket.first_issued_at + RENEWABLE_SECONDS < clock.now():
        raise TicketExpiredError("The ticket is too old to renew: get a new one, without renew.")
    return ticket


def read_cookie_ticket(text: str, cookie: str, *keys: bytes, reconnecting: bool) -> Ticket:
    """Read a ticket that was sent as the cookie with this name.

    If `reconnecting`, the browser reconnects by itself with the cookie of its first connection. In this case the ticket
    is valid until the lifetime of the first connection ends, and the new connection ends at the same time. Raise
    TicketExpiredError if the ticket has expired, and TicketError if it is not valid.
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


def _decode(text: str, keys: tuple[bytes, ...], audience: str, *, check_expiry: bool) -> Mapping[str, Any]:
    if len(text) > MAX_TICKET_BYTES:
        raise TicketError(f"The ticket is longer than {MAX_TICKET_BYTES} bytes.")
    if not _JWT.fullmatch(text):  # the library skips characters that are not in base64url
        raise TicketError(NOT_VALID)
    claims = _verified(text, keys, audience)
    if check_expiry and claims["exp"] <= clock.now():
        raise TicketExpiredError(EXPIRED)
    return claims


@lru_cache(KNOWN_TICKETS)
def _verified(text: str, keys: tuple[bytes, ...], audience: str) -> Mapping[str, Any]:
    """Return the claims of a ticket that we signed. Errors are not remembered, so only signed tickets use memory."""
    # The library would compare times with the clock of this host. The callers compare them with the shared clock.
    options: Any = {"require": ["exp", "iat", "aud"], "verify_iat": False, "verify_exp": False}
    for key in keys:
        try:
            claims = MappingProxyType(jwt.decode(text, key, [ALGORITHM], audience=audience, options=options))
        except jwt.InvalidSignatureError:
            continue  # it was signed with another of our keys, or by somebody else
        except jwt.InvalidTokenError:
            break
        if is_time(claims["exp"]) and is_time(claims["iat"]):
            return claims
    raise TicketError(NOT_VALID)


def _ticket(claims: Mapping[str, Any]) -> Ticket:
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
