"""Sends what changes in one tenant's feed to the subscribers of this process, and writes their snapshots."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from realtime.feed.audience import Audiences
from realtime.feed.fan_out import Deliver, FanOut
from realtime.feed.mirror import Mirror
from realtime.feed.rounds import Rounds
from realtime.feed.subscriber import Subscriber
from realtime.protocol import frames
from realtime.protocol.frames import Frame
from realtime.protocol.place import Place
from realtime.records.metrics import LATENCY
from realtime.records.record import Record, unknown_record
from realtime.records.topics import TopicFilter
from realtime.redis.clock import clock

MAX_SHARED_SNAPSHOTS = 16
SNAPSHOT_COST = 16
"""Writing a snapshot blocks the event loop for as long as delivering a frame to this many subscribers."""


class Broadcast:
    """The subscribers of one feed, and the records and snapshots that are still to be sent to them.

    A broadcast reads the mirror of the feed, and never changes the mirror.
    """

    def __init__(self, mirror: Mirror, rounds: Rounds) -> None:
        """`rounds` says when it is this feed's turn to send."""
        self.delayed_seconds: float | None = None
        """For how many seconds the feed has been delayed, when last checked; None while it is current."""
        self._mirror = mirror
        self._audiences = Audiences()
        self._fan_out = FanOut(rounds, self._begin_pass)
        self._unsent: dict[str, Record] = {}
        """By topic, the newest record for which no pass has begun yet, ordered by offset."""
        self._pass: tuple[str, int] | None = None
        """Epoch and offset at which the latest pass began. After it every subscriber has the records up to there."""
        self._before_pass: tuple[str, int] | None = None
        """Epoch and offset at which the pass before that one began; None if the latest pass begins an epoch."""
        self._named_records: dict[str, Record] = {}
        """By topic, records for the snapshots of a new epoch. They are used for named topics that the mirror lacks."""
        self._snapshots: dict[TopicFilter, tuple[str, int, list[Frame]]] = {}

    @property
    def has_subscribers(self) -> bool:
        return bool(self._audiences)

    @property
    def position(self) -> tuple[str, int] | None:
        """Epoch and offset up to which every subscriber was sent the records; None while an epoch begins."""
        if self._fan_out.busy:
            return self._before_pass
        return self._pass if self._unsent else (self._mirror.epoch, self._mirror.offset)

    def named_topics(self) -> set[str]:
        """Return the topics that at least one subscriber asked for by name."""
        return self._audiences.named()

    def is_named(self, topic: str) -> bool:
        """Return whether at least one subscriber asked for this topic by name."""
        return self._audiences.is_named(topic)

    def close(self) -> None:
        """Send nothing more."""
        self._fan_out.close()

    # Subscribers.

    def add(self, subscriber: Subscriber) -> None:
        self._audiences.add(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        self._audiences.remove(subscriber)
        self._fan_out.forget(subscriber)

    def move(self, subscriber: Subscriber, topics: TopicFilter) -> None:
        """Change what a subscriber watches. First send it the records that it has not been sent yet."""
        self._fan_out.catch_up(subscriber)
        told = [record for record in self._unsent.values() if subscriber.topics.matches(record.topic)]
        if told:
            subscriber.deliver(_frame(self._place(subscriber.topics), told), told)
        subscriber.note_sent(self._mirror.epoch, self._mirror.offset)
        self._audiences.remove(subscriber)
        subscriber.narrow(topics)
        self._audiences.add(subscriber)

    def tell_delay(self, seconds: float | None) -> None:
        """Store how long the feed has been delayed (None: not delayed). Tell clients when a delay begins or ends."""
        changed = (seconds is None) != (self.delayed_seconds is None)
        self.delayed_seconds = seconds
        if not changed:
            return
        deliver = _ping if seconds is None else _Queued(frames.delayed(seconds))
        for audience in list(self._audiences.all()):
            self._fan_out.queue(deliver, audience.subscribers)

    # Snapshots.

    def snapshot_frames(
        self,
        topics: TopicFilter,
        named_records: Mapping[str, Record],
        since: Place | None,
        max_bytes: int | None = None,
    ) -> list[Frame]:
        """Return the frames of the snapshot with which a connection or a new epoch begins.

        If `since` is a place with the same topics, and the mirror continues from it, the frames contain what changed
        after that place. In all other cases they contain everything that is watched. `named_records` has, by topic, the
        records of named topics, in case the mirror does not hold them. `max_bytes` limits the size of a frame.
        """
        place = self._place(topics)
        size = max_bytes or frames.MAX_SNAPSHOT_BYTES
        if (
            since is not None
            and since.filter_hash == topics.hash
            and self._mirror.continues_from(since.epoch, since.offset)
        ):
            changed = [record.body for record in self._mirror.above(since.offset) if topics.matches(record.topic)]
            return frames.snapshot(place, changed, recovered=True, max_bytes=size)
        if topics.named or named_records or max_bytes is not None:
            return frames.snapshot(place, self.bodies(topics, named_records), recovered=False, max_bytes=size)
        return self._shared_snapshot(place, topics)

    def bodies(self, topics: TopicFilter, named_records: Mapping[str, Record]) -> list[bytes]:
        """Return the JSON of the records of these topics, from the mirror or else from `named_records`.

        For a topic that was asked for by name and is in neither, the JSON says that it is unknown.
        """
        shown = [record.body for record in self._mirror.records() if topics.matches(record.topic)]
        others = {
            topic: record.body
            for topic, record in named_records.items()
            if topics.matches(topic) and self._mirror.get(topic) is None
        }
        missing = [topic for topic in topics.named if self._mirror.get(topic) is None and topic not in others]
        return [*shown, *others.values(), *map(unknown_record, missing)]

    def _shared_snapshot(self, place: Place, topics: TopicFilter) -> list[Frame]:
        """Return the whole snapshot. It is written once for all clients that join while nothing changes."""
        epoch, offset, made = self._snapshots.get(topics, ("", 0, []))
        if (epoch, offset) != (place.epoch, place.offset):
            made = frames.snapshot(place, self.bodies(topics, {}), recovered=False)
            if len(self._snapshots) >= MAX_SHARED_SNAPSHOTS:
                self._snapshots.clear()
            self._snapshots[topics] = place.epoch, place.offset, made
        return made

    # Records that were applied to the mirror.

    def send(self, records: Sequence[Record]) -> None:
        """Send records that the mirror has just applied, in order: at once, or when it is this feed's turn.

        Until then they are merged with those that are applied later, and only the newest of each topic is sent. So the
        longer other deliveries take, the more records share a frame, and no backlog grows.
        """
        if not records:
            return
        for record in records:
            self._unsent.pop(record.topic, None)
            self._unsent[record.topic] = record
        if self._fan_out.busy:
            self._keep_named(records)
        self._fan_out.request(urgent=any(record.terminal for record in records))

    def start_epoch(self, named_records: Mapping[str, Record]) -> None:
        """Send every subscriber a snapshot of a new epoch. Drop what was still to be sent of the old epoch."""
        self._fan_out.clear()
        self._unsent.clear()
        self._snapshots.clear()
        self._named_records = dict(named_records)
        self._before_pass, self._pass = None, (self._mirror.epoch, self._mirror.offset)
        for audience in list(self._audiences.all()):
            self._fan_out.queue(_EpochStart(self, audience.topics, self._named_records), audience.subscribers)

    def _begin_pass(self) -> Iterator[tuple[Deliver, Sequence[Subscriber]]]:
        """Take the unsent records. Yield, for each audience that watches any of them, what has to be delivered."""
        unsent, self._unsent = self._unsent, {}
        self._before_pass, self._pass = self._pass, (self._mirror.epoch, self._mirror.offset)
        self._named_records = {}  # nothing is under way: every snapshot has been written
        if not unsent:
            return
        self._snapshots.clear()
        LATENCY.observe(max(0.0, clock.now() - next(iter(unsent.values())).published_at))
        for audience, told in self._audiences.concerned(unsent.values()).items():
            yield _Records(self._place(audience.topics), told), audience.subscribers

    def _place(self, topics: TopicFilter) -> Place:
        return Place(self._mirror.epoch, self._mirror.offset, topics.hash)

    def _keep_named(self, records: Iterable[Record]) -> None:
        """Keep records of named topics, in case the mirror drops them before all snapshots are written."""
        self._named_records.update(
            (record.topic, record)
            for record in records
            if record.topic in self._named_records or self._audiences.is_named(record.topic)
        )


class _Records:
    """Delivers records to each subscriber of an audience, in one frame, which is written when it is first needed."""

    def __init__(self, place: Place, records: Sequence[Record]) -> None:
        self._place, self._records = place, records
        self._frame: Frame | None = None

    def __call__(self, subscribers: Iterator[Subscriber]) -> None:
        frame = self._frame = self._frame or _frame(self._place, self._records)
        records = self._records
        for subscriber in subscribers:
            subscriber.deliver(frame, records)


def _frame(place: Place, records: Iterable[Record]) -> Frame:
    return frames.records(place, [record.body for record in records])


class _Queued:
    """Queues a frame for each subscriber."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def __call__(self, subscribers: Iterator[Subscriber]) -> None:
        for subscriber in subscribers:
            subscriber.queue(self._frame)


def _ping(subscribers: Iterator[Subscriber]) -> None:
    for subscriber in subscribers:
        subscriber.ping()


class _EpochStart:
    """Gives each subscriber of an audience the first snapshot of an epoch.

    Writing the snapshots of a thousand audiences takes a while, so each is written only when the fan-out reaches its
    audience. Before that moment, `Broadcast.send` adds the new records of named topics to `named_records`.
    """

    def __init__(self, broadcast: Broadcast, topics: TopicFilter, named_records: Mapping[str, Record]) -> None:
        self._broadcast, self._topics, self._named_records = broadcast, topics, named_records
        self._made: list[Frame] = []

    def __call__(self, subscribers: Iterator[Subscriber]) -> int:
        """Deliver the snapshot. Return how much writing it cost."""
        cost = 0
        if not self._made:
            self._made = self._broadcast.snapshot_frames(self._topics, self._named_records, None)
            cost = SNAPSHOT_COST - 1
        for subscriber in subscribers:
            subscriber.start(self._broadcast, self._made)
        return cost
