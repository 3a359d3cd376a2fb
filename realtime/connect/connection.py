"""Serves one connection from its ticket to its end, over any transport (`web/websocket.py`, `web/sse.py`)."""

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from realtime.connect.connections import Connections
from realtime.connect.tickets import Ticket
from realtime.feed.hub import Hub
from realtime.feed.subscriber import Subscriber, Transport
from realtime.protocol import frames
from realtime.protocol.close_codes import REASONS, RETRY_AFTER_MS, CloseCode, RefusedError
from realtime.protocol.frames import Frame
from realtime.protocol.place import Place
from realtime.records.errors import BadTopicError, FeedUnavailableError, TooManyConnectionsError
from realtime.records.metrics import counts
from realtime.records.topics import TopicFilter
from realtime.settings import Settings

log = structlog.get_logger(__name__)

MAX_PINGS_UNANSWERED = 2
CLOSE_SECONDS = 5.0
SILENT_SECONDS = 5.0
"""If the peer of a connection has not answered a ping for this long, a newer connection of its user may replace it."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The pause between pings, and how long a client may be too slow before its connection is ended. In seconds."""

    ping: float = Settings.ping_seconds
    slow: float = Settings.slow_seconds


class Carrier(Transport, Protocol):
    """A transport that can also be closed."""

    name: str
    answers_pings: bool

    async def close(self, code: CloseCode, reason: str) -> None:
        """Close the connection as soon as all earlier frames have been sent."""

    def abort(self) -> None:
        """Close the connection at once, without waiting for the peer."""

    def is_silent(self) -> bool:
        """Return whether the peer has stopped acknowledging what is sent. False if the server cannot find that out."""

    def give_up_silent(self, seconds: float) -> None:
        """Make the connection end if the peer acknowledges nothing for this many seconds."""


class Connection:
    """A connection. Its ticket sets the user, the allowed topics and the lifetime. `refresh` replaces the ticket."""

    __slots__ = (
        "_asked_at", "_carrier", "_connections", "_end_task", "_ends_at", "_hub", "_ping_at", "_pings_unanswered",
        "_slot", "_timing", "closing", "id", "subscriber", "ticket", "transport_name",
    )  # fmt: skip

    def __init__(
        self,
        ticket: Ticket,
        topics: TopicFilter,
        carrier: Carrier,
        hub: Hub,
        connections: Connections,
        timing: Timing,
    ) -> None:
        self.id = f"c-{secrets.token_hex(8)}"
        self.ticket = ticket
        self.transport_name = carrier.name
        self.closing = False
        self.subscriber = Subscriber(ticket.tenant_id, topics, carrier, self._too_slow, timing.slow, self.id)
        self._carrier, self._hub, self._connections = carrier, hub, connections
        self._timing = timing
        self._pings_unanswered = 0
        self._asked_at: float | None = None
        """When the oldest unanswered ping was sent, by the loop's clock; None if all were answered."""
        self._ping_at = self._ends_at = math.inf
        """When the next ping is due, and when the connection's lifetime is over, by the loop's clock."""
        self._slot: int | None = None
        """The slot of the timer wheel in which `on_time` is called, for the earlier of these; None without one."""
        self._end_task: asyncio.Task[None] | None = None

    async def open(self, since: Place | None, admit: Callable[[Ticket], Awaitable[object]]) -> None:
        """Send the welcome and the snapshot, and from then on the changes.

        `admit` must raise an error if the ticket is no longer valid. This method raises the same error. It raises
        RefusedError if the process is draining, if it accepts no more connections from this user, from this tenant or
        in total, or if the feed or revocations cannot be read. After an error the connection is stopped. If `end` was
        called during the opening, the client was already sent the reason, so RefusedError is not raised.
        """
        if self._connections.draining:
            raise RefusedError(CloseCode.SERVER_RESTART, REASONS[CloseCode.SERVER_RESTART], RETRY_AFTER_MS)
        try:
            self._connections.add(self)
            # The kernel gives a connection up later than the engine, so that a slow client still receives the reason.
            self._carrier.give_up_silent(self._timing.slow + CLOSE_SECONDS + 1)
            await admit(self.ticket)
            welcome = frames.welcome(self.id, self._timing.ping, self.ticket.connection_seconds)
            await self._hub.join(self.subscriber, since, welcome)
        except BaseException as problem:
            if self.closing and isinstance(problem, RefusedError | FeedUnavailableError):
                return  # the client was sent the reason already
            self.stop()
            if isinstance(problem, TooManyConnectionsError):
                code, limit = CloseCode.TOO_MANY_CONNECTIONS, problem.limit
                raise RefusedError(code, str(problem), 5 * RETRY_AFTER_MS, limit=limit) from None
            if isinstance(problem, FeedUnavailableError):
                raise RefusedError(CloseCode.FEED_UNAVAILABLE, str(problem), RETRY_AFTER_MS) from None
            raise
        if not self.closing:
            self._ping_at = asyncio.get_running_loop().time() + self._timing.ping
            self._live_for(self.ticket.connection_seconds)
        self._debug("connection_opened")

    def pong(self) -> None:
        """Note that the client answered a ping."""
        self._pings_unanswered = 0
        self._asked_at = None
        self.subscriber.answered()

    @property
    def silent(self) -> bool:
        """Whether the peer seems to be gone.

        That is so if it has not answered a ping for `SILENT_SECONDS`, or does not acknowledge what is sent.
        """
        waited = 0.0 if self._asked_at is None else asyncio.get_running_loop().time() - self._asked_at
        return waited > SILENT_SECONDS or self._carrier.is_silent()

    async def subscribe(self, request_id: int, topics: TopicFilter) -> tuple[str, str] | None:
        """Add topics to the connection. Return None, or the code and the message of an error.

        Raise FeedUnavailableError if the records of the topics cannot be read.
        """
        for pattern in sorted(topics.patterns):
            if not self.ticket.topics.covers(pattern):
                return "forbidden_topic", f"The ticket does not allow {pattern}."
        try:
            await self._hub.subscribe(self.subscriber, request_id, topics)
        except BadTopicError as problem:
            return "too_many_topics", str(problem)
        return None

    def unsubscribe(self, request_id: int, topics: TopicFilter) -> None:
        self._hub.unsubscribe(self.subscriber, request_id, topics)

    def refresh(self, new: Ticket) -> tuple[str, str] | None:
        """Replace the connection's ticket by a new one. Return None, or the code and the message of an error."""
        old = self.ticket
        if (new.tenant_id, new.user_id) != (old.tenant_id, old.user_id):
            return "ticket_invalid", "The ticket is another user's."
        if not all(new.topics.covers(pattern) for pattern in self.subscriber.topics.patterns):
            return "forbidden_topic", "The new ticket does not allow what this connection watches."
        self.ticket = new
        self._live_for(new.connection_seconds)
        self.subscriber.queue(frames.refreshed(new.connection_seconds))
        return None

    def end(self, code: CloseCode, retry_after_ms: int | None = None, reason: str | None = None) -> None:
        """Send the client the reason, and close the connection. No more records are sent from now on."""
        if self.closing:
            return
        self.closing = True
        counts.closed[str(int(code))] += 1
        self._hub.detach(self.subscriber, frames.closing(code, retry_after_ms, reason))
        self._end_task = asyncio.get_running_loop().create_task(self._end(code, reason or REASONS[code]))
        self._debug("connection_ended", code=int(code))

    def give_up(self) -> None:
        """End the connection at once, without a last frame, because the peer is gone."""
        if not self.closing:
            self.closing = True
            counts.closed[str(int(CloseCode.NO_PONG))] += 1
        self._carrier.abort()
        self.stop()

    async def _end(self, code: CloseCode, reason: str) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.subscriber.drained()
                await self._carrier.close(code, reason)
        except TimeoutError:
            self._carrier.abort()
            self.stop()  # do this even if the server could not close the socket
        except Exception as problem:  # noqa: BLE001 - servers raise various errors if the peer is gone
            self._debug("close_failed", error=str(problem))
            self._carrier.abort()

    def stop(self) -> None:
        """Stop the timer, and remove the connection from the hub and from the counted connections."""
        self._ping_at = self._ends_at = math.inf
        self._wait()
        self._connections.remove(self)
        self._hub.leave(self.subscriber)

    def on_time(self) -> None:
        """Ping the client, or end the connection. The timer wheel calls this when the time has come."""
        self._slot = None
        now = asyncio.get_running_loop().time()
        if now >= self._ends_at:
            self._ends_at = math.inf
            self.end(CloseCode.LIFETIME_OVER)
        elif now >= self._ping_at:
            self._ping_at = now + self._timing.ping
            self._ping(now)
        self._wait()

    def _ping(self, now: float) -> None:
        if self._pings_unanswered >= MAX_PINGS_UNANSWERED:
            self._ping_at = math.inf
            self.end(CloseCode.NO_PONG)
            return
        if self.subscriber.busy:  # no ping is needed: the time limit for slow clients applies
            return
        if (delay := self._hub.delay_of(self.ticket.tenant_id)) is not None:
            self.subscriber.queue(frames.delayed(delay))  # a ping would say that the client has everything
            return
        if self._carrier.answers_pings:
            self._pings_unanswered += 1
            self._asked_at = self._asked_at or now
        self.subscriber.queue(frames.ping(self.subscriber.place))

    def _live_for(self, seconds: float) -> None:
        self._ends_at = asyncio.get_running_loop().time() + seconds
        self._wait()

    def _wait(self) -> None:
        """Let the timer wheel call `on_time` when the next ping or the end of the lifetime is due."""
        wheel = self._connections.wheel
        if self._slot is not None:
            wheel.cancel(self, self._slot)
        due = min(self._ping_at, self._ends_at)
        self._slot = wheel.set(self, due) if due < math.inf else None

    def _too_slow(self) -> None:
        self.end(CloseCode.TOO_SLOW, reason=REASONS[CloseCode.TOO_SLOW])

    def _debug(self, event: str, **fields: Any) -> None:
        names = {"tenant": self.ticket.tenant_id, "connection": self.id, "transport": self.transport_name}
        log.debug(event, **names, **fields)


def refusal_frame(refused: RefusedError) -> Frame:
    return frames.closing(refused.code, refused.retry_after_ms, str(refused), limit=refused.limit)
