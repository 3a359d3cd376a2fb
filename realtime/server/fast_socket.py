"""A socket that the engine has taken over from the server. It needs no task, queue or timer while it is open."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol

from realtime.server import peers

UNUSED_BYTES = 65_536
"""How much of what a client sends is read in vain. Without a limit it would cost CPU time for as long as it comes."""


class Owner(Protocol):
    """Uses a socket, and is told when the socket is closed."""

    def stop(self) -> None:
        """Use the socket no more: it is closed."""


class FastSocket(asyncio.Protocol):
    """The server's end of an open socket. Subclasses write and read the frames of a protocol."""

    __slots__ = ("_closing", "_connections", "_lost", "_owner", "_timer", "_transport", "_unused", "_writable")
    waits_for_client = True

    def __init__(self, transport: asyncio.Transport, connections: set[Any]) -> None:
        """Take over this transport. Join `connections`: the server closes them when it ends."""
        self._transport, self._connections = transport, connections
        self._owner: Owner | None = None
        self._closing = self._lost = False
        self._unused = 0
        self._writable: asyncio.Future[None] | None = None
        """While the write buffer is full, a future that ends when it has room again."""
        self._timer: asyncio.TimerHandle | None = None
        connections.add(self)
        transport.pause_reading()
        transport.set_protocol(self)

    def start_reading(self, owner: Owner) -> None:
        """Begin to read what the client sends. Tell the owner when the socket is closed."""
        self._owner = owner
        if self._lost:
            owner.stop()
        elif not self._closing:
            self._transport.resume_reading()

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Write bytes. Return None or, if the write buffer is full, an awaitable that ends when it has room again.

        Raise ConnectionResetError if the socket is closed or closing.
        """
        if self._closing or self._lost:
            raise ConnectionResetError("The socket is closed.")
        self._transport.write(data)
        return self._writable

    def abort(self) -> None:
        """Close the socket at once, and discard what is not sent yet."""
        self._transport.abort()

    def is_silent(self) -> bool:
        return peers.is_silent(self._transport)

    def give_up_silent(self, seconds: float) -> None:
        peers.give_up_silent(self._transport, seconds)

    def shutdown(self) -> None:
        """Close the socket because the server ends. uvicorn calls this."""
        self._transport.close()

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._lost = True
        self._connections.discard(self)
        self.resume_writing()  # asyncio does not call this for a lost transport
        if self._timer is not None:
            self._timer.cancel()
        if self._owner is not None:
            self._owner.stop()

    def _too_much_unused(self, size: int) -> bool:
        """Count bytes of the client that are of no use. Return whether they are more than `UNUSED_BYTES` by now."""
        self._unused += size
        return self._unused > UNUSED_BYTES

    def _abort_after(self, seconds: float) -> None:
        """Close the socket after this time, even if something is still unsent."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._transport.abort)
