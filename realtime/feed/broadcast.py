"""Sends what changes in one tenant's feed to the subscribers of this process, and writes their snapshots."""

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial

from realtime.feed.audience import Audiences
from realtime.feed.fan_out import FanOut
from realtime.feed.mirror import Mirror
from realtime.feed.subscriber import Subscriber
from realtime.protocol import frames
from realtime.protocol.frames import Frame
from realtime.protocol.place import Place
from realtime.protocol.rate_limit import TokenBucket
from realtime.records.metrics import LATENCY
from realtime.records.record import Record, unknown_record
from realtime.records.topics import TopicFilter
from realtime.redis.clock import clock

MAX_SHARED_SNAPSHOTS = 16
SNAPSHOT_COST = 16
"""Writing a snapshot blocks the event loop for as long as delivering a frame to this many subscribers."""
CALM_RECORDS_A_SECOND = 50
"""Up to this rate each record is sent at once. Above it, the records of a tick are sent together, in fewer frames."""


class Broadcast:
    """The subscribers of one feed, and the records and snapshots that are still to be sent to them.

    A broadcast reads the mirror of the feed, and never changes the mirror.
    """

    def __init__(self, mirror: Mirror, flush_seconds: float) -> None:
        """`flush_seconds` is the length of the tick in which a busy feed collects records."""
        self.delayed_seconds: float | None = None
        """For how many seconds the feed has been delayed, when last checked; None while it is current."""
        self._mirror = mirror
        self._audiences = Audiences()
        self._fan_out = FanOut(self._flush_if_due)
        self._delivered = 0
        """The offset up to which every subscriber has been sent the records, or is being sent them."""
        self._unsent: dict[str, Record] = {}
        """By topic, the newest applied record that has not been fanned out."""
        self._calm = TokenBucket(CALM_RECORDS_A_SECOND, CALM_RECORDS_A_SECOND)
        self._flush_seconds = flush_seconds
        self._flush_timer: asyncio.TimerHandle | None = None
        self._due = False
        """Whether the unsent records are to be sent as soon as the current fan-out is done."""
        self._named_records: dict[str, Record] = {}
        """By topic, records for the snapshots of a new epoch. They are used for named topics that the mirror lacks."""
        self._snapshots: dict[TopicFilter, tuple[str, int, list[Frame]]] = {}

    @property
    def has_subscribers(self) -> bool:
        return bool(self._audiences)

    @property
    def position(self) -> tuple[str, int] | None:
        """Epoch and offset up to which every subscriber was sent the records; None while a fan-out is under way."""
        return None if self._fan_out.busy else (self._mirror.epoch, self._delivered)

    def named_topics(self) -> set[str]:
        """Return the topics that at least one subscriber asked for by name."""
        return self._audiences.named()

    def is_named(self, topic: str) -> bool:
        """Return whether at least one subscriber asked for this topic by name."""
        return self._audiences.is_named(topic)

    def close(self) -> None:
        """Cancel the pending flush."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()

    # Subscribers.

    def add(self, subscriber: Subscriber) -> None:
        self.flush()
        self._audiences.add(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        self._audiences.remove(subscriber)
        self._fan_out.forget(subscriber)

    def move(self, subscriber: Subscriber, topics: TopicFilter) -> None:
        """Change what a subscriber watches."""
        self.flush()
        self._fan_out.catch_up(subscriber)
        self._audiences.remove(subscriber)
        subscriber.narrow(topics)
        self._audiences.add(subscriber)

    def tell_delay(self, seconds: float | None) -> None:
        """Store how long the feed has been delayed (None: not delayed). Tell clients when a delay begins or ends."""
        changed = (seconds is None) != (self.delayed_seconds is None)
        self.delayed_seconds = seconds
        if not changed:
            return
        deliver = Subscriber.ping if seconds is None else partial(Subscriber.queue, frame=frames.delayed(seconds))
        for audience in self._audiences.all():
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
        place = Place(self._mirror.epoch, self._mirror.offset, topics.hash)
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

    def hold(self, record: Record) -> None:
        """Keep an applied record until the next flush. The record replaces an older one of its topic."""
        self._unsent.pop(record.topic, None)
        self._unsent[record.topic] = record

    def flush_in_time(self, applied: int, *, ended: bool) -> None:
        """Send the held records: at once if the feed is calm or a record is terminal (`ended`), else at the next tick.

        `applied` is the number of records that were just applied. If a fan-out is under way when the held records are
        due, they are sent when it ends, together with the records that are applied before its end. So the longer a
        fan-out takes, the more records share the next frame, and no backlog grows.
        """
        if self._calm.take(applied) or ended:
            self._flush_soon()
        elif self._flush_timer is None:
            self._flush_timer = asyncio.get_running_loop().call_later(self._flush_seconds, self._flush_soon)

    def flush(self) -> None:
        """Fan out the held records now."""
        self._due = False
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        unsent, self._unsent = self._unsent, {}
        self.send(list(unsent.values()))

    def send(self, records: list[Record]) -> None:
        """Fan out records that the mirror holds. Each audience gets the records that it watches, in one frame."""
        self._delivered = self._mirror.offset
        if not records:
            return
        self._snapshots.clear()
        self._keep_named(records)
        LATENCY.observe(max(0.0, clock.now() - records[0].published_at))
        for audience, told in self._audiences.concerned(records).items():
            place = Place(self._mirror.epoch, self._mirror.offset, audience.topics.hash)
            frame = frames.records(place, [record.body for record in told])
            self._fan_out.queue(partial(Subscriber.deliver, frame=frame, records=told), audience.subscribers)

    def start_epoch(self, named_records: Mapping[str, Record]) -> None:
        """Send every subscriber a snapshot of a new epoch. Drop what was still to be sent of the old epoch."""
        self._fan_out.clear()
        self._delivered = self._mirror.offset
        self._snapshots.clear()
        self._named_records = dict(named_records)
        for audience in self._audiences.all():
            self._fan_out.queue(_EpochStart(self, audience.topics, self._named_records), audience.subscribers)

    def _flush_soon(self) -> None:
        self._due = True
        if not self._fan_out.busy:
            self._flush_if_due()

    def _flush_if_due(self) -> None:
        if self._due:
            self.flush()

    def _keep_named(self, records: Iterable[Record]) -> None:
        """Keep records of named topics, in case the mirror drops them before all snapshots are written.

        If no fan-out is under way, all snapshots have been written: drop the kept records.
        """
        if self._fan_out.busy:
            self._named_records.update(
                (record.topic, record)
                for record in records
                if record.topic in self._named_records or self._audiences.is_named(record.topic)
            )
        else:
            self._named_records = {}


class _EpochStart:
    """Gives each subscriber of an audience the first snapshot of an epoch.

    Writing the snapshots of a thousand audiences takes a while, so each is written only when the fan-out reaches its
    audience. Before that moment, `Broadcast.send` adds the new records of named topics to `named_records`.
    """

    def __init__(self, broadcast: Broadcast, topics: TopicFilter, named_records: Mapping[str, Record]) -> None:
        self._broadcast, self._topics, self._named_records = broadcast, topics, named_records
        self._made: list[Frame] = []

    def __call__(self, subscriber: Subscriber) -> int:
        """Deliver the snapshot. Return its cost: sending a frame to this many subscribers takes the same time."""
        cost = 1
        if not self._made:
            self._broadcast.flush()
            self._made = self._broadcast.snapshot_frames(self._topics, self._named_records, None)
            cost = SNAPSHOT_COST
        subscriber.start(self._broadcast, self._made)
        return cost
