"""A stream of Server-Sent Events after its response has begun. Events are written straight to the transport.

uvicorn's protocol reads the request and writes the head of the response, and then hands its socket over
(`BoundedHttp.hand_over`).
"""

import asyncio
from collections.abc import Awaitable

from realtime.protocol.frames import Frame
from realtime.server.fast_socket import FastSocket
from realtime.server.lingering_close import end_gently

LAST_CHUNK = b"0\r\n\r\n"  # RFC 9112, section 7.1


class FastEventStream(FastSocket):
    """The body of a chunked response (RFC 9112, section 7.1). The connection ends with it."""

    __slots__ = ()

    def send(self, frame: Frame) -> Awaitable[None] | None:
        """Write a frame as one chunk. Return, or raise, what `write` does."""
        return self.write(frame.chunk)

    def finish(self) -> None:
        """End the response, and then the connection."""
        if not (self._closing or self._lost):
            self._closing = True
            self._timer = end_gently(asyncio.get_running_loop(), self._transport, LAST_CHUNK)

    def data_received(self, data: bytes) -> None:
        """Discard what the client sends: the connection serves no second request."""
        if self._too_much_unused(len(data)):
            self._transport.abort()
