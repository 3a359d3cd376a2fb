"""One WebSocket: the frames of `realtime.v1` (realtime.md, section 7), from handshake to close."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from channels.utils import await_many_dispatch

from realtime import conf, frames
from realtime.closing import REASONS, CloseCode
from realtime.errors import BadFrameError, BadTopicError, FeedUnavailableError, TicketError
from realtime.handshake import SUBPROTOCOL, Handshake, RefusedError, origin_allowed, read_handshake
from realtime.process import hub
from realtime.rates import TokenBucket
from realtime.subscriber import Subscriber
from realtime.tickets import read_ticket
from realtime.topics import TopicFilter

log = structlog.get_logger(__name__)

FRAMES_A_SECOND, FRAMES_BURST = 10, 30
MAX_BAD_FRAMES = 10
MAX_PINGS_UNANSWERED = 2
CLOSE_SECONDS = 5.0
MAX_REASON_BYTES = 123  # RFC 6455, section 5.5: a control frame carries 125 bytes, two of them the code
RETRY_AFTER_MS = 2000


class EventsConsumer(AsyncConsumer):
    """Reads the client's frames; what the server sends leaves through the subscriber, in one order."""

    handshake: Handshake
    subscriber: Subscriber

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """As Channels does it, but without a channel-layer channel, which is one Redis subscription a connection."""
        self.scope, self.base_send = scope, send
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._joined = self._closing = False
        self._pings_unanswered = self._bad_frames = 0
        self._bucket = TokenBucket(FRAMES_A_SECOND, FRAMES_BURST)
        self._close_task: asyncio.Task[None] | None = None
        try:
            await await_many_dispatch([receive], self.dispatch)  # type: ignore[no-untyped-call]
        except StopConsumer:
            pass
        finally:
            self._stop()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """As Channels does it, but without its hop through a thread to close database connections: there are none."""
        match message["type"]:
            case "websocket.connect":
                await self._connect()
            case "websocket.receive":
                await self._receive(message.get("text"))
            case "websocket.disconnect":
                raise StopConsumer

    async def _connect(self) -> None:
        if not origin_allowed(dict(self.scope["headers"])):
            await self.base_send({"type": "websocket.close", "code": CloseCode.NOT_ALLOWED})  # before accept: HTTP 403
            return
        offered = SUBPROTOCOL if SUBPROTOCOL in self.scope.get("subprotocols", []) else None
        await self.base_send({"type": "websocket.accept", "subprotocol": offered})
        try:
            self.handshake = read_handshake(self.scope)
            await self._join()
        except RefusedError as refused:
            await self._send_close(refused.code, str(refused))
        except FeedUnavailableError as problem:
            self.subscriber.queue(frames.closing(CloseCode.FEED_UNAVAILABLE, RETRY_AFTER_MS))
            await self._close_after_flush(CloseCode.FEED_UNAVAILABLE, str(problem))

    async def _join(self) -> None:
        ticket = self.handshake.ticket
        self.subscriber = Subscriber(ticket.tenant_id, self.handshake.topics, self._send_text)
        connection = f"c-{secrets.token_hex(8)}"
        self.subscriber.queue(frames.welcome(connection, conf.ping_seconds(), ticket.connection_seconds))
        await hub().join(self.subscriber, self.handshake.since)
        self._joined = True
        self._set_timer("ping", conf.ping_seconds(), self._ping)
        self._set_timer("lifetime", ticket.connection_seconds, self._close, CloseCode.LIFETIME_OVER)

    async def _receive(self, text: str | None) -> None:
        if not self._joined or self._closing:
            return
        if not self._bucket.take():
            self._close(CloseCode.TOO_MANY_FRAMES)
            return
        try:
            if text is None:
                raise BadFrameError("Frames are text; this one was binary.")
            await self._handle(frames.parse_client_frame(text))
        except BadFrameError as problem:
            self._refuse(frames.request_id_of(text) if text else None, "bad_frame", str(problem))
        except FeedUnavailableError as problem:
            self.subscriber.queue(frames.error(frames.request_id_of(text or ""), "unavailable", str(problem)))

    async def _handle(self, frame: frames.ClientFrame) -> None:
        match frame:
            case frames.Pong():
                self._pings_unanswered = 0
            case frames.Subscribe(request_id, topics):
                await self._subscribe(request_id, topics)
            case frames.Unsubscribe(request_id, topics):
                hub().unsubscribe(self.subscriber, request_id, topics)
            case frames.Refresh(ticket):
                self._refresh(ticket)

    async def _subscribe(self, request_id: int, topics: TopicFilter) -> None:
        for pattern in sorted(topics.patterns):
            if not self.handshake.ticket.topics.covers(pattern):
                self._refuse(request_id, "forbidden_topic", f"The ticket does not allow {pattern}.")
                return
        try:
            await hub().subscribe(self.subscriber, request_id, topics)
        except BadTopicError as problem:
            self._refuse(request_id, "too_many_topics", str(problem))

    def _refresh(self, text: str) -> None:
        """A new ticket lengthens the connection's life; it has to be the same user's, and cover what is watched."""
        old = self.handshake.ticket
        try:
            new = read_ticket(text, conf.ticket_key())
        except TicketError as problem:
            self._refuse(None, "ticket_invalid", str(problem))
            return
        if (new.tenant_id, new.user_id) != (old.tenant_id, old.user_id):
            self._refuse(None, "ticket_invalid", "The ticket is another user's.")
        elif not all(new.topics.covers(pattern) for pattern in self.subscriber.topics.patterns):
            self._refuse(None, "forbidden_topic", "The new ticket does not allow what this connection watches.")
        else:
            self.handshake = Handshake(new, self.handshake.topics, self.handshake.since)
            self._set_timer("lifetime", new.connection_seconds, self._close, CloseCode.LIFETIME_OVER)
            self.subscriber.queue(frames.refreshed(new.connection_seconds))

    def _refuse(self, request_id: int | None, code: str, message: str) -> None:
        self._bad_frames += 1
        self.subscriber.queue(frames.error(request_id, code, message))
        if self._bad_frames >= MAX_BAD_FRAMES:
            self._close(CloseCode.BAD_FRAMES)

    def _ping(self) -> None:
        if self._pings_unanswered >= MAX_PINGS_UNANSWERED:
            self._close(CloseCode.NO_PONG)
            return
        self._pings_unanswered += 1
        if not self.subscriber.busy:
            self.subscriber.queue(frames.ping(self.subscriber.place))
        self._set_timer("ping", conf.ping_seconds(), self._ping)

    def _close(self, code: CloseCode) -> None:
        """Says why, and closes; from here on the connection gets no more records."""
        if self._closing:
            return
        self._closing = True
        hub().detach(self.subscriber)
        self.subscriber.queue(frames.closing(code))
        self._close_task = asyncio.get_running_loop().create_task(self._close_after_flush(code, REASONS[code]))

    async def _close_after_flush(self, code: CloseCode, reason: str) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.subscriber.drained()
                await self._send_close(code, reason)
        except TimeoutError:
            log.info("close_timed_out", code=int(code))

    async def _send_close(self, code: CloseCode, reason: str) -> None:
        text = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        await self.base_send({"type": "websocket.close", "code": int(code), "reason": text})

    async def _send_text(self, frame: bytes) -> None:
        await self.base_send({"type": "websocket.send", "text": frame.decode()})

    def _set_timer(self, name: str, seconds: float, callback: Callable[..., None], *arguments: Any) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, callback, *arguments)

    def _stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        if hasattr(self, "subscriber"):
            hub().leave(self.subscriber)
