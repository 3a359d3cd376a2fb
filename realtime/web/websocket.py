"""Serves a WebSocket with the protocol `realtime.v1` (`docs/reference/realtime-protocol.md`)."""

from collections.abc import Awaitable, Callable
from typing import Any

from channels.consumer import AsyncConsumer

from realtime import conf
from realtime.connect.connection import Carrier, Connection, refusal_frame
from realtime.protocol.close_codes import CloseCode, RefusedError
from realtime.protocol.frames import Frame
from realtime.protocol.refusals import connection_refused
from realtime.records.metrics import counts
from realtime.server.asgi_server import (
    abort,
    give_up_silent_peer,
    hand_over,
    is_silent,
    refuse_handshake,
    waits_for_client,
)
from realtime.server.fast_websocket import FastWebSocket
from realtime.web.client_frames import ClientFrames
from realtime.web.eager_start import start
from realtime.web.handshake import SUBPROTOCOL, read_handshake
from realtime.web.origin import origin_allowed
from realtime.web.process_state import this_process
from realtime.web.ticket_readers import TicketReader

MAX_REASON_BYTES = 123  # RFC 6455, section 5.5: a control frame has up to 125 bytes, and the code needs two

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class WebSocketCarrier:
    """Sends frames as text messages of a WebSocket."""

    name = "websocket"
    answers_pings = True

    def __init__(self, scope: Message, send: Send) -> None:
        self.waits_for_client = waits_for_client(scope)
        self._send = send

    def send(self, frame: Frame) -> Awaitable[None] | None:
        return start(self._send_text(frame.text))

    async def _send_text(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})

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
    """Serves one WebSocket as Channels does, but without a channel layer and without a thread.

    A channel layer would need a Redis subscription for each connection. Channels uses a thread to close database
    connections, and this code opens none.
    """

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Take part in the handshake, and then pass the client's frames on until it is gone.

        If the server can hand its socket over, return after the handshake. `FastWebSocket` serves the rest.
        """
        await receive()  # websocket.connect
        if not origin_allowed(scope):
            counts.refused["403"] += 1
            await refuse_handshake(scope, send, "A page of this origin may not connect.")
            return
        offered = SUBPROTOCOL if SUBPROTOCOL in scope.get("subprotocols", []) else None
        await send({"type": "websocket.accept", "subprotocol": offered})
        if (socket := hand_over(send)) is not None:
            await _begin(scope, socket)
        elif (client_frames := await _open(scope, WebSocketCarrier(scope, send))) is not None:
            await _serve(receive, client_frames)
        else:
            await _until_gone(receive)


async def _begin(scope: Message, socket: FastWebSocket) -> None:
    """Open a connection whose socket was handed over. The server would not close the socket after an error."""
    try:
        if (client_frames := await _open(scope, socket)) is not None:
            socket.begin(client_frames)
    except BaseException:
        socket.abort()
        raise


async def _open(scope: Message, carrier: Carrier) -> ClientFrames | None:
    """Open the connection. If it is refused, tell the client the reason, and return None."""
    try:
        handshake = read_handshake(TicketReader.WEBSOCKET, scope)
        process = this_process()
        connection = Connection(
            handshake.ticket, handshake.topics, carrier, process.hub, process.connections, conf.timing()
        )
        await connection.open(handshake.since, process.admit)
    except RefusedError as problem:
        await _refuse(scope, carrier, problem)
        return None
    return ClientFrames(connection)


async def _refuse(scope: Message, carrier: Carrier, problem: RefusedError) -> None:
    """Close an accepted WebSocket with a code, because a page in a browser cannot see an HTTP status."""
    counts.refused[str(int(problem.code))] += 1
    connection_refused(problem, scope)
    if problem.retry_after_ms is not None and (rest := carrier.send(refusal_frame(problem))) is not None:
        await rest
    await carrier.close(problem.code, str(problem))


async def _serve(receive: Receive, client_frames: ClientFrames) -> None:
    """Pass on what the client sends, until it is gone."""
    try:
        while (message := await receive())["type"] == "websocket.receive":
            if (rest := client_frames.receive(message.get("text"))) is not None:
                await rest
    finally:
        client_frames.stop()


async def _until_gone(receive: Receive) -> None:
    """Ignore what the client of a refused connection sends, until it is gone."""
    while (await receive())["type"] != "websocket.disconnect":
        pass
