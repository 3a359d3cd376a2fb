"""Reads the ticket, the topics and the place of a request, and checks the ticket and the topics."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from django.http import parse_cookie

from realtime.connect.tickets import Ticket
from realtime.protocol.close_codes import CloseCode, RefusedError
from realtime.protocol.place import Place, parse_place
from realtime.records.errors import BadTopicError, TicketError, TicketExpiredError
from realtime.records.topics import TopicFilter
from realtime.web.ticket_readers import TicketReader, read, read_cookie

SUBPROTOCOL = "realtime.v1"
TICKET_PREFIX = "ticket."
_TENANT_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Handshake:
    ticket: Ticket
    topics: TopicFilter
    since: Place | None


def read_handshake(reader: TicketReader, scope: Mapping[str, Any]) -> Handshake:
    """Return the ticket, the topics and the place of a request. The caller must check whether the ticket was revoked.

    Raise RefusedError if there is no valid ticket, or if the topics are not valid or the ticket does not allow them.
    """
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    ticket = _read_ticket(reader, scope, headers, query)
    try:
        wanted = TopicFilter.parse(",".join(query.get("topics", [])))
    except BadTopicError as problem:
        raise RefusedError(CloseCode.BAD_FRAMES, str(problem)) from None
    return allow(ticket, wanted, headers.get(b"last-event-id") or query.get("since", [""])[-1])


def allow(ticket: Ticket, wanted: TopicFilter, since: str) -> Handshake:
    """Return the handshake for the wanted topics, by default all topics of the ticket.

    Raise RefusedError if the ticket does not allow a topic.
    """
    for pattern in wanted.patterns:
        if not ticket.topics.covers(pattern):
            raise RefusedError(CloseCode.NOT_ALLOWED, f"The ticket does not allow {pattern}.")
    return Handshake(ticket, wanted if wanted.patterns else ticket.topics, parse_place(since))


def _read_ticket(
    reader: TicketReader, scope: Mapping[str, Any], headers: Mapping[bytes, str], query: Mapping[str, list[str]]
) -> Ticket:
    try:
        if text := _ticket_of(scope, headers):
            return read(reader, text)
        if reader is TicketReader.EVENTS and (ticket := _ticket_of_cookie(headers, query.get("tenant", [""])[-1])):
            return ticket
    except TicketExpiredError as problem:
        raise RefusedError(CloseCode.LIFETIME_OVER, str(problem)) from None
    except TicketError as problem:
        raise RefusedError(CloseCode.TICKET_INVALID, str(problem)) from None
    raise RefusedError(CloseCode.TICKET_INVALID, _how_to_send(reader))


def _how_to_send(reader: TicketReader) -> str:
    if reader is TicketReader.WEBSOCKET:
        return f"No ticket was sent: offer it as the subprotocol {TICKET_PREFIX}<ticket>, beside {SUBPROTOCOL}."
    if reader is TicketReader.EVENTS:
        return "No ticket was sent: send Authorization: Bearer <ticket>, or name the tenant of your cookie by ?tenant=."
    return "No ticket was sent: send Authorization: Bearer <ticket>."


def _ticket_of(scope: Mapping[str, Any], headers: Mapping[bytes, str]) -> str:
    """Return the ticket in the subprotocol `ticket.<jwt>`, or the bearer token, or "". Access logs show neither."""
    for offered in scope.get("subprotocols", []):
        if offered.startswith(TICKET_PREFIX):
            return str(offered.removeprefix(TICKET_PREFIX))
    scheme, _, token = headers.get(b"authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _ticket_of_cookie(headers: Mapping[bytes, str], tenant_code: str) -> Ticket | None:
    if not _TENANT_CODE.fullmatch(tenant_code):
        return None
    cookies = parse_cookie(headers.get(b"cookie", ""))
    # A browser's EventSource reconnects by itself with the cookie of its first connection, even hours later. With
    # `reconnecting`, the ticket in this cookie is accepted until the first connection would have had to end.
    return read_cookie(cookies, tenant_code, reconnecting=b"last-event-id" in headers)
