"""One tenant's feed as this process follows it: the mirror, the reads that keep it true, and who is told."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import structlog
from redis.exceptions import RedisError

from realtime.feed.audience import Audiences
from realtime.feed.fan_out import FanOut
from realtime.feed.mirror import Message, Mirror, Received
from realtime.feed.reader import FeedReader
from realtime.feed.subscriber import Subscriber
from realtime.protocol import frames
from realtime.protocol.frames import Frame
from realtime.protocol.place import Place
from realtime.protocol.rate_limit import TokenBucket
from realtime.records.metrics import LATENCY, counts
from realtime.records.record import Record, unknown_record
from realtime.records.scripts import Limits, Snapshot
from realtime.records.topics import TopicFilter
from realtime.redis.clock import clock

log = structlog.get_logger(__name__)

MAX_BUFFERED = 10_000
"""Messages kept while the feed is read; beyond that they are dropped, and the feed is read once more."""
RETRY_SECONDS = (0.05, 2.0)
MAX_EPOCHS_SEEN = 100
MAX_LATE_READS = 3
"""How often a whole feed is read once more for topics that nobody had named before."""
MAX_SHARED_SNAPSHOTS = 16
SNAPSHOT_COST = 16
"""Writing a snapshot holds the loop as long as telling so many subscribers something."""
CALM_RECORDS_A_SECOND = 50
"""Up to so many leave as they come; what is above leaves in ticks, so that fewer writes carry it."""


class Noted:
    """The newest records of some topics that are read by name, while the feed goes on."""

    def __init__(self, mirror: Mirror, topics: Iterable[str]) -> None:
        self._topics = frozenset(topics)
        self.since = mirror.offset
        self.records: dict[str, Record] = {}
        self.reset = False
        """Whether the feed was read as a whole meanwhile: what changed just before is not known then."""
        self.add(record for topic in self._topics if (record := mirror.get(topic)) is not None)

    def add(self, records: Iterable[Record]) -> None:
        """Keep the newer one of each topic."""
        for record in records:
            if record.topic in self._topics:
                held = self.records.get(record.topic)
                if held is None or record.offset > held.offset:
                    self.records[record.topic] = record


class FollowedFeed:
    """Follows from the first subscriber on until some time after the last one left."""

    def __init__(self, tenant_id: int, reader: FeedReader, limits: Limits, flush_seconds: float) -> None:
        self.tenant_id = tenant_id
        self.followed_since = asyncio.get_running_loop().time()
        self.mirror = Mirror(limits)
        self.loaded = asyncio.Event()
        self.in_doubt_since: float | None = None
        """When this feed was last known to be current, by the loop's clock; None while it is."""
        self.delayed_seconds: float | None = None
        """How long the feed has been delayed, as its clients were told; None while it is current."""
        self._confirmed = False
        self._reader = reader
        self._audiences = Audiences()
        self._buffer: list[Message] = []
        self._overflown = False
        self._buffered_before_read = 0
        self._read_task: asyncio.Task[None] | None = None
        self._read_wanted = False
        self._waiting: list[asyncio.Future[None]] = []
        self._epochs_seen: set[str] = set()
        self._joining = 0
        self._fan_out = FanOut(self._flush_if_due)
        self._elsewhere: dict[str, Record] = {}
        self._noted: set[Noted] = set()
        self._told = 0
        self._unsent: dict[str, Record] = {}
        self._calm = TokenBucket(CALM_RECORDS_A_SECOND, CALM_RECORDS_A_SECOND)
        self._flush_seconds = flush_seconds
        self._flush_timer: asyncio.TimerHandle | None = None
        self._due = False
        """What waits is due, and leaves once everybody was told what came before."""
        self._drop_timer: asyncio.TimerHandle | None = None
        self._snapshots: dict[TopicFilter, tuple[str, int, list[Frame]]] = {}

    @property
    def empty(self) -> bool:
        """Whether nobody watches, nor is about to."""
        return not self._audiences and not self._joining

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps the feed followed while somebody is about to join."""
        self._joining += 1
        try:
            yield
        finally:
            self._joining -= 1

    def drop_after(self, seconds: float, drop: Callable[["FollowedFeed"], None]) -> None:
        """Nobody watches any more: calls `drop` after so long, unless somebody comes before."""
        self.stay()
        self._drop_timer = asyncio.get_running_loop().call_later(seconds, drop, self)

    def stay(self) -> None:
        """Somebody has come."""
        if self._drop_timer is not None:
            self._drop_timer.cancel()
            self._drop_timer = None

    @contextmanager
    def noting(self, topics: Iterable[str]) -> Iterator[Noted]:
        """Keeps what is told of these topics until the block ends, also of those that leave the mirror meanwhile."""
        noted = Noted(self.mirror, topics)
        self._noted.add(noted)
        try:
            yield noted
        finally:
            self._noted.remove(noted)

    @property
    def position(self) -> tuple[str, int] | None:
        """Epoch and offset up to which every subscriber was told; None while some are still being told."""
        return None if self._fan_out.busy else (self.mirror.epoch, self._told)

    def add(self, subscriber: Subscriber) -> None:
        self.flush()
        self._audiences.add(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        self._audiences.remove(subscriber)
        self._fan_out.forget(subscriber)

    def move(self, subscriber: Subscriber, topics: TopicFilter) -> None:
        """Changes what a subscriber watches."""
        self.flush()
        self._fan_out.settle(subscriber)
        self._audiences.remove(subscriber)
        subscriber.narrow(topics)
        self._audiences.add(subscriber)

    def close(self) -> None:
        if self._read_task is not None:
            self._read_task.cancel()
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        self.stay()

    # Whether the feed is current.

    def confirm(self) -> None:
        """Redis has confirmed the subscription: after one read the feed is current again."""
        self._confirmed = True
        self.request_read("confirmed")

    def lose(self, since: float | None) -> None:
        """The link to Redis is gone, or has answered nothing since then: what is published is not heard of."""
        self._confirmed = False
        self._doubt()
        if since is not None:
            self.in_doubt_since = min(since, self.in_doubt_since or since)

    def tell_delay(self, seconds: float | None) -> None:
        """Take note of how long the feed has been delayed (None: it is current), and tell the clients of a change."""
        changed = (seconds is None) != (self.delayed_seconds is None)
        self.delayed_seconds = seconds
        if not changed:
            return
        deliver = Subscriber.ping if seconds is None else partial(Subscriber.queue, frame=frames.delayed(seconds))
        for audience in self._audiences.all():
            self._fan_out.tell(deliver, audience.subscribers)

    def _doubt(self) -> None:
        if self.in_doubt_since is None:
            self.in_doubt_since = asyncio.get_running_loop().time()

    # What a client is told when it comes.

    async def catch_up_with(self, since: Place) -> None:
        """Reads the feed if the client has seen more than this mirror: in a faster process, or of a newer Redis."""
        if self._may_be_behind(since):
            await self.read_again("client_ahead")
            # What Redis does not have now it had before: the next thousand clients of that epoch cost no read.
            self._leave_behind({since.epoch})

    def _may_be_behind(self, since: Place) -> bool:
        if since.epoch == self.mirror.epoch:
            return since.offset > self.mirror.offset
        return since.epoch not in self._epochs_seen

    def snapshot_frames(
        self, topics: TopicFilter, elsewhere: Mapping[str, Record], since: Place | None, max_bytes: int | None = None
    ) -> list[Frame]:
        """The first frames of a connection, or of a new epoch (`since` None)."""
        place = Place(self.mirror.epoch, self.mirror.offset, topics.hash)
        size = max_bytes or frames.MAX_SNAPSHOT_BYTES
        if (
            since is not None
            and since.filter_hash == topics.hash
            and self.mirror.continues_from(since.epoch, since.offset)
        ):
            changed = [record.body for record in self.mirror.above(since.offset) if topics.matches(record.topic)]
            return frames.snapshot(place, changed, recovered=True, max_bytes=size)
        if topics.named or elsewhere or max_bytes is not None:
            return frames.snapshot(place, self.bodies(topics, elsewhere), recovered=False, max_bytes=size)
        return self._shared_snapshot(place, topics)

    def _shared_snapshot(self, place: Place, topics: TopicFilter) -> list[Frame]:
        """Written once for all who come while nothing changes."""
        epoch, offset, made = self._snapshots.get(topics, ("", 0, []))
        if (epoch, offset) != (place.epoch, place.offset):
            made = frames.snapshot(place, self.bodies(topics, {}), recovered=False)
            if len(self._snapshots) >= MAX_SHARED_SNAPSHOTS:
                self._snapshots.clear()
            self._snapshots[topics] = place.epoch, place.offset, made
        return made

    def bodies(self, topics: TopicFilter, elsewhere: Mapping[str, Record]) -> list[bytes]:
        """The records of these topics, also from elsewhere; what was asked for by name and is nowhere, as unknown."""
        shown = [record.body for record in self.mirror.records() if topics.matches(record.topic)]
        others = {
            topic: record.body
            for topic, record in elsewhere.items()
            if topics.matches(topic) and self.mirror.get(topic) is None
        }
        missing = [topic for topic in topics.named if self.mirror.get(topic) is None and topic not in others]
        return [*shown, *others.values(), *map(unknown_record, missing)]

    # What Redis tells.

    def receive(self, batch: Iterable[Message]) -> None:
        """Applies messages in order and fans them out; one that does not fit leads to a read."""
        applied = 0
        ended = False
        for message in batch:
            received = self.mirror.receive(message) if self.mirror.loaded else Received.GAP
            if received is Received.APPLIED:
                applied += 1
                ended |= message.record.terminal
                self._unsent.pop(message.record.topic, None)
                self._unsent[message.record.topic] = message.record
                for noted in self._noted:
                    noted.add((message.record,))
            elif received is not Received.OLD:
                self._keep_for_later(message)
        if applied:
            self._flush_in_time(applied, ended=ended)

    def _flush_in_time(self, applied: int, *, ended: bool) -> None:
        """At once in a calm feed, and for an end; else with the next tick, the newest record of each topic.

        While clients are still being told what came before, nothing more is put behind that: what comes meanwhile
        leaves together when they were told. The more there is to tell, the fewer frames carry it: no backlog grows.
        """
        if self._calm.take(applied) or ended:
            self._flush_soon()
        elif self._flush_timer is None:
            self._flush_timer = asyncio.get_running_loop().call_later(self._flush_seconds, self._flush_soon)

    def _flush_soon(self) -> None:
        self._due = True
        if not self._fan_out.busy:
            self._flush_if_due()

    def _flush_if_due(self) -> None:
        if self._due:
            self.flush()

    def flush(self) -> None:
        """Fans out what has been applied."""
        self._due = False
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        unsent, self._unsent = self._unsent, {}
        self._tell(list(unsent.values()))

    def request_read(self, cause: str) -> None:
        """Reads the feed soon, once for all who ask meanwhile."""
        self._read_wanted = True
        self._doubt()
        if self._read_task is None:
            counts.reads[cause] += 1
            log.debug("feed_read", tenant=self.tenant_id, cause=cause)
            self._read_task = asyncio.get_running_loop().create_task(self._read())

    async def read_again(self, cause: str) -> None:
        """Returns after a read that began after this call."""
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
        # Before the first load the read is started by Redis' confirmation of the subscription.
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
        """The feed, and with a whole one what its clients have to be told besides. Tries until Redis answers."""
        delay = RETRY_SECONDS[0]
        late_reads = 0
        while True:
            self._buffered_before_read = len(self._buffer)
            topics = self._topics_besides()
            try:
                snapshot = await self._reader.read(
                    self.tenant_id, "" if self.mirror.astray else self.mirror.epoch, self.mirror.offset, sorted(topics)
                )
                late = self._topics_besides() - topics - {record.topic for record in snapshot.records}
                if not snapshot.whole or not late or late_reads == MAX_LATE_READS:
                    return snapshot
                late_reads += 1
                continue
            except (RedisError, OSError) as problem:
                log.debug("feed_read_failed", tenant=self.tenant_id, error=str(problem))
            except Exception:
                # An answer nobody thought of must not end the feed: it is asked again, and seen in the log.
                log.exception("feed_read_failed", tenant=self.tenant_id)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            delay = min(2 * delay, RETRY_SECONDS[1])

    def _topics_besides(self) -> set[str]:
        """What somebody has named, and what somebody saw unfinished: its end may have left the feed unheard."""
        return self._audiences.named() | self.mirror.unfinished()

    def _load(self, snapshot: Snapshot) -> None:
        """Applies what was read, then what arrived meanwhile, and tells the clients what changed."""
        old_epoch = self.mirror.epoch
        self.flush()
        change = self.mirror.load(snapshot)
        # A message that was there before the read began, and is not of the epoch that it found, is of an older one. One
        # that came since may be of a newer: it is kept for the next read.
        older = {message.epoch for message in self._buffer[: self._buffered_before_read]}
        self._leave_behind({old_epoch, *older} if old_epoch else older)
        self.loaded.set()
        for noted in self._noted:
            noted.reset |= change.reset
            noted.add(change.records)
        if change.reset:
            self._start_anew(snapshot.elsewhere)
        else:
            self._tell(change.records)
        buffered, self._buffer = self._buffer, []
        self.receive(buffered)
        if self._buffer or self._overflown or self.mirror.astray:
            # Something is still missing, or a newer epoch has begun, or too much is held.
            self._overflown, self._read_wanted = False, True

    def _leave_behind(self, epochs: set[str]) -> None:
        """Notes epochs that are over, as far as they are not the present one."""
        if len(self._epochs_seen) >= MAX_EPOCHS_SEEN:
            self._epochs_seen.clear()
        self._epochs_seen |= epochs
        self._epochs_seen.discard(self.mirror.epoch)

    def _start_anew(self, elsewhere: Mapping[str, Record]) -> None:
        """Everybody gets a snapshot of the new epoch; what some were still to be told of the old one is void."""
        self._fan_out.clear()
        self._told = self.mirror.offset
        self._snapshots.clear()
        self._elsewhere = dict(elsewhere)
        for audience in self._audiences.all():
            self._fan_out.tell(_StartAnew(self, audience.topics, self._elsewhere), audience.subscribers)

    def _tell(self, records: list[Record]) -> None:
        self._told = self.mirror.offset
        if not records:
            return
        self._snapshots.clear()
        self._keep_elsewhere(records)
        LATENCY.observe(max(0.0, clock.now() - records[0].published_at))
        for audience, told in self._audiences.concerned(records).items():
            place = Place(self.mirror.epoch, self.mirror.offset, audience.topics.hash)
            frame = frames.records(place, [record.body for record in told])
            self._fan_out.tell(partial(Subscriber.deliver, frame=frame, records=told), audience.subscribers)

    def _keep_elsewhere(self, records: list[Record]) -> None:
        """A snapshot that is still to be made says what clients wait for, even if the mirror lets go of it before."""
        if self._fan_out.busy:
            self._elsewhere.update(
                (record.topic, record)
                for record in records
                if record.topic in self._elsewhere or self._audiences.is_named(record.topic)
            )
        else:
            self._elsewhere = {}


class _StartAnew:
    """Gives each of an audience the feed's snapshot, made when its turn comes: a thousand audiences take a while.

    `elsewhere` grows with what is told meanwhile.
    """

    def __init__(self, feed: FollowedFeed, topics: TopicFilter, elsewhere: Mapping[str, Record]) -> None:
        self._feed, self._topics, self._elsewhere = feed, topics, elsewhere
        self._made: list[Frame] = []

    def __call__(self, subscriber: Subscriber) -> int:
        """What it cost, in subscribers."""
        cost = 1
        if not self._made:
            self._feed.flush()
            self._made = self._feed.snapshot_frames(self._topics, self._elsewhere, None)
            cost = SNAPSHOT_COST
        subscriber.start(self._feed, self._made)
        return cost
