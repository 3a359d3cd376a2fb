"""The texts, arguments and answers of the Lua scripts, for synchronous and asynchronous clients."""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from realtime.records.errors import BadRecordError
from realtime.records.keys import PROGRESS_SUFFIX, STATUS_SUFFIX, Keys
from realtime.records.record import Draft, Record, join_record
from realtime.records.topics import check_topic
from realtime.records.transitions import Verdict
from realtime.settings import Settings

log = structlog.get_logger(__name__)

_FOLDER = Path(__file__).with_name("lua")
_OPENING = frozenset({"publish", "snapshot", "topics"})
"""Scripts whose text is put after that of `open_feed.lua`."""
_ONLY_MASTER = frozenset({"read_record"})
"""Scripts that open no feed, but must not read from a replica."""
_PUBLISHING = frozenset({"stall", "show_topic", "copy_old"})
"""Scripts that contain `publish.lua` as a function, and decide whether to call it."""
_AT_THE_LIMIT = frozenset(
    {
        "revoke",
        "set_note",
        "repair",
        "report",
        "show_topic",
        "stall",
        "maintain_index",
        "lease",
        "drop_lease",
        "expire_ended",
    }
)
"""Scripts that write even when Redis is at its memory limit: for revocation marks, repairs, leases and reports."""
_VERDICTS = {verdict.value.encode(): verdict for verdict in Verdict}
ALLOW_OOM = "#!lua flags=allow-oom\n"


@cache
def source(name: str, *, at_the_limit: bool = False) -> str:
    """Return the text of a script, together with the scripts that it needs.

    With `at_the_limit`, the script may write even when Redis is at its memory limit, as those in `_AT_THE_LIMIT`
    always may. Terminal states need this.
    """
    header = ALLOW_OOM if at_the_limit or name in _AT_THE_LIMIT else ""
    return header + _body(name)


def _body(name: str) -> str:
    text = (_FOLDER / f"{name}.lua").read_text()
    if name in _PUBLISHING:
        return f"local function publish()\n{_body('publish')}\nend\n{text}"
    opening = (_FOLDER / "open_feed.lua").read_text() if name in _OPENING else ""
    if opening or name in _ONLY_MASTER:
        return (_FOLDER / "replication_id.lua").read_text() + opening + text
    return text


def new_epoch() -> str:
    return os.urandom(4).hex()


@dataclass(frozen=True, slots=True)
class Limits:
    """How long records stay in Redis, and how many of them a new client is shown."""

    unfinished_ttl_seconds: int = 6 * 3600
    terminal_ttl_seconds: int = Settings.terminal_ttl_seconds
    """How long the status of an ended topic stays after the topic is no longer shown to new clients. 0: for ever."""
    lease_seconds: float = Settings.lease_seconds
    recent_terminal: int = Settings.recent_terminal
    recent_terminal_seconds: int = 24 * 3600
    recent_unfinished: int = 1000


class Published(NamedTuple):
    """Redis' answer to a publish: the verdict, and the feed's epoch and offset."""

    verdict: Verdict
    epoch: str
    offset: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A feed as it was read.

    `whole`: True if `records` are all that a new client is shown, False if they are those above the reader's offset.
    `named_records`: by topic, the records that were asked for by name and are not in the index. Empty unless
    `whole`, because only then they are read.
    `shown`: the number of topics in the index. It includes topics whose status key was evicted.
    """

    epoch: str
    offset: int
    floor: int
    whole: bool
    records: list[Record]
    named_records: dict[str, Record] = field(default_factory=dict)
    shown: float = math.inf


@dataclass(frozen=True, slots=True)
class Named:
    """Single topics as they were read, and the feed's epoch and offset at that moment."""

    epoch: str
    offset: int
    records: dict[str, Record]


def publish_arguments(keys: Keys, limits: Limits, tenant_id: int, draft: Draft) -> tuple[list[str], list[Any]]:
    """Return KEYS and ARGV of `publish.lua`."""
    values = [
        draft.topic,
        draft.attempt,
        draft.status.rank,
        draft.status,
        draft.text,
        draft.progress,
        limits.unfinished_ttl_seconds,
        limits.terminal_ttl_seconds,
        limits.lease_seconds,
        limits.recent_terminal,
        limits.recent_terminal_seconds,
        limits.recent_unfinished,
        new_epoch(),
        keys.tenant(tenant_id),
        STATUS_SUFFIX,
    ]
    return keys.of_publish(tenant_id, draft.topic), values


def published(answer: Sequence[bytes]) -> Published:
    """Parse the answer of `publish.lua`."""
    verdict, epoch, offset = answer
    return Published(_VERDICTS[verdict], epoch.decode(), int(offset))


def snapshot_arguments(
    keys: Keys, tenant_id: int, epoch: str, offset: int, topics: Iterable[str] = ()
) -> tuple[list[str], list[Any]]:
    """Return KEYS and ARGV of `snapshot.lua`, which reads the records above this offset of this epoch.

    The script reads the whole feed if the epoch is empty or not that of the feed, or if the offset is below the floor.
    In these cases it also returns the records of those `topics` that are not in the index.
    """
    names = [keys.feed(tenant_id), keys.index(tenant_id), keys.relay()]
    prefix = keys.tenant(tenant_id)
    return names, [epoch, offset, new_epoch(), prefix, STATUS_SUFFIX, PROGRESS_SUFFIX, *map(check_topic, topics)]


def snapshot(answer: Sequence[Any]) -> Snapshot:
    """Parse the answer of `snapshot.lua`. A topic whose status key was evicted is left out."""
    epoch, offset, floor, whole, shown, indexed = answer[:6]
    named = 6 + 2 * indexed  # the position of the first topic that was read by name
    records = list(_join_records(answer[6:named]))
    named_records = {record.topic: record for record in _join_records(answer[named:])}
    return Snapshot(epoch.decode(), int(offset), int(floor), whole == b"1", records, named_records, shown)


def topics_arguments(keys: Keys, tenant_id: int, topics: Sequence[str]) -> tuple[list[str], list[Any]]:
    """Return KEYS and ARGV of `topics.lua`."""
    names = [name(tenant_id, topic) for topic in topics for name in (keys.status, keys.progress)]
    return [keys.feed(tenant_id), *names], [new_epoch()]


def topics(answer: Sequence[Any]) -> Named:
    """Parse the answer of `topics.lua`. Topics that Redis does not hold are left out."""
    epoch, offset = answer[:2]
    return Named(epoch.decode(), int(offset), {record.topic: record for record in _join_records(answer[2:])})


def _join_records(values: Sequence[bytes | None]) -> Iterator[Record]:
    for text, progress in zip(values[::2], values[1::2], strict=True):
        try:
            if text is not None:
                yield join_record(text, progress)
        except BadRecordError as problem:
            # A value that another program wrote to one of our keys must not make the whole feed unreadable.
            log.warning("bad_record", error=str(problem))
