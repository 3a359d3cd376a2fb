"""A WebSocket after its handshake. It writes ready-made frames straight to the transport, and has no task of its own.

uvicorn's protocol takes part in the handshake only, and then hands its socket over (`BoundedWebSocket.hand_over`). An
open connection needs no task, queue, timer or ASGI message from then on.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol

import structlog

from realtime.protocol.frames import Frame
from realtime.protocol.rate_limit import TokenBucket
from realtime.protocol.refusals import refused
from realtime.server.fast_socket import FastSocket, Owner
from realtime.server.lingering_close import LINGER_SECONDS, end_gently
from realtime.server.websocket_parser import (
    Binary,
    Close,
    Failure,
    FrameParser,
    Ping,
    Pong,
    Text,
    close_frame,
    pong_frame,
)

log = structlog.get_logger(__name__)

PINGS_A_SECOND, PINGS_AT_ONCE = 10, 30
MAX_WAITING = 30
"""How many messages may wait while the one before them is being handled."""
CLOSE_SECONDS = 10.0
"""How long the client may take to answer a close frame."""
POLICY_VIOLATION, INTERNAL_ERROR, SERVICE_RESTART = 1008, 1011, 1012
"""Close codes of RFC 6455, section 7.4.1. Those of the engine's protocol are in `realtime/protocol/close_codes.py`."""
READ_BYTES = 16_384
"""How many bytes are parsed at once. The smallest frame has 6 bytes, but needs about 100 bytes of memory."""


class Application(Owner, Protocol):
    """Handles what the client of a WebSocket sends."""

    def receive(self, text: str | None) -> Awaitable[None] | None:
        """Handle a text message, or a binary one (None).

        Return None if it was handled at once, else an awaitable. No further message is passed on until it ends.
        """

    def refuse_more(self) -> None:
        """End the connection: the client sent more than `MAX_WAITING` messages at once. No more are passed on."""


class FastWebSocket(FastSocket):
    """The server's end of an open WebSocket. It is also the engine's carrier for frames."""

    __slots__ = ("_application", "_parser", "_pings", "_task", "_waiting")
    name = "websocket"
    answers_pings = True

    def __init__(self, transport: asyncio.Transport, connections: set[Any], max_message_bytes: int) -> None:
        super().__init__(transport, connections)
        self._application: Application | None = None
        self._parser = FrameParser(max_message_bytes)
        self._pings: TokenBucket | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: list[str | None] | None = None
        """Messages that arrived together with the one that `_task` handles."""

    def begin(self, application: Application) -> None:
        """Pass what the client sends to the application. Before this call nothing is read."""
        self._application = application
        self.start_reading(application)

    # The carrier of `realtime.connect.connection`.

    def send(self, frame: Frame) -> Awaitable[None] | None:
        """Write a frame as one message. Return, or raise, what `write` does."""
        return self.write(frame.message)

    async def close(self, code: int, reason: str) -> None:
        """Start the closing handshake (RFC 6455, section 7.1.2). Nothing more is sent or passed on."""
        if self._closing or self._lost:
            return
        self._closing = True
        self._transport.write(close_frame(int(code), reason))
        if self._application is None or self._task is not None:
            self._transport.resume_reading()  # the client's answer has to be read
        self._abort_after(CLOSE_SECONDS)

    # asyncio's protocol.

    def data_received(self, data: bytes) -> None:
        if len(data) <= READ_BYTES:
            self._receive(data)
            return
        for start in range(0, len(data), READ_BYTES):
            if not self._transport.is_closing():
                self._receive(data[start : start + READ_BYTES])

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if not self._closing:
            self._closing = True
            self._transport.write(close_frame(SERVICE_RESTART, ""))
        super().shutdown()

    # What the client sends.

    def _receive(self, data: bytes) -> None:
        if self._closing and not self._parser.ended and self._too_much_unused(len(data)):
            self._transport.pause_reading()  # the client does not send its close frame, so the timer closes the socket
            return
        ping: Ping | None = None
        for event in self._parser.feed(data):
            if isinstance(event, Text):
                self._pass_on(event.text)
            elif isinstance(event, Binary):
                self._pass_on(None)
            elif isinstance(event, Ping | Pong):
                ping = event if isinstance(event, Ping) else ping
                if not self._may_ping():
                    return
            elif isinstance(event, Close):
                self._answer_close(event)
                return
            elif isinstance(event, Failure):
                self._fail(event.code, event.reason)
                return
        if ping is not None and self._writable is None and not self._closing:
            self._transport.write(pong_frame(ping.payload))  # only the newest: RFC 6455, section 5.5.3, allows that

    def _may_ping(self) -> bool:
        self._pings = self._pings or TokenBucket(PINGS_A_SECOND, PINGS_AT_ONCE)
        if self._closing or self._pings.take():
            return True
        self._fail(POLICY_VIOLATION, "too many pings")
        return False

    def _pass_on(self, text: str | None) -> None:
        if self._closing or self._application is None:
            return
        if self._task is not None:
            self._wait_with(text)
            return
        rest = self._application.receive(text)
        if rest is not None:
            self._transport.pause_reading()
            self._task = asyncio.get_running_loop().create_task(self._finish(rest))

    def _wait_with(self, text: str | None) -> None:
        self._waiting = self._waiting or []
        self._waiting.append(text)
        if len(self._waiting) > MAX_WAITING and self._application is not None:
            application, self._application, self._waiting = self._application, None, None
            application.refuse_more()

    async def _finish(self, rest: Awaitable[None]) -> None:
        """Wait until a message is handled, and then handle those that arrived together with it."""
        try:
            await rest
            while self._waiting and not self._closing and self._application is not None:
                next_rest = self._application.receive(self._waiting.pop(0))
                if next_rest is not None:
                    await next_rest
        except Exception:
            log.exception("message_failed")
            if not self._lost:
                self._fail(INTERNAL_ERROR, "internal error")
        finally:
            self._task = self._waiting = None
        if not (self._lost or self._transport.is_closing()):
            self._transport.resume_reading()

    def _answer_close(self, close: Close) -> None:
        if not self._closing:
            self._closing = True
            self._transport.write(close_frame(close.code, close.reason))
        self._abort_after(LINGER_SECONDS)  # a client that does not read must not keep the socket open
        self._transport.close()

    def _fail(self, code: int, reason: str) -> None:
        """Fail the connection (RFC 6455, section 7.1.7). The parser ignores all further data of the client."""
        if self._closing:
            self._transport.abort()
            return
        if code == POLICY_VIOLATION:
            refused(reason.replace(" ", "_"), f"A client sent {reason}.")
        self._closing = True
        self._timer = end_gently(asyncio.get_running_loop(), self._transport, close_frame(code, reason))
