"""Limits what the pings and fragments of a client may cost: uvicorn's WebSocket protocol with bounds.

uvicorn answers every ping, even if the client does not read the answers. This module uses no underscored name of
uvicorn. But it relies on undocumented behaviour of these parts of `WebSocketsSansIOProtocol`, which
`tests/realtime/server/test_uvicorn_hooks.py` checks:

- `handle_ping`, `handle_pong`, `handle_cont`;
- `loop`, `transport`, `conn` (of websockets);
- `frames` (parts of an unfinished message) and `queue` (what the application receives);
- `writable` (cleared while writing is paused) and `read_paused`;
- `handshake_initiated`, `handshake_complete`, `close_sent`;
- `connections` (those that the server closes when it ends), `config` (with `ws_max_size`);
- `close_timer`: while it is set, the end of the application does not close the socket.
"""

import asyncio

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from realtime.protocol.rate_limit import TokenBucket
from realtime.protocol.refusals import refused
from realtime.server.fast_websocket import FastWebSocket
from realtime.server.lingering_close import LINGER_SECONDS, end_gently

PINGS_A_SECOND, PINGS_AT_ONCE = 10, 30
PARTS_OF_A_MESSAGE = 1024
POLICY_VIOLATION = 1008
"""A close code of RFC 6455. The close codes of the engine's protocol are in `realtime/protocol/close_codes.py`."""
READ_BYTES = 16_384
"""How many bytes are parsed at once. The smallest frame has 6 bytes, but needs about 300 bytes of memory."""

_PONG = b"\x8a"
"""The first byte of a pong frame."""


class _HandedOver(asyncio.Transport):
    """What uvicorn keeps in place of a transport that was handed over. uvicorn closes it when the application ends."""

    def close(self) -> None:
        pass


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket with limits on pings and on the fragments of a message.

    Pings are answered only while the client reads the answers. If several pings arrive together, only the newest is
    answered, which RFC 6455, section 5.5.3, allows.
    """

    hands_over = True
    _pings: TokenBucket | None = None
    _early = False
    """Whether the client has sent something after the head of the handshake."""

    def data_received(self, data: bytes) -> None:
        """Parse data in parts of `READ_BYTES`, but the head of the handshake, which the first call gets, as a whole.

        If the library websockets refuses this head, send the library's answer and close the connection. uvicorn itself
        would do neither.
        """
        self._early |= self.handshake_initiated
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

    def hand_over(self) -> FastWebSocket | None:
        """Give the socket to a new FastWebSocket, and take no further part in the connection.

        Return None if the handshake is not complete, if the connection ends, or if the client has already sent
        something, of which uvicorn may hold an unparsed part. Also return None if `hands_over` is false.
        """
        if (
            not self.hands_over
            or not self.handshake_complete
            or self.close_sent
            or self._early
            or self.transport.is_closing()
        ):
            return None
        socket = FastWebSocket(self.transport, self.connections, self.config.ws_max_size)
        self.connections.discard(self)
        self.transport = _HandedOver()
        return socket

    def handle_ping(self) -> None:
        if self.close_sent:
            return
        if not self._may_ping():
            return
        frames = self.conn.data_to_send()
        pongs = [frame for frame in frames if frame.startswith(_PONG)]
        others = [frame for frame in frames if not frame.startswith(_PONG)]
        wanted = pongs[-1:] if self.handshake_complete and self.writable.is_set() else []
        self.transport.write(b"".join(wanted + others))

    def handle_pong(self, event: Frame) -> None:
        if not self.close_sent and self._may_ping():
            super().handle_pong(event)

    def _may_ping(self) -> bool:
        """Return whether the client may send one more ping or pong. If not, fail the connection."""
        self._pings = self._pings or TokenBucket(PINGS_A_SECOND, PINGS_AT_ONCE)
        if self._pings.take():
            return True
        self._fail("too many pings")
        return False

    def handle_cont(self, event: Frame) -> None:
        super().handle_cont(event)
        if len(self.frames) > PARTS_OF_A_MESSAGE:  # fragments may be empty, so the limit on bytes is not enough
            self._fail("too many parts")

    def _fail(self, reason: str) -> None:
        refused(reason.replace(" ", "_"), f"A client sent {reason}.")
        self.conn.data_to_send()  # discard pending pongs
        if not self.handshake_complete:
            self.transport.abort()
            return
        self.conn.fail(POLICY_VIOLATION, reason)  # this also discards all further data of the client
        self.queue.put_nowait({"type": "websocket.disconnect", "code": POLICY_VIOLATION, "reason": reason})
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = end_gently(self.loop, self.transport, b"".join(self.conn.data_to_send()))

    def _close(self) -> None:
        self.transport.close()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)


class PortableWebSocket(BoundedWebSocket):
    """A BoundedWebSocket that keeps its socket, as all servers but ours do."""

    hands_over = False
