"""uvicorn's two protocols, bounded: what a stranger's socket, and a client's pings, may cost the process.

uvicorn bounds neither the size of a request's head nor the time it takes, and answers every ping whether or not the
answers are read. No underscored name of uvicorn is used here. What it does not document and we build on, which
`tests/contract/test_hostile_sockets.py` holds:

- of `HttpToolsProtocol`: the callbacks of its parser (`on_header`, `on_headers_complete`, `on_body`,
  `on_message_complete`), an exception in one of which leads to `send_400_response`; `handle_websocket_upgrade`;
  `timeout_keep_alive`, after which `timeout_keep_alive_handler` closes an idle connection; `loop`, `transport`,
  `headers`; `pipeline` (requests that wait for the one before) and `cycle` (the newest request, with
  `response_complete`);
- of `WebSocketsSansIOProtocol`: `handle_ping`, `handle_cont`; `loop`, `transport`, `conn` (of websockets), `frames`
  (parts of an unfinished message), `queue` (what the application receives), `writable` (cleared while writing is
  paused), `read_paused`, `handshake_initiated`, `handshake_complete`, `close_sent` and `close_timer` (while it is set,
  the end of the application does not close the socket).
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from realtime.rates import TokenBucket
from realtime.refusals import refused

HEAD_BYTES = 65_536
HEAD_FIELDS = 128
"""As many as websockets takes in a handshake."""
HEAD_SECONDS = 15.0
PIPELINED_REQUESTS = 16
FAREWELL_SECONDS = 2.0
"""So long a peer may take to read why it is closed, and the kernel to send it."""
PINGS_A_SECOND, PINGS_AT_ONCE = 10, 30
PARTS_OF_A_MESSAGE = 1024
POLICY_VIOLATION = 1008
"""RFC 6455's code; the codes of the engine's protocol are in closing.py."""
READ_BYTES = 16_384
"""So much of a WebSocket is made into frames at once: the smallest has 6 bytes, and takes some 300."""

_PONG = b"\x8a"
"""A pong frame's first byte."""
_SENTENCE = f"A request's head has at most {HEAD_BYTES} bytes and {HEAD_FIELDS} fields."
_TOO_LARGE = (
    "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    "x-content-type-options: nosniff\r\n"
    f"content-length: {len(_SENTENCE)}\r\nconnection: close\r\n\r\n{_SENTENCE}"
).encode()


def _end_gently(loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, last: bytes) -> asyncio.TimerHandle:
    """Says a last thing, and closes when the peer does, or a moment later.

    What still comes meanwhile has to be read: a socket that is closed with unread bytes takes its last word back.
    """
    transport.write(last)
    if transport.can_write_eof():
        transport.write_eof()
    return loop.call_later(FAREWELL_SECONDS, transport.abort)


class TooMuchError(Exception):
    """Raised in a callback of the parser, which then stops."""


class BoundedHttp(HttpToolsProtocol):
    """HTTP with request heads that are bounded in bytes, fields and time. A request in progress is left alone.

    Between two requests, while nothing of the next has come, uvicorn's own `timeout_keep_alive` runs.
    """

    head_seconds = HEAD_SECONDS

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._fruitless = 0  # bytes since the parser last made something of them
        self._in_body = self._too_large = self._upgraded = self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Gives the parser no more at once than it may hold: a head, a trailer or an extension that does not end."""
        rest = memoryview(data)
        while rest and not (self._upgraded or self._refused or self.transport.is_closing()):
            room = HEAD_BYTES - self._fruitless
            if room <= 0:
                self._refuse()
                return
            self._fruitless += len(rest[:room])
            super().data_received(bytes(rest[:room]))
            rest = rest[room:]
        if not (self._upgraded or self._refused or self._is_busy()):
            if self._in_body:  # the answer came before its end: so long between two parts, not for the whole
                self._clear_deadline()
            self._set_deadline()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._give_up_unless_read(-1)

    def _give_up_unless_read(self, before: int) -> None:
        """Closing waits for the peer to read the end of the last answer; one that reads nothing of it has gone."""
        waiting = self.transport.get_write_buffer_size()
        if waiting == before:
            self.transport.abort()
        elif waiting:
            self.loop.call_later(self.timeout_keep_alive, self._give_up_unless_read, waiting)

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= HEAD_FIELDS:
            self._too_large = True
            raise TooMuchError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= PIPELINED_REQUESTS:
            raise TooMuchError
        self._clear_deadline()
        self._fruitless, self._in_body = 0, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._fruitless = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._fruitless, self._in_body = 0, False
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._upgraded = True
        self._clear_deadline()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        if self._too_large or self._is_busy():
            self._refuse()
        else:
            super().send_400_response(msg)

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _set_deadline(self) -> None:
        if self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.head_seconds, self._close)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close(self) -> None:
        refused("head_too_slow", f"A request's head did not come within {self.head_seconds:g} s.")
        self.transport.close()
        self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)

    def _refuse(self) -> None:
        """Answers 431."""
        refused("head_too_large", _SENTENCE)
        self._refused = True
        self._clear_deadline()
        if self._is_busy():  # an answer amid another would be taken for a part of it
            self.transport.abort()
            return
        _end_gently(self.loop, self.transport, _TOO_LARGE)


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose pings are answered while the answers are read, and not without a limit.

    Of several pings the newest alone is answered, which RFC 6455, 5.5.3 allows.
    """

    _pings: TokenBucket | None = None

    def data_received(self, data: bytes) -> None:
        """The first data are a whole head. One that websockets refuses uvicorn would leave open, without an answer."""
        if not self.handshake_initiated or len(data) <= READ_BYTES:
            super().data_received(data)
        else:
            self._receive_by_parts(data)
        if not self.handshake_initiated:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self._close()

    def _receive_by_parts(self, data: bytes) -> None:
        for start in range(0, len(data), READ_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + READ_BYTES])

    def handle_ping(self) -> None:
        if self.close_sent:
            return
        self._pings = self._pings or TokenBucket(PINGS_A_SECOND, PINGS_AT_ONCE)
        if not self._pings.take():
            self._fail("too many pings")
            return
        frames = self.conn.data_to_send()
        pongs = [frame for frame in frames if frame.startswith(_PONG)]
        others = [frame for frame in frames if not frame.startswith(_PONG)]
        wanted = pongs[-1:] if self.handshake_complete and self.writable.is_set() else []
        self.transport.write(b"".join(wanted + others))

    def handle_cont(self, event: Frame) -> None:
        super().handle_cont(event)
        if len(self.frames) > PARTS_OF_A_MESSAGE:  # they may be empty, so that their size says nothing
            self._fail("too many parts")

    def _fail(self, reason: str) -> None:
        refused(reason.replace(" ", "_"), f"A client sent {reason}.")
        self.conn.data_to_send()  # pongs that nobody waits for
        if not self.handshake_complete:
            self.transport.abort()
            return
        self.conn.fail(POLICY_VIOLATION, reason)  # which also has it discard what still comes
        self.queue.put_nowait({"type": "websocket.disconnect", "code": POLICY_VIOLATION, "reason": reason})
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = _end_gently(self.loop, self.transport, b"".join(self.conn.data_to_send()))

    def _close(self) -> None:
        self.transport.close()
        self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)


def http_protocol(head_seconds: float = HEAD_SECONDS) -> type[BoundedHttp]:
    """`BoundedHttp` with another patience: uvicorn makes instances itself, and gives them its own arguments alone."""
    return type("BoundedHttp", (BoundedHttp,), {"head_seconds": head_seconds})
