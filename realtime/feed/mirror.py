"""The mirror: what one server process knows of one tenant's feed. No I/O: messages and snapshots in, changes out.

A mirror is loaded from a snapshot, then follows the messages one by one. A message that is not the next one, or comes
from another epoch, is not applied: the hub reads the feed again, and what was missed comes with that.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from heapq import heapify, heappop, heappush
from itertools import chain, takewhile
from operator import attrgetter

from realtime.records.errors import BadRecordError
from realtime.records.record import Record, parse_record
from realtime.records.scripts import Limits, Snapshot
from realtime.redis.clock import clock

MAX_OWED = 5000
"""Of one feed; the oldest are forgotten. Their clients still learn of the end when they name the topic or come back."""

_MESSAGE_HEAD = re.compile(rb"([0-9a-f]{1,32})\.(\d{1,16}) ")


@dataclass(frozen=True, slots=True)
class Message:
    """One pub/sub message: `epoch.offset`, a space, the record."""

    epoch: str
    offset: int
    record: Record


class Received(Enum):
    """What the mirror did with a message."""

    APPLIED = auto()
    OLD = auto()
    GAP = auto()
    OTHER_EPOCH = auto()


@dataclass(frozen=True, slots=True)
class Change:
    """What a load changed: `reset` if clients need everything again, else the records that are new, by offset."""

    reset: bool
    records: list[Record]


def parse_message(payload: bytes) -> Message:
    """Raises BadRecordError."""
    match = _MESSAGE_HEAD.match(payload)
    if match is None:
        raise BadRecordError(f"This is no message of a feed: {payload[:80]!r}.")
    record = parse_record(payload[match.end() :])
    if int(match[2]) != record.offset:
        raise BadRecordError(f"This message names another offset than its record: {payload[:80]!r}.")
    return Message(match[1].decode(), record.offset, record)


class Mirror:
    """The records of one feed, in the order of their offsets, and up to which offset they are complete."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        # Both in the order of offsets, and apart, because they leave by different rules.
        self._unfinished: dict[str, Record] = {}
        self._terminal: dict[str, Record] = {}
        self._ends: list[tuple[float, str, int]] = []
        """A heap: when each ended, its topic and offset; one that stands there no more is passed over."""
        self.epoch = ""
        self.offset = 0
        self.floor = 0
        self.astray = False
        """Whether it holds what new clients are not shown any more; a read of the whole feed mends that."""
        self.owed: dict[str, None] = {}
        """Topics that were last known unfinished and that the feed shows no more: their end may not have been heard."""

    @property
    def loaded(self) -> bool:
        return self.epoch != ""

    def __len__(self) -> int:
        return len(self._unfinished) + len(self._terminal)

    def get(self, topic: str) -> Record | None:
        return self._unfinished.get(topic) or self._terminal.get(topic)

    def records(self) -> Iterable[Record]:
        return chain(self._unfinished.values(), self._terminal.values())

    def above(self, offset: int) -> list[Record]:
        """The records that changed above an offset, oldest first. Costs as many steps as records it returns."""
        changed: list[Record] = []
        for records in (self._unfinished, self._terminal):
            changed += takewhile(lambda record: record.offset > offset, reversed(records.values()))
        return sorted(changed, key=attrgetter("offset"))

    def continues_from(self, epoch: str, offset: int) -> bool:
        """Whether a client that has everything up to there can go on with what changed since."""
        return epoch == self.epoch and self.floor <= offset <= self.offset

    def unfinished(self) -> set[str]:
        """The topics whose end is still to be told to somebody."""
        return self._unfinished.keys() | self.owed.keys()

    def receive(self, message: Message) -> Received:
        """Takes the next message, and only that."""
        if message.epoch != self.epoch:
            return Received.OTHER_EPOCH
        if message.offset <= self.offset:
            return Received.OLD
        if message.offset != self.offset + 1:
            return Received.GAP
        self.offset = message.offset
        self._put(message.record)
        self._trim()
        return Received.APPLIED

    def load(self, snapshot: Snapshot) -> Change:
        """Takes what was read above this mirror's own offset, or the whole feed."""
        if snapshot.epoch == self.epoch and snapshot.offset < self.offset:
            self.astray = False  # once is enough: in a feed that is so busy what it holds too much leaves soon
            return Change(reset=False, records=[])  # read before what has arrived since: nothing new in it
        if not snapshot.whole:
            new = [record for record in snapshot.records if record.offset > self.offset]
            self.offset, self.floor = snapshot.offset, max(self.floor, snapshot.floor)
            for record in new:
                self._put(record)
            self._trim()
            # What pushed another topic out may have begun again before it was read.
            self.astray = len(self) > snapshot.shown
            return Change(reset=False, records=new)
        goes_on = self.continues_from(snapshot.epoch, self.offset) and self.offset >= snapshot.floor
        new = [record for record in snapshot.records if not goes_on or record.offset > self.offset]
        self.epoch, self.offset, self.floor, self.astray = snapshot.epoch, snapshot.offset, snapshot.floor, False
        # In the order of their own offsets, on which `above` relies: a record that a detail view restored has offset 0,
        # while the index still knows its topic by the offset that it had before it was evicted or expired.
        before = self._unfinished
        self._unfinished, self._terminal, self._ends = {}, {}, []
        for record in sorted(snapshot.records, key=attrgetter("offset")):
            self._put(record)
        for topic in before.keys() - self._unfinished.keys() - self._terminal.keys():
            self._owe(topic)
        for record in snapshot.named_records.values():
            if record.terminal:
                self.owed.pop(record.topic, None)
        return Change(reset=not goes_on, records=new)

    def _put(self, record: Record) -> None:
        self._unfinished.pop(record.topic, None)
        self._terminal.pop(record.topic, None)
        self.owed.pop(record.topic, None)
        (self._terminal if record.terminal else self._unfinished)[record.topic] = record
        if record.terminal:
            self._note_end(record)

    def _trim(self) -> None:
        """Forgets what a new client is no longer shown, by the same rule as the publish script."""
        oldest = clock.now() - self._limits.recent_terminal_seconds
        while self._terminal and (len(self._terminal) > self._limits.recent_terminal or self._ends[0][0] < oldest):
            self._drop_first_end()
        while len(self._unfinished) > self._limits.recent_unfinished:
            self._drop(self._unfinished, next(iter(self._unfinished.values())))

    def _drop_first_end(self) -> None:
        _at, topic, offset = heappop(self._ends)
        record = self._terminal.get(topic)
        if record is not None and record.offset == offset:
            self._drop(self._terminal, record)

    def _note_end(self, record: Record) -> None:
        if len(self._ends) > 2 * len(self._terminal) + 100:  # mostly of attempts that were tried again since
            self._ends = [_end(known) for known in self._terminal.values()]
            heapify(self._ends)
        else:
            heappush(self._ends, _end(record))

    def _drop(self, records: dict[str, Record], oldest: Record) -> None:
        del records[oldest.topic]
        if not oldest.terminal:
            self._owe(oldest.topic)
        self.floor = max(self.floor, oldest.offset)

    def _owe(self, topic: str) -> None:
        self.owed[topic] = None
        if len(self.owed) > MAX_OWED:
            del self.owed[next(iter(self.owed))]


def _end(record: Record) -> tuple[float, str, int]:
    return record.published_at, record.topic, record.offset
