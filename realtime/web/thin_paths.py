"""Answers polls for a snapshot, and `/healthz`, without Django's request path, which takes several times as long.

Only usual requests are answered here: a GET with an allowed Host and, for a snapshot, a valid ticket or token. All
other requests go on to Django. There the view of the same path gives the same answer, or says what is wrong.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from django.core.exceptions import DisallowedHost
from django.http import HttpResponse
from structlog.contextvars import bind_contextvars

from realtime.connect.tickets import Ticket
from realtime.protocol.close_codes import RefusedError
from realtime.protocol.frames import LargeSnapshot
from realtime.records.errors import BadTopicError
from realtime.records.metrics import counts
from realtime.records.topics import TopicFilter
from realtime.web.handshake import Handshake, allow
from realtime.web.origin import host_of
from realtime.web.polls import SNAPSHOT_PATH
from realtime.web.snapshot_view import find_snapshot, read_snapshot_handshake

HEALTH_PATH = "/healthz"
ALIVE = b"ok"

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
TicketOfToken = Callable[[Message], Ticket | None]
"""Returns the ticket that the access token of a request stands for, without waiting. The caller checks whether it was
revoked. Returns None if the view should read the token."""


def with_thin_paths(application: Application, ticket_of_token: TicketOfToken) -> Application:
    """Wrap an ASGI application: answer usual requests for a snapshot and for `/healthz`. Pass on all others."""

    async def answered(scope: Message, receive: Receive, send: Send) -> None:
        thin = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in {SNAPSHOT_PATH, HEALTH_PATH}
        if not thin or not _has_allowed_host(scope):
            await application(scope, receive, send)
        elif scope["path"] == HEALTH_PATH:
            await _send(send, 200, [(b"content-type", b"text/plain")], ALIVE)
        elif (handshake := _handshake(scope, ticket_of_token)) is None:
            await application(scope, receive, send)
        else:
            counts.sql[SNAPSHOT_PATH] += 0
            await _answer_poll(scope, handshake, send)

    return answered


def _has_allowed_host(scope: Message) -> bool:
    try:
        host_of(scope, dict(scope["headers"]))
    except DisallowedHost:
        return False
    return True


def _handshake(scope: Message, ticket_of_token: TicketOfToken) -> Handshake | None:
    try:
        return read_snapshot_handshake(scope)
    except RefusedError:
        if (ticket := ticket_of_token(scope)) is None:
            return None
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    try:
        return allow(ticket, TopicFilter.parse(query.get("topics", [""])[-1]), query.get("since", [""])[-1])
    except (RefusedError, BadTopicError):
        return None


async def _answer_poll(scope: Message, handshake: Handshake, send: Send) -> None:
    bind_contextvars(tenant=handshake.ticket.tenant_id)
    found = await find_snapshot(scope, handshake)
    if isinstance(found, HttpResponse):
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in found.items()]
        await _send(send, found.status_code, headers, found.content)
        return
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if isinstance(found, LargeSnapshot):
        await _send_parts(send, headers, found)
    else:
        await _send(send, 200, headers, found.body)


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_parts(send: Send, headers: list[tuple[bytes, bytes]], snapshot: LargeSnapshot) -> None:
    """Send a large snapshot in pieces, as fast as the client reads."""
    headers = [*headers, (b"content-length", b"%d" % len(snapshot))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for piece in snapshot.chunks():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
