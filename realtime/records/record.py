"""Writes and reads the text of records.

The publisher encodes a record as JSON. The offset and the progress are added to this text without decoding it. A record
begins with a fixed header, `{"offset":N,"topic":"…","attempt":N,"status":"…",`, so that neither Lua nor the hub has to
decode JSON to compare records.
"""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from operator import index
from typing import Any, NamedTuple

from realtime.records.errors import BadRecordError
from realtime.records.json_text import json_text
from realtime.records.topics import check_topic
from realtime.records.transitions import Status

MAX_RECORD_BYTES = 65_536
MAX_NUMBER = 2**53 - 1
"""The largest whole number that JavaScript holds exactly."""
MAX_REMAINING_SECONDS = 1e9
MAX_PUBLISHED_AT = 1e11
"""The highest `published_at` allowed, in Unix seconds. A time in milliseconds, a frequent mistake, is above it."""

_HEADER = re.compile(
    rb'\{"offset":(\d{1,16}),"topic":"([a-z]{1,16}:[A-Za-z0-9_-]{1,64})","attempt":(\d{1,16}),"status":"([A-Z]{1,16})"'
)

_NAMES = dict(Status.__members__)
_STATUSES = {status.value.encode(): status for status in Status}

_PUBLISHED_AT = re.compile(rb'"published_at":(\d{1,12}(?:\.\d{1,9})?),"progress":')


@dataclass(frozen=True, slots=True)
class Step:
    """The step that a job is at: `index` of `total`, and the percentage of this step that is done (0 to 100)."""

    index: int
    total: int
    name: str
    percent: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: a percentage from 0 to 100 and, if they are known, the step and the remaining seconds."""

    percent: float
    step: Step | None = None
    remaining_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A record to which Redis has given no offset yet.

    `text` lacks the opening `{"offset":N`. `progress` is JSON or empty.
    """

    topic: str
    attempt: int
    status: Status
    text: bytes
    progress: bytes


class Record(NamedTuple):
    """A record as Redis stores it. `body` is its whole JSON, as browsers receive it."""

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
        """The time at which the record was published, in Unix seconds; the present time if `body` has none."""
        # Use the last `published_at`: `data`, which comes before it, may have a field of the same name.
        match = _PUBLISHED_AT.match(self.body, max(0, self.body.rfind(b'"published_at":')))
        return float(match[1]) if match else time.time()


def overtakes(draft: Draft, held: Record) -> bool:
    """Return whether `draft`, a state committed in the database, proves that a publish newer than `held` was lost.

    That is so if the draft is terminal and `held`, of the same attempt, is not. It is also so if the draft's attempt
    is higher and the draft is not PROCESSING. PROCESSING proves nothing: the worker that claimed the job publishes
    that status itself, and may not have done so yet.
    """
    if draft.attempt == held.attempt:
        return draft.status.terminal and not held.terminal
    return draft.attempt > held.attempt and draft.status is not Status.PROCESSING


def draft_record(
    *,
    topic: str,
    attempt: int,
    status: str,
    published_at: float,
    progress: Progress | None = None,
    data: Mapping[str, Any] | None = None,
    error: Mapping[str, Any] | None = None,
    stalled: bool = False,
) -> Draft:
    """Check and encode a record, and return it.

    Raise BadTopicError or BadRecordError if an argument is not valid. No argument causes an error of another class.

    `data` and `error` may contain types that JSON does not have; see `realtime.records.json_text`.
    """
    check_topic(topic)
    state = _NAMES.get(status) if isinstance(status, str) else None
    if state is None:
        raise BadRecordError(f"{status!r} is no status: use one of {', '.join(Status)}.")
    attempt = _whole_number(attempt, "attempt", topic, least=1)
    published_at = _number(published_at, "time", topic, most=MAX_PUBLISHED_AT, expected="Unix seconds")
    for name, value in (("data", data), ("error", error)):
        if value is not None and not isinstance(value, Mapping):
            raise BadRecordError(f"The {name} of {topic} is {_shown(value)}: it has to be a mapping.")
    try:
        rest = json_text({"data": data or {}, "error": error, "stalled": stalled, "published_at": published_at})
        progress_text = json_text(_checked(progress, topic)) if progress else b""
    except (TypeError, ValueError) as problem:
        raise BadRecordError(f"The record of {topic} cannot be written as JSON: {problem}.") from None
    header = f',"topic":"{topic}","attempt":{attempt:d},"status":"{state.value}",'
    text = header.encode() + rest[1:]
    if len(text) + len(progress_text) > MAX_RECORD_BYTES - 64:
        raise BadRecordError(
            f"The record of {topic} has {len(text) + len(progress_text)} bytes; {MAX_RECORD_BYTES} are the most."
            " Put large results into the database, and their address into the record."
        )
    return Draft(topic, attempt, state, text, progress_text)


def _checked(progress: Progress, topic: str) -> dict[str, Any]:
    """Return the progress for its JSON, with plain numbers. Raise BadRecordError for a wrong value.

    Two kinds of remaining time are corrected: a negative one becomes 0; a float that is NaN or too large becomes None.
    """
    step, fields = progress.step, None
    if step is not None:
        fields = {
            "index": _whole_number(step.index, "step", topic),
            "total": _whole_number(step.total, "number of steps", topic),
            "name": step.name,
            "percent": _number(step.percent, "percent of the step", topic, most=100, expected="0 to 100"),
        }
    remaining = progress.remaining_seconds
    if isinstance(remaining, float) and not remaining <= MAX_REMAINING_SECONDS:
        remaining = None  # estimates by division are infinite or NaN at first: the time is not known yet
    elif remaining is not None:
        overdue = isinstance(remaining, int | float) and remaining < 0
        most, expected = MAX_REMAINING_SECONDS, "seconds"
        remaining = 0 if overdue else _number(remaining, "remaining time", topic, most=most, expected=expected)
    percent = _number(progress.percent, "percent", topic, most=100, expected="0 to 100")
    return {"percent": percent, "step": fields, "remaining_seconds": remaining}


def _number(value: object, name: str, topic: str, *, most: float, expected: str) -> float:
    """Return a number from 0 to `most`, of any numeric type, as a float. Raise BadRecordError for anything else."""
    if isinstance(value, (float, int)) and 0 <= value <= most:  # the usual case, without slow checks of other classes
        return float(value)
    if isinstance(value, Real | Decimal):
        with suppress(ArithmeticError, ValueError):  # raised for a huge integer and for a signaling NaN
            if 0 <= (found := float(value)) <= most:
                return found
    raise BadRecordError(f"The {name} of {topic} is {_shown(value)}: it has to be a number ({expected}).")


def _whole_number(value: object, name: str, topic: str, *, least: int = 0) -> int:
    """Return `value`, a whole number from `least` to MAX_NUMBER, as an int. Raise BadRecordError for anything else."""
    try:
        found = index(value) if not isinstance(value, bool) else -1  # type: ignore[arg-type]
    except TypeError:
        found = -1
    if not least <= found <= MAX_NUMBER:
        raise BadRecordError(f"The {name} of {topic} is {_shown(value)}: it has to be a whole number from {least} on.")
    return found


def _shown(value: object) -> str:
    try:
        return repr(value)[:80]
    except Exception:  # noqa: BLE001 - any class may be passed by mistake; Python itself refuses to print huge integers
        return f"a {type(value).__name__}"


def parse_record(body: bytes) -> Record:
    """Parse the JSON of a record. Raise BadRecordError if it is not a record."""
    match = _HEADER.match(body)
    if match is None or (status := _STATUSES.get(match[4])) is None:
        raise BadRecordError(f"This is no record: {body[:80]!r}.")
    offset, topic, attempt, _status = match.groups()
    return Record(int(offset), topic.decode(), int(attempt), status, body)


def join_record(text: bytes, progress: bytes | None) -> Record:
    """Join the values of a topic's keys `:status` and `:progress` into its record, as `publish.lua` does.

    Raise BadRecordError if they do not make a record.
    """
    return parse_record(text[:-1] + b',"progress":' + (progress or b"null") + b"}")


def unknown_record(topic: str) -> bytes:
    """Return the JSON for a topic that Redis does not hold. A client that gets it requests the job's detail once."""
    return b'{"topic":"' + topic.encode() + b'","status":"UNKNOWN"}'
