"""A record as text: how it is written once by the publisher, and how little of it has to be read again.

The text begins with a fixed header, `{"offset":N,"topic":"…","attempt":N,"status":"…",`, so that neither Lua nor the
hub has to decode JSON to compare records, and the bytes that a worker wrote are the bytes that a browser reads.
"""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from realtime.errors import BadRecordError
from realtime.topics import check_topic
from realtime.transitions import Status

MAX_RECORD_BYTES = 65_536

_HEADER = re.compile(
    rb'\{"offset":(\d{1,16}),"topic":"([a-z]{1,16}:[A-Za-z0-9_-]{1,64})","attempt":(\d{1,16}),"status":"([A-Z]{1,16})"'
)

_PUBLISHED_AT = re.compile(rb'"published_at":(\d{1,12}(?:\.\d{1,9})?),"progress":')


@dataclass(frozen=True, slots=True)
class Step:
    """Where a job stands: step `index` of `total`, and how far that step itself is (0 to 100)."""

    index: int
    total: int
    name: str
    percent: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: 0 to 100, the step, and the seconds that remain, if known."""

    percent: float
    step: Step | None = None
    remaining_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A record before Redis gave it an offset: `text` lacks the opening `{"offset":N`, `progress` is JSON or empty."""

    topic: str
    attempt: int
    status: Status
    text: bytes
    progress: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """A record as Redis holds it. `body` is its whole JSON, as it goes to browsers."""

    offset: int
    topic: str
    attempt: int
    status: Status
    body: bytes

    @property
    def terminal(self) -> bool:
        return self.status.terminal

    @property
    def published_at(self) -> float:
        """Unix seconds; now where the text does not say it."""
        # The last one: the data before it may have a field of that name.
        match = _PUBLISHED_AT.match(self.body, max(0, self.body.rfind(b'"published_at":')))
        return float(match[1]) if match else time.time()


def draft_record(
    *,
    topic: str,
    attempt: int,
    status: str,
    published_at: float,
    progress: Progress | None = None,
    data: Mapping[str, Any] | None = None,
    error: Mapping[str, str] | None = None,
    stalled: bool = False,
) -> Draft:
    """Checks and encodes a record. Raises BadTopicError or BadRecordError."""
    if status not in Status.__members__:
        raise BadRecordError(f"{status!r} is no status: use one of {', '.join(Status)}.")
    if attempt < 1 or attempt >= 2**53:
        raise BadRecordError(f"The attempt is {attempt}: it has to be a whole number from 1 on.")
    if not (math.isfinite(published_at) and published_at >= 0):
        raise BadRecordError(f"The time of {topic} is {published_at}: it has to be Unix seconds.")
    _check_progress(progress)
    try:
        rest = orjson.dumps({"data": data or {}, "error": error, "stalled": stalled, "published_at": published_at})
        progress_text = orjson.dumps(asdict(progress)) if progress else b""
    except TypeError as problem:
        raise BadRecordError(f"The record of {topic} cannot be written as JSON: {problem}.") from None
    header = f',"topic":"{check_topic(topic)}","attempt":{attempt:d},"status":"{status}",'
    text = header.encode() + rest[1:]
    if len(text) + len(progress_text) > MAX_RECORD_BYTES - 64:
        raise BadRecordError(
            f"The record of {topic} has {len(text) + len(progress_text)} bytes; {MAX_RECORD_BYTES} are the most."
            " Put large results into the database, and their address into the record."
        )
    return Draft(topic, attempt, Status(status), text, progress_text)


def _check_progress(progress: Progress | None) -> None:
    if progress is None:
        return
    percents = [progress.percent] + ([progress.step.percent] if progress.step else [])
    for percent in percents:
        if not (math.isfinite(percent) and 0 <= percent <= 100):  # noqa: PLR2004 - per cent
            raise BadRecordError(f"The percent is {percent}: it has to lie between 0 and 100.")


def parse_record(body: bytes) -> Record:
    """A record from its whole JSON. Raises BadRecordError."""
    match = _HEADER.match(body)
    if match is None or match[4].decode() not in Status.__members__:
        raise BadRecordError(f"This is no record: {body[:80]!r}.")
    return Record(int(match[1]), match[2].decode(), int(match[3]), Status(match[4].decode()), body)


def join_record(text: bytes, progress: bytes | None) -> Record:
    """A record from its two keys, `:status` and `:progress`, the way the publish script joins them."""
    return parse_record(text[:-1] + b',"progress":' + (progress or b"null") + b"}")


def unknown_record(topic: str) -> bytes:
    """What stands for a topic of which Redis knows nothing; the client then asks the detail endpoint once."""
    return b'{"topic":"' + topic.encode() + b'","status":"UNKNOWN"}'
