"""`GET /api/v1/events/`: sends the protocol's frames as Server-Sent Events (WHATWG HTML, section 9.2).

This is a separate ASGI application, because Django's streaming responses need three times the CPU and memory for each
connection. Our client uses `fetch`, and sends the ticket as a bearer token. The browser's own `EventSource` sends the
ticket in a cookie.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

import orjson

from realtime import conf
from realtime.connect.connection import Connection
from realtime.protocol.close_codes import HTTP_ERRORS, HTTP_STATUSES, CloseCode, RefusedError
from realtime.protocol.frames import Frame
from realtime.protocol.refusals import connection_refused
from realtime.records.metrics import counts
from realtime.server.asgi_server import abort, give_up_silent_peer, hand_over_stream, is_silent
from realtime.server.fast_event_stream import FastEventStream
from realtime.web.eager_start import start
from realtime.web.handshake import read_handshake
from realtime.web.origin import origin_allowed
from realtime.web.process_state import this_process
from realtime.web.ticket_readers import TicketReader

RETRY_MS = (1000, 3000)
"""The shortest and the longest time that a browser waits before it reconnects. Each stream begins with a `retry:` line,
which has a random time between these two."""
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),  # otherwise nginx delays events
]

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class EventStream:
    """Sends frames as events in one response that does not end."""

    name = "sse"
    answers_pings = False  # a stream goes one way

    def __init__(self, send: Send) -> None:
        # True even with a development server, whose `send` does not wait for the client. With False, the engine would
        # wait for pongs, which the client of a stream cannot send.
        self.waits_for_client = True
        self._send = send
        self._begun = False
        self._ended = False
        self._end_event: asyncio.Event | None = None
        self._stays = False
        self.fast: FastEventStream | None = None
        """The socket of this stream, if the server has handed it over."""

    def send(self, frame: Frame) -> Awaitable[None] | None:
        return self.fast.send(frame) if self.fast is not None else start(self._send_event(frame))

    async def _send_event(self, frame: Frame) -> None:
        if self._begun:
            # A `closing` frame has its waiting time only in its data. If the time were in a `retry:` line, a browser
            # would wait that long before each later reconnection as well.
            await self._write(frame.event)
            return
        self._begun = True
        await self._send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        retry = b"retry: %d\n\n" % random.randint(*RETRY_MS)  # noqa: S311 - jitter
        await self._write(retry + frame.event)
        self.fast = None if self._stays else hand_over_stream(self._send)
        if self.fast is not None:
            self._send = _send_nothing  # so that the server can forget the request

    async def close(self, code: CloseCode, reason: str) -> None:  # noqa: ARG002 - they are in the `closing` event
        if self.fast is not None:
            self.fast.finish()
            return
        self.give_up_silent(0)  # no time limit for later responses on this connection
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        self._end()

    def abort(self) -> None:
        if self.fast is not None:
            self.fast.abort()
            return
        abort(self._send)
        self._end()

    def is_silent(self) -> bool:
        return self.fast.is_silent() if self.fast is not None else is_silent(self._send)

    def give_up_silent(self, seconds: float) -> None:
        give_up_silent_peer(self._send, seconds)

    def stay(self) -> None:
        """Let the server keep the socket. If it was handed over after the opening, nobody would notice its end."""
        self._stays = True

    async def until_ended(self) -> None:
        """Wait until `close` or `abort` has ended the stream."""
        if not self._ended:
            self._end_event = asyncio.Event()
            await self._end_event.wait()

    def _end(self) -> None:
        self._ended = True
        if self._end_event is not None:
            self._end_event.set()

    async def _write(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})


async def _send_nothing(message: Message) -> None:
    """Take the place of the server's `send` after the hand-over."""


async def events_application(scope: Message, receive: Receive, send: Send) -> None:
    """Answer a request with an event stream, or with an HTTP error: 400, 401, 403, 405, 429 or 503."""
    if scope["method"] != "GET":
        await _refuse(send, 405, "method_not_allowed", "Read events by GET.", [(b"allow", b"GET")])
    elif not origin_allowed(scope):
        counts.refused["403"] += 1
        await _refuse(send, 403, "forbidden_origin", "A page of this origin may not read events.", [])
    else:
        await _stream(scope, receive, send)


async def _stream(scope: Message, receive: Receive, send: Send) -> None:
    """Serve a stream until the client is gone. If the server hands its socket over, return after the opening."""
    stream = EventStream(send)
    connection: Connection | None = None
    try:
        handshake = read_handshake(TicketReader.EVENTS, scope)
        process = this_process()
        connection = Connection(
            handshake.ticket, handshake.topics, stream, process.hub, process.connections, conf.timing()
        )
        await connection.open(handshake.since, process.admit)
        if stream.fast is not None:
            stream.fast.start_reading(connection)
            connection = None  # the socket stops it
        else:
            stream.stay()
            await _until_gone(receive, stream)
    except RefusedError as refused:
        counts.refused[str(int(refused.code))] += 1
        connection_refused(refused, scope)
        await _refuse_connection(send, refused)
    finally:
        if connection is not None:
            connection.stop()
            if stream.fast is not None:
                stream.fast.abort()  # the opening failed after the hand-over


async def _until_gone(receive: Receive, stream: EventStream) -> None:
    """Wait until the client disconnects or the stream is ended."""

    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    waits = [asyncio.ensure_future(disconnected()), asyncio.ensure_future(stream.until_ended())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _refuse_connection(send: Send, refused: RefusedError) -> None:
    status = HTTP_STATUSES[refused.code]
    more: list[tuple[bytes, bytes]] = []
    if refused.retry_after_ms is not None:
        more.append((b"retry-after", b"%d" % max(1, refused.retry_after_ms // 1000)))
    if status == 401:  # noqa: PLR2004 - RFC 9110, section 15.5.2: a 401 names the scheme
        more.append((b"www-authenticate", b"Bearer"))
    await _refuse(
        send, status, HTTP_ERRORS[status], str(refused), more, {"limit": refused.limit} if refused.limit else {}
    )


async def _refuse(
    send: Send,
    status: int,
    code: str,
    message: str,
    headers: list[tuple[bytes, bytes]],
    fields: Mapping[str, str] = MappingProxyType({}),
) -> None:
    body = orjson.dumps({"code": code, "message": message, **fields})
    await _answer(send, status, body, [*headers, (b"content-type", b"application/json")])


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    common = [
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *common]})
    await send({"type": "http.response.body", "body": body})
