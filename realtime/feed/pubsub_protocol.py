"""The asyncio protocol of the pub/sub connection. It parses what Redis sends, and writes commands.

All messages of a process arrive over one connection, so this is a hot path: each read causes one call, with all
replies that the read completed, and no task is woken. A read takes at most `READ_BYTES`, and asyncio lets everything
else run before the next read. So even a flood of messages leaves time for the clients.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ResponseError

READ_BYTES = 65_536

_INCOMPLETE = object()


class PubSubProtocol(asyncio.BufferedProtocol):
    """Passes the replies of Redis on, until the connection is lost or closed."""

    def __init__(self, transport: asyncio.Transport, on_replies: Callable[[list[Any]], None]) -> None:
        """`on_replies` gets the replies in order. If it raises an exception, the connection ends for this reason."""
        self._transport, self._on_replies = transport, on_replies
        self._buffer = memoryview(bytearray(READ_BYTES))  # a view, because asyncio's TLS writes to slices of it
        self._parser = hiredis.Reader(
            protocolError=InvalidResponse, replyError=ResponseError, notEnoughData=_INCOMPLETE
        )
        self._loss: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    async def until_lost(self) -> None:
        """Wait until the connection is lost, and raise the reason: RedisError, OSError, or that of `on_replies`."""
        raise await self._loss

    def send(self, *words: str) -> None:
        """Send a command. Do nothing if the connection is being closed or is lost."""
        if not self._transport.is_closing():
            self._transport.write(hiredis.pack_command(words))  # type: ignore[arg-type] # takes words of any number

    def close(self) -> None:
        """Close the connection at once. Replies that have not been passed on yet are dropped."""
        self._on_replies = _drop
        self._transport.abort()

    # What asyncio calls.

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        try:
            self._parser.feed(self._buffer, 0, nbytes)  # type: ignore[arg-type] # takes every buffer
            replies = list(iter(self._parser.gets, _INCOMPLETE))
            if replies:
                self._on_replies(replies)
        except Exception as problem:  # noqa: BLE001 - `until_lost` raises it
            self._lose(problem)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(exc or RedisConnectionError("Redis closed the connection."))

    def _lose(self, reason: Exception) -> None:
        self.close()
        if not self._loss.done():
            self._loss.set_result(reason)


def _drop(_replies: list[Any]) -> None:
    """Ignore replies that arrive after `PubSubProtocol.close`, which some transports still deliver."""
