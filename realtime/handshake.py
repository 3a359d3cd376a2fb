"""What a WebSocket brings along: Origin, ticket, topics and place. Checked before anything is sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from realtime import conf
from realtime.closing import CloseCode
from realtime.errors import BadTopicError, TicketError, TicketExpiredError
from realtime.place import Place, parse_place
from realtime.tickets import Ticket, read_ticket
from realtime.topics import TopicFilter

SUBPROTOCOL = "realtime.v1"
TICKET_PREFIX = "ticket."


class RefusedError(Exception):
    """The connection is refused; `code` tells the client what to do."""

    def __init__(self, code: CloseCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Handshake:
    ticket: Ticket
    topics: TopicFilter
    since: Place | None


def origin_allowed(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a page of this Origin may connect (RFC 6454; RFC 6455, 10.2).

    The own site and `REALTIME_ALLOWED_ORIGINS` pass. No Origin header means no browser page of another site, and
    passes; `null` does not. The Host has to be one of ours, or another name that leads here would be the own site.
    """
    host = headers.get(b"host", b"").decode("latin-1")
    domain, _port = split_domain_port(host)
    if not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    origin = headers.get(b"origin", b"").decode("latin-1")
    if b"origin" not in headers or origin in conf.allowed_origins():
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:  # such as "http://[", which no browser sends
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()


def read_handshake(scope: Mapping[str, Any]) -> Handshake:
    """What the client may see and asked for. Raises RefusedError."""
    try:
        ticket = read_ticket(_ticket_of(scope), conf.ticket_key())
    except TicketExpiredError as problem:
        raise RefusedError(CloseCode.LIFETIME_OVER, str(problem)) from None
    except TicketError as problem:
        raise RefusedError(CloseCode.TICKET_INVALID, str(problem)) from None
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    try:
        asked = TopicFilter.parse(",".join(query.get("topics", [])))
    except BadTopicError as problem:
        raise RefusedError(CloseCode.BAD_FRAMES, str(problem)) from None
    for pattern in asked.patterns:
        if not ticket.topics.covers(pattern):
            raise RefusedError(CloseCode.NOT_ALLOWED, f"The ticket does not allow {pattern}.")
    since = parse_place(query.get("since", [""])[-1])
    return Handshake(ticket, asked if asked.patterns else ticket.topics, since)


def _ticket_of(scope: Mapping[str, Any]) -> str:
    """The subprotocol `ticket.<jwt>` keeps it out of access logs; programs may send it as a bearer token."""
    for offered in scope.get("subprotocols", []):
        if offered.startswith(TICKET_PREFIX):
            return str(offered.removeprefix(TICKET_PREFIX))
    scheme, _, token = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and token:
        return str(token.strip())
    raise TicketError(f"No ticket was sent: offer it as the subprotocol {TICKET_PREFIX}<ticket>, beside {SUBPROTOCOL}.")
