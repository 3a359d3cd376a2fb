"""One connection in the hub: what still has to be sent to it, and the place up to which it has everything.

The hub never waits for a client. A busy subscriber keeps only the newest record of each topic, so its memory is bounded
by the number of topics. Clients do not need the older records. A terminal record is skipped only if a record of a new
attempt has replaced it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol

import structlog

from realtime.feed.unreceived_bytes import InFlight
from realtime.protocol import frames
from realtime.protocol.frames import Frame
from realtime.protocol.place import Place
from realtime.records.metrics import counts
from realtime.records.record import Record
from realtime.records.topics import TopicFilter
from realtime.settings import Settings

log = structlog.get_logger(__name__)

MAX_PENDING_TOPICS = 5_000
MAX_QUEUED_BYTES = 1_048_576
"""How many bytes may be queued for a client that does not read. Snapshots do not count, because a client cannot make
the server queue many of them."""


class Transport(Protocol):
    """Sends frames: over a WebSocket, or as Server-Sent Events."""

    waits_for_client: bool
    """Whether `send` shows that the server's write buffer is above its high-water mark (64 KiB on uvicorn)."""

    def send(self, frame: Frame) -> Awaitable[None] | None:
        """Pass the frame to the server.

        Return None if the server took it and the client may be sent more. Otherwise return an awaitable that ends when
        the client may be sent more. Raise an exception, here or in the awaitable, if the peer is gone.
        """


class Position(Protocol):
    """The part of a feed that a subscriber uses."""

    @property
    def position(self) -> tuple[str, int] | None:
        """Epoch and offset up to which all records were passed to every subscriber; None while an epoch begins."""


class Subscriber:
    """One connection. Queued frames are sent in their order, and after them the waiting records, ordered by offset."""

    __slots__ = (
        "_closed", "_delivered", "_feed", "_finished", "_frames", "_in_flight", "_in_snapshot", "_name", "_on_slow",
        "_pending", "_queued_bytes", "_slow_seconds", "_slow_timer", "_task", "_transport", "first_topics",
        "tenant_id", "topics",
    )  # fmt: skip

    def __init__(
        self,
        tenant_id: int,
        topics: TopicFilter,
        transport: Transport,
        on_slow: Callable[[], None] = lambda: None,
        slow_seconds: float = Settings.slow_seconds,
        name: str = "",
    ) -> None:
        """`on_slow` is called when a busy client takes nothing for `slow_seconds`, or when too much waits for it.

        `name` is the name of the connection in the log.
        """
        self.tenant_id = tenant_id
        self.topics = self.first_topics = topics
        self._transport = transport
        self._on_slow, self._slow_seconds = on_slow, slow_seconds
        self._name = name
        self._feed: Position | None = None
        self._delivered = ("", 0)
        self._frames: list[Frame] = []  # an empty deque would need 600 bytes more
        self._queued_bytes = 0
        self._pending: dict[str, Record] = {}
        self._task: asyncio.Task[None] | None = None
        self._slow_timer: asyncio.TimerHandle | None = None
        self._closed = self._finished = False
        self._in_snapshot = False
        """Whether the latest snapshot has been sent only in part."""
        self._in_flight = None if transport.waits_for_client else InFlight()

    @property
    def busy(self) -> bool:
        """Whether a part of what was sent still waits for the client to read it."""
        return self._task is not None or self._unanswered

    @property
    def _unanswered(self) -> bool:
        return self._in_flight is not None and self._in_flight.too_many

    @property
    def place(self) -> Place:
        """The place up to which this connection has everything. The records that still wait are above this place."""
        if self._feed is None:
            raise RuntimeError("The subscriber has not joined a feed yet.")
        epoch, offset = self._feed.position or self._delivered
        if epoch == self._delivered[0]:
            offset = max(offset, self._delivered[1])
        if self._pending:
            offset = min(offset, min(record.offset for record in self._pending.values()) - 1)
        return Place(epoch, offset, self.topics.hash)

    def start(self, feed: Position, snapshot: Sequence[Frame]) -> None:
        """Send the snapshot for a new connection or epoch. Drop the waiting records: the snapshot contains them."""
        self._feed = feed
        self._pending.clear()
        self._drop_snapshots()
        self._note(snapshot[-1])
        for frame in snapshot:
            self.queue(frame)

    @property
    def ended(self) -> bool:
        """Whether no further frame may be queued: the peer is gone, or the last frame was queued."""
        return self._closed or self._finished

    def finish(self, frame: Frame) -> None:
        """Queue a last frame. Records that wait are dropped."""
        self._pending.clear()
        self.queue(frame)
        self._finished = True

    def narrow(self, topics: TopicFilter) -> None:
        """Watch these topics from now on. Waiting records of other topics are dropped."""
        self.topics = topics
        self._pending = {topic: record for topic, record in self._pending.items() if topics.matches(topic)}

    def queue(self, frame: Frame) -> None:
        """Send a frame after those that were queued before it."""
        if self.ended:
            return
        if not self.busy:
            self._send(frame)
            return
        if frame.kind != "snapshot":
            if self._queued_bytes and self._queued_bytes + len(frame.body) > MAX_QUEUED_BYTES:
                self._give_up()
                return
            self._queued_bytes += len(frame.body)  # one frame always fits, however long it is
        self._frames.append(frame)

    def deliver(self, frame: Frame, records: Sequence[Record]) -> None:
        """Send records: in this frame if the connection is not busy, else later, and only the newest of each topic."""
        if self.ended or self._has(frame):
            return
        if records[0].offset <= self._delivered[1]:
            frame, records = self._without_delivered(frame, records)
        self._note(frame)
        if not records:
            return
        if not self.busy:
            self._send(frame)
            counts.delivered += len(records)
            return
        for record in records:
            if self._pending.pop(record.topic, None) is not None:
                counts.conflated += 1
            self._pending[record.topic] = record  # at the end, so that the records stay ordered by offset
        if len(self._pending) > MAX_PENDING_TOPICS:
            self._give_up()

    def note_sent(self, epoch: str, offset: int) -> None:
        """Record that everything up to this offset was delivered to this subscriber."""
        self._delivered = epoch, offset

    def ping(self) -> None:
        """Send a ping with the client's place, unless the connection is busy. The client has everything up to there."""
        if not self.busy:
            self.queue(frames.ping(self.place))

    def answered(self) -> None:
        """Record that the client answered the oldest ping: everything that was sent before this ping has arrived."""
        if self._in_flight is not None and self._in_flight.note_answer():
            self._go_on()

    def close(self) -> None:
        """Stop sending, and drop everything that is queued."""
        self._closed = True
        self._frames.clear()
        self._pending.clear()
        self._cancel_slow_timer()
        # Forget the task here: a task that is cancelled before it starts never reaches its own `finally`.
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def drained(self) -> None:
        """Wait until everything that is queued was passed to the server."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def _has(self, frame: Frame) -> bool:
        """Return whether everything in this frame was already delivered to this subscriber."""
        epoch, offset = self._delivered
        return frame.place is not None and frame.place.epoch == epoch and frame.place.offset <= offset

    def _without_delivered(self, frame: Frame, records: Sequence[Record]) -> tuple[Frame, Sequence[Record]]:
        """Return the records that were not delivered to this subscriber yet, and a frame with only them."""
        epoch, offset = self._delivered
        if frame.place is None or frame.place.epoch != epoch:
            return frame, records
        newer = [record for record in records if record.offset > offset]
        return frames.records(frame.place, [record.body for record in newer]), newer

    def _drop_snapshots(self) -> None:
        """Drop queued snapshots, which a newer one replaces. The rest of a partly sent snapshot is kept."""
        kept: list[Frame] = []
        begun = self._in_snapshot
        for frame in self._frames:
            if frame.kind != "snapshot" or begun:
                kept.append(frame)
            if frame.kind == "snapshot" and frame.place is not None:
                begun = False
        self._frames = kept

    def _note(self, frame: Frame) -> None:
        if frame.place is not None:
            self._delivered = frame.place.epoch, frame.place.offset

    def _send(self, frame: Frame) -> None:
        """Send a frame. If the server does not take it at once, start a task that waits for the server."""
        try:
            rest = self._transport.send(frame)
        except Exception as problem:  # noqa: BLE001 - servers raise various errors if the peer is gone
            self._lose(problem)
            return
        self._leave(frame)
        if rest is not None:
            self._set_slow_timer()
            self._task = asyncio.get_running_loop().create_task(self._flush(rest))
        else:
            self._ask_for_answer()

    def _leave(self, frame: Frame) -> None:
        """Record that this frame is passed to the server."""
        if frame.kind == "snapshot":
            self._in_snapshot = frame.place is None
        if self._in_flight is not None:
            self._in_flight.note_sent(frame)

    def _ask_for_answer(self) -> None:
        """Send a ping if the transport does not wait for the client, and much was sent since the last ping.

        On such a transport, only the client's pong shows how much has arrived.
        """
        sent = self._in_flight
        if sent is not None and sent.ping_due and sent.place is not None and not self._closed:
            self._set_slow_timer()
            self._send(frames.ping(sent.place))  # the place of what was sent, without what is still queued

    def _go_on(self) -> None:
        """Send what is queued, as far as the client takes it."""
        if self.busy:
            return
        self._cancel_slow_timer()
        while not self.busy and not self._closed and (self._frames or self._pending):
            self._send(self._take())

    async def _flush(self, rest: Awaitable[None]) -> None:
        try:
            await rest
            self._set_slow_timer()  # start the timer again, because something was sent
            while self._frames or self._pending:
                frame = self._take()
                self._leave(frame)
                if (waits := self._transport.send(frame)) is not None:
                    await waits
                self._set_slow_timer()
        except Exception as problem:  # noqa: BLE001 - servers raise various errors if the peer is gone
            self._lose(problem)
        finally:
            self._task = None
            if not self._unanswered:
                self._cancel_slow_timer()
        self._ask_for_answer()

    def _take(self) -> Frame:
        if self._frames:
            frame = self._frames.pop(0)
            if frame.kind != "snapshot":
                self._queued_bytes -= len(frame.body)
            return frame
        bodies = list(self._take_records())
        counts.delivered += len(bodies)
        return frames.records(self.place, bodies)

    def _take_records(self) -> Iterator[bytes]:
        """Remove and yield the oldest waiting records, up to about `MAX_SNAPSHOT_BYTES`.

        The size is limited because the caller copies these records into a frame.
        """
        size = 0
        while self._pending and size < frames.MAX_SNAPSHOT_BYTES:
            body = self._pending.pop(next(iter(self._pending))).body
            size += len(body)
            yield body

    def _lose(self, problem: Exception) -> None:
        self._closed = True
        log.debug("send_failed", tenant=self.tenant_id, connection=self._name, error=str(problem))

    def _give_up(self) -> None:
        """Report that the client is too slow, and drop its waiting records."""
        self._pending.clear()
        self._cancel_slow_timer()
        self._on_slow()

    def _set_slow_timer(self) -> None:
        self._cancel_slow_timer()
        self._slow_timer = asyncio.get_running_loop().call_later(self._slow_seconds, self._give_up)

    def _cancel_slow_timer(self) -> None:
        if self._slow_timer is not None:
            self._slow_timer.cancel()
            self._slow_timer = None
