"""The mirror: the copy of one tenant's feed in one server process. It takes messages and snapshots, and does no I/O.

A mirror is loaded from a snapshot, and then applies messages one by one. It ignores a message that it already has. A
message after a gap, or of another epoch, is not applied: the hub reads the feed again, and that read contains what was
missed.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from heapq import heapify, heappop, heappush
from itertools import chain, takewhile
from operator import attrgetter
from typing import NamedTuple

import structlog

from realtime.records.errors import BadRecordError
from realtime.records.record import Record, parse_record
from realtime.records.scripts import Limits, Snapshot
from realtime.redis.clock import clock

log = structlog.get_logger(__name__)

MAX_PENDING_ENDS = 5000
"""How many topics `pending_ends` holds at most. When it is full, its oldest topics are removed. Clients then learn the
end of such a topic only if they name the topic or reconnect."""

_MESSAGE_HEAD = re.compile(rb"([0-9a-f]{1,32})\.(\d{1,16}) ")


class Message(NamedTuple):
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
    """What a load changed. If `reset`, clients need a new snapshot. Otherwise `records`, ordered by offset, are new."""

    reset: bool
    records: list[Record]


def parse_message(payload: bytes) -> Message:
    """Parse a pub/sub message. Raise BadRecordError if it is not valid."""
    head = _MESSAGE_HEAD.match(payload)
    if head is None:
        raise BadRecordError(f"This is no message of a feed: {payload[:80]!r}.")
    epoch, offset = head.groups()
    record = parse_record(payload[head.end() :])
    if int(offset) != record.offset:
        raise BadRecordError(f"This message names another offset than its record: {payload[:80]!r}.")
    return Message(epoch.decode(), record.offset, record)


def parse_messages(payloads: Iterable[bytes], tenant_id: int) -> list[Message]:
    """Parse messages of one tenant. Log those that are not valid, and leave them out."""
    messages: list[Message] = []
    for payload in payloads:
        try:
            messages.append(parse_message(payload))
        except BadRecordError as problem:
            log.warning("bad_message", tenant=tenant_id, error=str(problem))
    return messages


class Mirror:
    """The records of one feed in the order of their offsets, and the offset up to which they are complete."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        # Both dicts are ordered by offset. They are separate because `_trim` removes their records by different rules.
        self._unfinished: dict[str, Record] = {}
        self._terminal: dict[str, Record] = {}
        self._ends: list[tuple[float, str, int]] = []
        """A heap: the time of each end, its topic and offset. Entries whose record was replaced are skipped."""
        self.epoch = ""
        self.offset = 0
        self.floor = 0
        self.has_surplus = False
        """Whether the mirror holds topics that new clients are no longer shown. Reading the whole feed removes them."""
        self.pending_ends: dict[str, None] = {}
        """Topics that were unfinished when they left the mirror: clients may not have received their end."""

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
        """Return the records above an offset, oldest first. The cost grows only with the number of these records."""
        changed: list[Record] = []
        for records in (self._unfinished, self._terminal):
            changed += takewhile(lambda record: record.offset > offset, reversed(records.values()))
        return sorted(changed, key=attrgetter("offset"))

    def continues_from(self, epoch: str, offset: int) -> bool:
        """Return whether a client that has everything up to this offset only needs the records above it."""
        return epoch == self.epoch and self.floor <= offset <= self.offset

    def unfinished(self) -> set[str]:
        """Return the unfinished topics, and those whose end clients may not have received (`pending_ends`)."""
        return self._unfinished.keys() | self.pending_ends.keys()

    def receive(self, message: Message) -> Received:
        """Apply a message if it is the next one. Return APPLIED, or the reason why it was not applied."""
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
        """Apply a snapshot: of the whole feed, or of the records above this mirror's offset. Return what changed.

        A snapshot that is older than this mirror changes no record.
        """
        if snapshot.epoch == self.epoch and snapshot.offset < self.offset:
            self.has_surplus = False  # do not read again: in a feed this busy, surplus topics leave soon
            return Change(reset=False, records=[])  # newer messages were applied during the read
        if not snapshot.whole:
            new = [record for record in snapshot.records if record.offset > self.offset]
            self.offset, self.floor = snapshot.offset, max(self.floor, snapshot.floor)
            for record in new:
                self._put(record)
            self._trim()
            # A read shows only the latest record of each topic, so the mirror never gets the records in between. One of
            # them may have pushed another topic out of the index. The mirror still holds that other topic.
            self.has_surplus = len(self) > snapshot.shown
            return Change(reset=False, records=new)
        goes_on = self.continues_from(snapshot.epoch, self.offset) and self.offset >= snapshot.floor
        new = [record for record in snapshot.records if not goes_on or record.offset > self.offset]
        self.epoch, self.offset, self.floor, self.has_surplus = snapshot.epoch, snapshot.offset, snapshot.floor, False
        # Sort by the records' own offsets, because `above` relies on that order. The order of the index may differ: a
        # record that a detail view restored has offset 0, but the index still has the topic's offset from before.
        before = self._unfinished
        self._unfinished, self._terminal, self._ends = {}, {}, []
        for record in sorted(snapshot.records, key=attrgetter("offset")):
            self._put(record)
        for topic in before.keys() - self._unfinished.keys() - self._terminal.keys():
            self._note_pending_end(topic)
        for record in snapshot.named_records.values():
            if record.terminal:
                self.pending_ends.pop(record.topic, None)
        return Change(reset=not goes_on, records=new)

    def _put(self, record: Record) -> None:
        topic = record.topic
        self._unfinished.pop(topic, None)
        self._terminal.pop(topic, None)
        self.pending_ends.pop(topic, None)
        if record.status.terminal:
            self._terminal[topic] = record
            self._note_end(record)
        else:
            self._unfinished[topic] = record

    def _trim(self) -> None:
        """Forget topics that new clients are no longer shown, by the same rules as `publish.lua`."""
        if self._terminal:
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
        if len(self._ends) > 2 * len(self._terminal) + 100:  # most entries belong to records that were replaced
            self._ends = [_end(known) for known in self._terminal.values()]
            heapify(self._ends)
        else:
            heappush(self._ends, _end(record))

    def _drop(self, records: dict[str, Record], oldest: Record) -> None:
        del records[oldest.topic]
        if not oldest.terminal:
            self._note_pending_end(oldest.topic)
        self.floor = max(self.floor, oldest.offset)

    def _note_pending_end(self, topic: str) -> None:
        self.pending_ends[topic] = None
        if len(self.pending_ends) > MAX_PENDING_ENDS:
            del self.pending_ends[next(iter(self.pending_ends))]


def _end(record: Record) -> tuple[float, str, int]:
    return record.published_at, record.topic, record.offset
