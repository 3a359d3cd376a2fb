"""One connection in the hub: what still has to be sent to it, and up to where it has everything.

The hub never waits for a client. A subscriber that is busy keeps at most one record a topic, the newest, so its memory
is bounded by the number of topics; what was skipped in between nobody misses, and a terminal record is never skipped,
because only a new attempt replaces it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog

from realtime import frames
from realtime.feed import Mirror
from realtime.place import Place
from realtime.record import Record
from realtime.topics import TopicFilter

log = structlog.get_logger(__name__)

Send = Callable[[bytes], Awaitable[None]]


class Subscriber:
    """Frames leave in the order in which they were queued; records that wait leave after them, by offset."""

    def __init__(self, tenant_id: int, topics: TopicFilter, send: Send) -> None:
        self.tenant_id = tenant_id
        self.topics = topics
        self._send = send
        self._mirror: Mirror | None = None
        self._frames: deque[bytes] = deque()
        self._pending: dict[str, Record] = {}
        self._flush_task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether something is being sent, or waits for it."""
        return self._flush_task is not None

    @property
    def place(self) -> Place:
        """Up to where this connection has everything: below the lowest offset that still waits for it."""
        if self._mirror is None:
            raise RuntimeError("The subscriber has not joined a feed yet.")
        offset = self._mirror.offset
        if self._pending:
            offset = min(offset, min(record.offset for record in self._pending.values()) - 1)
        return Place(self._mirror.epoch, offset, self.topics.hash)

    def start(self, mirror: Mirror, frame: bytes) -> None:
        """Begins, or begins anew after a change of epoch, with a snapshot; what waited is in it."""
        self._mirror = mirror
        self._pending.clear()
        self.queue(frame)

    def queue(self, frame: bytes) -> None:
        """Sends a frame after those that were queued before it."""
        if self._closed:
            return
        self._frames.append(frame)
        if self._flush_task is None:
            self._flush_task = asyncio.get_running_loop().create_task(self._flush())

    def deliver(self, frame: bytes, records: Sequence[Record]) -> None:
        """Sends records: as the ready-made frame if the connection is free, else later, the newest of each topic."""
        if not self.busy:
            self.queue(frame)
            return
        for record in records:
            self._pending.pop(record.topic, None)  # to the end: what waits stands in the order of offsets
            self._pending[record.topic] = record

    def close(self) -> None:
        """Sends nothing more."""
        self._closed = True
        self._frames.clear()
        self._pending.clear()
        if self._flush_task is not None:
            self._flush_task.cancel()

    async def drained(self) -> None:
        """Waits until everything queued so far has been handed to the server."""
        while self._flush_task is not None:
            await asyncio.wait([self._flush_task])

    async def _flush(self) -> None:
        try:
            while self._frames or self._pending:
                await self._send(self._frames.popleft() if self._frames else self._take_pending())
        except Exception as problem:  # noqa: BLE001 - servers raise what they like when the peer is gone
            self._closed = True
            log.debug("send_failed", error=str(problem))
        finally:
            self._flush_task = None

    def _take_pending(self) -> bytes:
        bodies = [record.body for record in self._pending.values()]
        self._pending.clear()
        return frames.records(self.place, bodies)
