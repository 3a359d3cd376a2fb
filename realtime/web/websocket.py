"""Serves a WebSocket with the protocol `realtime.v1` (`docs/reference/realtime-protocol.md`)."""

from collections.abc import Awaitable, Callable
from typing import Any

from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from channels.utils import await_many_dispatch

from realtime import conf
from realtime.connect.connection import Connection, refusal_frame
from realtime.protocol import frames
from realtime.protocol.close_codes import CloseCode, RefusedError
from realtime.protocol.frames import Frame
from realtime.protocol.rate_limit import TokenBucket
from realtime.protocol.refusals import connection_refused, refused
from realtime.records.errors import BadFrameError, FeedUnavailableError, TicketError
from realtime.records.metrics import counts
from realtime.server.asgi_server import abort, give_up_silent_peer, is_silent, refuse_handshake, waits_for_client
from realtime.web.handshake import SUBPROTOCOL, read_handshake
from realtime.web.origin import origin_allowed
from realtime.web.process_state import this_process
from realtime.web.ticket_readers import TicketReader, read

FRAMES_A_SECOND, FRAMES_BURST = 10, 30
MAX_BAD_FRAMES = 10
MAX_REASON_BYTES = 123  # RFC 6455, section 5.5: a control frame has up to 125 bytes, and the code needs two

Message = dict[str, Any]


class WebSocketCarrier:
    """Sends frames as text messages of a WebSocket."""

    name = "websocket"
    answers_pings = True

    def __init__(self, scope: Message, send: Callable[[Message], Awaitable[None]]) -> None:
        self.waits_for_client = waits_for_client(scope)
        self._send = send

    async def send(self, frame: Frame) -> None:
        await self._send({"type": "websocket.send", "text": frame.text})

    async def close(self, code: CloseCode, reason: str) -> None:
        text = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        await self._send({"type": "websocket.close", "code": int(code), "reason": text})

    def abort(self) -> None:
        abort(self._send)

    def is_silent(self) -> bool:
        return is_silent(self._send)

    def give_up_silent(self, seconds: float) -> None:
        give_up_silent_peer(self._send, seconds)


class EventsConsumer(AsyncConsumer):
    """Reads the frames of a client. On an open connection, its subscriber sends all frames to the client, in order."""

    _connection: Connection | None = None

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Serve one WebSocket as Channels does, but without a channel layer.

        A channel layer would need a Redis subscription for each connection.
        """
        self.scope, self.base_send = scope, send
        self._carrier = WebSocketCarrier(scope, send)
        self._bad_frames = 0
        self._bucket = TokenBucket(FRAMES_A_SECOND, FRAMES_BURST)
        try:
            await await_many_dispatch([receive], self.dispatch)  # type: ignore[no-untyped-call]
        except StopConsumer:
            pass
        finally:
            if self._connection is not None:
                self._connection.stop()

    async def dispatch(self, message: Message) -> None:
        """Handle an ASGI message as Channels does, but without a thread that closes database connections.

        This code opens no database connections.
        """
        match message["type"]:
            case "websocket.connect":
                await self._connect()
            case "websocket.receive":
                await self._receive(message.get("text"))
            case "websocket.disconnect":
                raise StopConsumer

    async def _connect(self) -> None:
        if not origin_allowed(self.scope):
            counts.refused["403"] += 1
            await refuse_handshake(self.scope, self.base_send, "A page of this origin may not connect.")
            return
        offered = SUBPROTOCOL if SUBPROTOCOL in self.scope.get("subprotocols", []) else None
        await self.base_send({"type": "websocket.accept", "subprotocol": offered})
        try:
            handshake = read_handshake(TicketReader.WEBSOCKET, self.scope)
            process = this_process()
            connection = Connection(
                handshake.ticket, handshake.topics, self._carrier, process.hub, process.connections, conf.timing()
            )
            await connection.open(handshake.since, process.admit)
            self._connection = connection
        except RefusedError as problem:
            await self._refuse_connection(problem)

    async def _refuse_connection(self, problem: RefusedError) -> None:
        """Close an accepted WebSocket with a code, because a page in a browser cannot see an HTTP status."""
        counts.refused[str(int(problem.code))] += 1
        connection_refused(problem, self.scope)
        if problem.retry_after_ms is not None:
            await self._carrier.send(refusal_frame(problem))
        await self._carrier.close(problem.code, str(problem))

    async def _receive(self, text: str | None) -> None:
        connection = self._connection
        if connection is None or connection.closing:
            return
        if not self._bucket.take():
            refused(reason="too_many_frames", message=f"A client sent more than {FRAMES_A_SECOND} frames a second.")
            connection.end(CloseCode.TOO_MANY_FRAMES)
            return
        try:
            if text is None:
                raise BadFrameError("Frames are text; this one was binary.")
            await self._handle(connection, frames.parse_client_frame(text))
        except BadFrameError as problem:
            self._refuse(connection, frames.request_id_of(text) if text else None, "bad_frame", str(problem))
        except FeedUnavailableError as problem:
            connection.subscriber.queue(frames.error(frames.request_id_of(text or ""), "unavailable", str(problem)))

    async def _handle(self, connection: Connection, frame: frames.ClientFrame) -> None:
        wrong: tuple[str, str] | None = None
        match frame:
            case frames.Pong():
                connection.pong()
            case frames.Subscribe(request_id, topics):
                wrong = await connection.subscribe(request_id, topics)
            case frames.Unsubscribe(request_id, topics):
                connection.unsubscribe(request_id, topics)
            case frames.Refresh(text):
                wrong = await self._refresh(connection, text)
        if wrong is not None:
            self._refuse(connection, getattr(frame, "id", None), *wrong)

    @staticmethod
    async def _refresh(connection: Connection, text: str) -> tuple[str, str] | None:
        """Continue the connection with a new ticket, and return None.

        If the ticket is refused, return an error's code and message. Raise FeedUnavailableError if it cannot be checked
        whether the ticket was revoked.
        """
        try:
            ticket = read(TicketReader.REFRESH, text)
            await this_process().admit(ticket)
        except TicketError as problem:
            return "ticket_invalid", str(problem)
        except RefusedError as problem:
            if problem.code is CloseCode.FEED_UNAVAILABLE:
                raise FeedUnavailableError(str(problem)) from None  # the client is not to blame
            return "ticket_invalid", str(problem)
        return connection.refresh(ticket)

    def _refuse(self, connection: Connection, request_id: int | None, code: str, message: str) -> None:
        self._bad_frames += 1
        refused(code, message)
        connection.subscriber.queue(frames.error(request_id, code, message))
        if self._bad_frames >= MAX_BAD_FRAMES:
            connection.end(CloseCode.BAD_FRAMES)
