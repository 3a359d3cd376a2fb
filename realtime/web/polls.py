"""Limits the number of polls that are answered at the same time, and how slowly a client may read an answer.

A poll is an ordinary request, but its answer may have tens of megabytes. A poll counts as a connection until its answer
was sent or the client is gone. If the client reads too slowly, its connection is closed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from realtime import conf
from realtime.connect.connections import Connections
from realtime.connect.tickets import Ticket
from realtime.protocol.close_codes import RETRY_AFTER_MS, CloseCode, RefusedError
from realtime.records.errors import TooManyConnectionsError
from realtime.records.metrics import counts
from realtime.server.asgi_server import abort, is_silent

SNAPSHOT_PATH = "/api/v1/realtime/snapshot/"
MIN_BYTES_PER_SECOND = 32_768
"""How fast a client must read an answer on average, so that it cannot keep a poll open for hours by reading a byte now
and then."""
_KEY = "realtime.poll"

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class Poll:
    """One request and its answer."""

    transport_name = "poll"
    ticket: Ticket
    _connections: Connections | None = None

    def __init__(self, send: Send, slow_seconds: float) -> None:
        self._send, self._slow_seconds = send, slow_seconds
        self._begun_at: float | None = None
        self._sent = 0

    def admit(self, ticket: Ticket, connections: Connections) -> None:
        """Count the poll for its user, its tenant and the process. Raise RefusedError if a limit is reached."""
        self.ticket = ticket
        try:
            connections.add(self)
        except TooManyConnectionsError as problem:
            code = CloseCode.TOO_MANY_CONNECTIONS
            raise RefusedError(code, str(problem), 5 * RETRY_AFTER_MS, limit=problem.limit) from None
        self._connections = connections

    async def send(self, message: Message) -> None:
        """Send a part of the answer. Close the connection if the client does not read it in time."""
        timer = asyncio.get_running_loop().call_later(self._seconds_left(), self._too_slow)
        try:
            await self._send(message)
        finally:
            timer.cancel()
        self._sent += len(message.get("body", b""))

    def stop(self) -> None:
        """Stop counting the poll: its answer was sent, or the client is gone."""
        if self._connections is not None:
            self._connections.remove(self)

    @property
    def silent(self) -> bool:
        """Whether the client has stopped acknowledging data."""
        return is_silent(self._send)

    def end(self, code: CloseCode, retry_after_ms: int | None = None) -> None:  # noqa: ARG002 - an answer has neither
        """End the answer at once, even if a part of it was not sent yet."""
        self.give_up()

    def give_up(self) -> None:
        """Close the connection. The rest of the answer is not sent."""
        abort(self._send)
        self.stop()

    def _seconds_left(self) -> float:
        now = asyncio.get_running_loop().time()
        self._begun_at = self._begun_at or now
        left = self._begun_at + self._slow_seconds + self._sent / MIN_BYTES_PER_SECOND - now
        return max(0.0, min(self._slow_seconds, left))

    def _too_slow(self) -> None:
        counts.closed[str(int(CloseCode.TOO_SLOW))] += 1
        self.give_up()


def with_polls(application: Application) -> Application:
    """Return an ASGI application that limits the polls of the given one."""

    async def answered(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != SNAPSHOT_PATH:
            await application(scope, receive, send)
            return
        poll = Poll(send, conf.settings().slow_seconds)
        try:
            await application({**scope, _KEY: poll}, receive, poll.send)
        finally:
            poll.stop()

    return answered


def admit_poll(scope: Message, ticket: Ticket, connections: Connections) -> None:
    """Count this request as a poll. Raise RefusedError if a limit is reached.

    Do nothing if `with_polls` does not wrap the application.
    """
    if (poll := scope.get(_KEY)) is not None:
        poll.admit(ticket, connections)
