"""One tenant's feed as this process follows it: its mirror, and the reads that keep the mirror complete.

`realtime.feed.broadcast` sends the changes of the mirror to the subscribers.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import structlog
from redis.exceptions import RedisError

from realtime.feed.broadcast import Broadcast
from realtime.feed.mirror import Message, Mirror, Received
from realtime.feed.reader import FeedReader
from realtime.feed.rounds import Rounds
from realtime.protocol.place import Place
from realtime.records.metrics import counts
from realtime.records.record import Record
from realtime.records.scripts import Limits, Snapshot

log = structlog.get_logger(__name__)

MAX_BUFFERED = 10_000
"""How many messages are kept while the feed is read. Further messages are dropped, and the feed is read again."""
RETRY_SECONDS = (0.05, 2.0)
MAX_EPOCHS_SEEN = 100
MAX_LATE_READS = 3
"""How many times, at most, a whole feed is read again because clients named more topics during the read."""


class RecordCollector:
    """The newest records of some topics that are read by name while the feed changes."""

    def __init__(self, mirror: Mirror, topics: Iterable[str]) -> None:
        self._topics = frozenset(topics)
        self.since = mirror.offset
        self.records: dict[str, Record] = {}
        self.reset = False
        """Whether a read of the whole feed has replaced the mirror since this collector was made.

        Changes shortly before that read may be missing in `records`.
        """
        self.add(record for topic in self._topics if (record := mirror.get(topic)) is not None)

    def add(self, records: Iterable[Record]) -> None:
        """Keep the newest record of each topic."""
        for record in records:
            if record.topic in self._topics:
                held = self.records.get(record.topic)
                if held is None or record.offset > held.offset:
                    self.records[record.topic] = record


class FollowedFeed:
    """One tenant's feed, followed from the first subscriber until some time after the last one has left."""

    def __init__(self, tenant_id: int, reader: FeedReader, limits: Limits, rounds: Rounds) -> None:
        self.tenant_id = tenant_id
        self.followed_since = asyncio.get_running_loop().time()
        self.mirror = Mirror(limits)
        self.broadcast = Broadcast(self.mirror, rounds)
        self.loaded = asyncio.Event()
        self.in_doubt_since: float | None = None
        """When this feed was last known to be current, by the loop's clock; None while it is current."""
        self._confirmed = False
        self._reader = reader
        self._buffer: list[Message] = []
        self._overflown = False
        self._buffered_before_read = 0
        self._read_task: asyncio.Task[None] | None = None
        self._read_wanted = False
        self._waiting: list[asyncio.Future[None]] = []
        self._epochs_seen: set[str] = set()
        self._joining = 0
        self._collectors: set[RecordCollector] = set()
        self._drop_timer: asyncio.TimerHandle | None = None

    @property
    def empty(self) -> bool:
        """Whether the feed has no subscribers, and none is joining."""
        return not self.broadcast.has_subscribers and not self._joining

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep following the feed until the block ends, because a client is joining."""
        self._joining += 1
        try:
            yield
        finally:
            self._joining -= 1

    def drop_after(self, seconds: float, drop: Callable[["FollowedFeed"], None]) -> None:
        """Call `drop` after this many seconds, unless `cancel_drop` is called before."""
        self.cancel_drop()
        self._drop_timer = asyncio.get_running_loop().call_later(seconds, drop, self)

    def cancel_drop(self) -> None:
        """Cancel the pending drop of this feed."""
        if self._drop_timer is not None:
            self._drop_timer.cancel()
            self._drop_timer = None

    @contextmanager
    def collecting(self, topics: Iterable[str]) -> Iterator[RecordCollector]:
        """Collect new records of these topics until the block ends, even if topics leave the mirror in that time."""
        collector = RecordCollector(self.mirror, topics)
        self._collectors.add(collector)
        try:
            yield collector
        finally:
            self._collectors.remove(collector)

    def close(self) -> None:
        if self._read_task is not None:
            self._read_task.cancel()
        self.broadcast.close()
        self.cancel_drop()

    # Whether the feed is current.

    def confirm(self) -> None:
        """Request a read, after which the feed is current. Call this when Redis has confirmed the subscription."""
        self._confirmed = True
        self.request_read("confirmed")

    def lose(self, since: float | None) -> None:
        """Put the feed in doubt, because the connection to Redis was lost and messages may be missed.

        `since` is when Redis stopped answering, by the loop's clock. None means now.
        """
        self._confirmed = False
        self._doubt()
        if since is not None:
            self.in_doubt_since = min(since, self.in_doubt_since or since)

    def tell_delay(self, seconds: float | None) -> None:
        """Store how long the feed has been delayed (None: not delayed). Tell clients when a delay begins or ends."""
        self.broadcast.tell_delay(seconds)

    def _doubt(self) -> None:
        if self.in_doubt_since is None:
            self.in_doubt_since = asyncio.get_running_loop().time()

    # New clients.

    async def catch_up_with(self, since: Place) -> None:
        """Read the feed if a client may be ahead of this mirror.

        That is so if the client has a higher offset in the mirror's epoch, or an epoch that this process does not know.
        """
        if self._may_be_behind(since):
            await self.read_again("client_ahead")
            # If the feed now has another epoch than `since`, the epoch of `since` is over. Clients that still have that
            # epoch cause no more reads.
            self._leave_behind({since.epoch})

    def _may_be_behind(self, since: Place) -> bool:
        if since.epoch == self.mirror.epoch:
            return since.offset > self.mirror.offset
        return since.epoch not in self._epochs_seen

    # Messages and reads.

    def receive(self, batch: Iterable[Message]) -> None:
        """Apply messages in order, and fan them out. A gap between messages, or a new epoch, causes a read."""
        applied: list[Record] = []
        for message in batch:
            received = self.mirror.receive(message) if self.mirror.loaded else Received.GAP
            if received is Received.APPLIED:
                applied.append(message.record)
            elif received is not Received.OLD:
                self._keep_for_later(message)
        for collector in self._collectors:
            collector.add(applied)
        self.broadcast.send(applied)

    def request_read(self, cause: str) -> None:
        """Begin a read of the feed. Requests that are made while a read is running share the next read."""
        self._read_wanted = True
        self._doubt()
        if self._read_task is None:
            counts.reads[cause] += 1
            log.debug("feed_read", tenant=self.tenant_id, cause=cause)
            self._read_task = asyncio.get_running_loop().create_task(self._read())

    async def read_again(self, cause: str) -> None:
        """Request a read, and wait until it has been applied. A read that is already running does not count."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self.request_read(cause)
        await done

    def _keep_for_later(self, message: Message) -> None:
        if message.epoch in self._epochs_seen:
            return
        if len(self._buffer) < MAX_BUFFERED:
            self._buffer.append(message)
        else:
            self._overflown = True
        # Before the first load nothing is requested here: the confirmation of the subscription causes the first read.
        if self.mirror.loaded and self._read_task is None:
            self.request_read("gap" if message.epoch == self.mirror.epoch else "epoch")

    async def _read(self) -> None:
        try:
            while self._read_wanted:
                self._read_wanted = False
                waiting, self._waiting = self._waiting, []
                self._load(await self._fetch())
                for done in waiting:
                    if not done.done():
                        done.set_result(None)
            if self._confirmed:
                self.in_doubt_since = None
        finally:
            self._read_task = None

    async def _fetch(self) -> Snapshot:
        """Read what is new in the feed. Retry until a read succeeds.

        If the feed does not continue from the mirror, or the mirror holds records that it may drop, read the whole feed
        instead, and also the topics of `_topics_besides`. If these become more meanwhile, read again, at most
        `MAX_LATE_READS` times.
        """
        delay = RETRY_SECONDS[0]
        late_reads = 0
        while True:
            self._buffered_before_read = len(self._buffer)
            topics = self._topics_besides()
            try:
                epoch = "" if self.mirror.has_surplus else self.mirror.epoch
                snapshot = await self._reader.read(self.tenant_id, epoch, self.mirror.offset, sorted(topics))
                late = self._topics_besides() - topics - {record.topic for record in snapshot.records}
                if not snapshot.whole or not late or late_reads == MAX_LATE_READS:
                    return snapshot
                late_reads += 1
                continue
            except (RedisError, OSError) as problem:
                log.debug("feed_read_failed", tenant=self.tenant_id, error=str(problem))
            except Exception:
                # An unexpected answer must not end the feed: log it and read again.
                log.exception("feed_read_failed", tenant=self.tenant_id)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            delay = min(2 * delay, RETRY_SECONDS[1])

    def _topics_besides(self) -> set[str]:
        """Return the topics that clients named, and those whose end the mirror or a client may have missed.

        They are read by name, because their records may no longer be among those that a new client is shown.
        """
        return self.broadcast.named_topics() | self.mirror.unfinished()

    def _load(self, snapshot: Snapshot) -> None:
        """Apply a read and then the messages that arrived during the read. Send the changes to the clients."""
        old_epoch = self.mirror.epoch
        change = self.mirror.load(snapshot)
        # A message with another epoch than the snapshot belongs to an older epoch if it arrived before the read began.
        # If it arrived later, it may belong to a newer epoch, and is kept for the next read.
        older = {message.epoch for message in self._buffer[: self._buffered_before_read]}
        self._leave_behind({old_epoch, *older} if old_epoch else older)
        self.loaded.set()
        for collector in self._collectors:
            collector.reset |= change.reset
            collector.add(change.records)
        if change.reset:
            self.broadcast.start_epoch(snapshot.named_records)
        else:
            self.broadcast.send(change.records)
        buffered, self._buffer = self._buffer, []
        self.receive(buffered)
        if self._buffer or self._overflown or self.mirror.has_surplus:
            # Messages are still missing, a newer epoch has begun, or the mirror holds too much.
            self._overflown, self._read_wanted = False, True

    def _leave_behind(self, epochs: set[str]) -> None:
        """Remember that these epochs are over, except for the epoch of the mirror."""
        if len(self._epochs_seen) >= MAX_EPOCHS_SEEN:
            self._epochs_seen.clear()
        self._epochs_seen |= epochs
        self._epochs_seen.discard(self.mirror.epoch)
