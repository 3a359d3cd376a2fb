"""Tickets: short-lived signed permissions to connect. Read without a database.

A ticket is a JWT (RFC 7519) of at most 4 KiB with the audience `realtime`, so that an access token of the API is never
a ticket, nor the reverse. It says which tenant, who, which topics, and how long a connection may live.
"""

import hashlib
import re
import time
from dataclasses import dataclass, replace
from typing import Any

import jwt

from realtime.errors import BadTopicError, TicketError, TicketExpiredError
from realtime.topics import TopicFilter

ALGORITHM = "HS256"
AUDIENCE = "realtime"
CONNECT_SECONDS = 60
RENEWABLE_SECONDS = 12 * 3600
MAX_TICKET_BYTES = 4096
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
    """The signed ticket, to connect with for so many seconds since it was issued (0: now).

    Raises BadTopicError if it names too much.
    """
    now = ticket.issued_at or time.time()
    claims = {
        "aud": AUDIENCE,
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
    text = jwt.encode(claims, key, ALGORITHM)
    if len(text) > MAX_TICKET_BYTES:
        raise BadTopicError(f"A ticket for {len(ticket.topics.patterns)} topics is too long: name fewer.")
    return text


def read_ticket(text: str, key: bytes, *, reconnecting: bool = False) -> Ticket:
    """The ticket, checked. Raises TicketExpiredError or TicketError.

    `reconnecting`: by a client that can only send the ticket it began with; good until the connection's lifetime ends,
    and for what is left of it.
    """
    ticket = _read(text, key, check_expiry=not reconnecting)
    if not reconnecting:
        return ticket
    left = ticket.issued_at + ticket.connection_seconds - time.time()
    if left < 1:
        raise TicketExpiredError("The ticket has expired: get a new one and connect again.")
    return replace(ticket, connection_seconds=int(left))


def read_renewable(text: str, key: bytes) -> Ticket:
    """A ticket whose rights may be carried over into a new one, expired or not. Raises as `read_ticket` does."""
    ticket = _read(text, key, check_expiry=False)
    if ticket.first_issued_at + RENEWABLE_SECONDS < time.time():
        raise TicketExpiredError("The ticket is too old to be renewed: ask for one as at first.")
    return ticket


def _read(text: str, key: bytes, *, check_expiry: bool) -> Ticket:
    if len(text) > MAX_TICKET_BYTES:
        raise TicketError(f"The ticket is longer than {MAX_TICKET_BYTES} bytes.")
    if not _JWT.fullmatch(text):  # the library skips characters that are none of base64url's
        raise TicketError("The ticket is not valid: get one from /api/v1/realtime/ticket/.")
    # A server whose clock is a second behind the issuer's must not refuse a ticket as not yet valid.
    options: Any = {"require": ["exp", "iat", "aud"], "verify_iat": False, "verify_exp": check_expiry}
    try:
        claims: dict[str, Any] = jwt.decode(text, key, [ALGORITHM], audience=AUDIENCE, options=options)
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
    except jwt.ExpiredSignatureError:
        raise TicketExpiredError("The ticket has expired: get a new one and connect again.") from None
    except (jwt.InvalidTokenError, BadTopicError, KeyError, TypeError, ValueError):
        raise TicketError("The ticket is not valid: get one from /api/v1/realtime/ticket/.") from None
