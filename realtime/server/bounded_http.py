"""Limits what the connection of a stranger may cost: uvicorn's HTTP protocol with bounded requests.

uvicorn limits neither the size of a request's head nor the time that it takes. This module uses no underscored name of
uvicorn. But it relies on undocumented behaviour of these parts of `HttpToolsProtocol`, which
`tests/realtime/server/test_uvicorn_hooks.py` checks:

- the callbacks of its parser (`on_header`, `on_headers_complete`, `on_body`, `on_message_complete`); an exception in
  one of them leads to `send_400_response`;
- `handle_websocket_upgrade`;
- `timeout_keep_alive`, after which `timeout_keep_alive_handler` closes an idle connection;
- `loop`, `transport`, `headers`;
- `pipeline` (requests that wait for the one before) and `cycle` (the newest request, with `response_complete`,
  `chunked_encoding`, and `disconnected`: while it is true, uvicorn neither writes nor ends the response);
- `flow` (with `write_paused`) and `connections` (those that the server closes when it ends).
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from realtime.protocol.refusals import refused
from realtime.server.fast_event_stream import FastEventStream
from realtime.server.lingering_close import LINGER_SECONDS, end_gently

HEAD_BYTES = 65_536
HEAD_FIELDS = 128
"""How many fields a head may have. The library websockets has the same limit for a handshake."""
HEAD_SECONDS = 15.0
PIPELINED_REQUESTS = 16

_SENTENCE = f"A request's head has at most {HEAD_BYTES} bytes and {HEAD_FIELDS} fields."
_TOO_LARGE = (
    "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    "x-content-type-options: nosniff\r\n"
    f"content-length: {len(_SENTENCE)}\r\nconnection: close\r\n\r\n{_SENTENCE}"
).encode()


class TooMuchError(Exception):
    """A request exceeds a limit. A callback of the parser raises it, and the parser stops."""


class BoundedHttp(HttpToolsProtocol):
    """HTTP with limits on the bytes, fields and time of a request's head.

    The time limit does not apply while a request is being answered. Between two requests, before the first byte of the
    second, uvicorn's own `timeout_keep_alive` applies.
    """

    head_seconds = HEAD_SECONDS
    hands_over = True

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._fruitless = 0  # bytes since the parser last completed a part of a request
        self._in_body = self._too_large = self._upgraded = self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass the data to the parser, but refuse more than `HEAD_BYTES` of a head, trailer or chunk extension."""
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
            if self._in_body:
                # The application answered before the whole body of the request had arrived. Limit the time between two
                # parts of that body, but not the time of the whole body.
                self._clear_deadline()
            self._set_deadline()

    def hand_over(self) -> FastEventStream | None:
        """Give the socket, and with it the rest of the response, to a new FastEventStream.

        Return None if the response is not chunked, if another request waits, or if the client is slow or gone. Also
        return None if `hands_over` is false.
        """
        cycle = self.cycle
        if not self.hands_over:
            return None
        if not cycle.chunked_encoding or cycle.disconnected or self.pipeline or self.flow.write_paused:
            return None
        if self.transport.is_closing():
            return None
        stream = FastEventStream(self.transport, self.connections)
        self.connections.discard(self)
        self._clear_deadline()
        cycle.disconnected = True
        return stream

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._give_up_unless_read(-1)

    def _give_up_unless_read(self, before: int) -> None:
        """Abort the connection if the peer has read nothing of the last answer since the previous check.

        `before` is the number of unread bytes at that check, or -1 if this is the first check. If some are still
        unread, check again later. Without these checks, closing would wait for the peer for ever.
        """
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
        if self._is_busy() or self.flow.write_paused:
            # The previous answer would get into the WebSocket. And the WebSocket would not know that writing is paused,
            # so it would write without end to a client that does not read.
            refused("early_upgrade", "A client asked for a WebSocket before it had read the previous answer.")
            self.transport.abort()
            return
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
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _refuse(self) -> None:
        """Answer 431 and close the connection. If another answer is being sent, close the connection without a 431."""
        refused("head_too_large", _SENTENCE)
        self._refused = True
        self._clear_deadline()
        if self._is_busy():  # the client would read the 431 as a part of the answer that is being sent
            self.transport.abort()
            return
        end_gently(self.loop, self.transport, _TOO_LARGE)


def http_protocol(head_seconds: float = HEAD_SECONDS, *, hands_over: bool = True) -> type[BoundedHttp]:
    """Return a subclass of `BoundedHttp` with these values. uvicorn accepts only a class, without arguments."""
    return type("BoundedHttp", (BoundedHttp,), {"head_seconds": head_seconds, "hands_over": hands_over})
