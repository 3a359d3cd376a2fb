"""Reads and moves progress that old workers write. Their version had no tenants. Such workers may still run.

An old key names no tenant. So it is read for a tenant only if the tenant's own `:status` key, or the project's
database, proves that the topic belongs to this tenant. Otherwise tenant B could ask for the id of tenant A's video and
receive A's progress.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
import structlog
from redis import Redis
from redis.exceptions import ResponseError

from realtime.records.commands import Commands
from realtime.records.errors import BadRecordError
from realtime.records.keys import OLD_PROGRESS_PATTERN, old_progress, topic_of_old_progress
from realtime.records.record import Draft, Progress, Record, Step, draft_record, join_record
from realtime.records.script_batches import Call, batched, run_script
from realtime.records.scripts import Limits
from realtime.records.source import Source, TopicState
from realtime.records.transitions import Status, Verdict

log = structlog.get_logger(__name__)

SCAN_COUNT = 1000


class Moved(StrEnum):
    """What was done with an old key."""

    COPIED = "copied"
    """Its progress was copied to the tenant's own key. `move_all` then removes the old key."""
    NOT_NEEDED = "not needed"
    """The topic has ended, has progress in the tenant's own key, or is past attempt 1. The old key was removed."""
    CHANGED = "changed"
    """A newer record of the topic was published during the run. The old key stays for the next run."""
    UNUSABLE = "unusable"
    """The old key holds no readable progress. It was not changed."""
    UNOWNED = "unowned"
    """The database does not have the topic. The old key was not changed."""


@dataclass(frozen=True, slots=True)
class Owned:
    """An unfinished topic that is proven to belong to its tenant.

    `offset` is the offset of the record in Redis that proves this, or empty if the proof is a row of the database.
    """

    state: TopicState
    offset: str = ""


class OldKeys:
    """Reads the progress that old workers write to old keys, and copies it to the tenants' own keys."""

    def __init__(self, redis: Redis, *, key_prefix: str = "", limits: Limits | None = None) -> None:
        self._redis = redis
        self._commands = Commands(key_prefix, limits or Limits())

    def record(self, tenant_id: int, topic: str) -> Record | None:
        """Add an old worker's progress, if there is any, to the latest record of one topic. Return the record.

        Add nothing if the record has progress, is terminal, or is not of the first attempt. Return None if the tenant
        has no record of this topic: without one nothing proves that the topic belongs to the tenant. Raise RedisError
        if Redis fails. The database is not queried.
        """
        record, has_progress = self._own([(tenant_id, topic)])[0]
        # An old key has no attempt number: its progress counts as progress of the first attempt.
        if record is None or record.terminal or has_progress or record.attempt > 1:
            return record
        if self.copy([_owned(tenant_id, record)]) != [Moved.COPIED]:
            return record
        return self._own([(tenant_id, topic)])[0][0]

    def copy(self, topics: Sequence[Owned]) -> list[Moved]:
        """Copy the old progress of topics, but never over a newer record. Return the results in the topics' order.

        The caller has proven that the topics belong to their tenants. A PENDING record becomes PROCESSING, because it
        has progress. Raise RedisError if Redis fails.
        """
        drafts = [_draft(owned.state, value) for owned, value in zip(topics, self._old_values(topics), strict=True)]
        calls = [
            self._copy_call(owned, draft) for owned, draft in zip(topics, drafts, strict=True) if draft is not None
        ]
        answers = iter(run_script(self._redis, "copy_old", calls))
        return [Moved.UNUSABLE if draft is None else _moved(next(answers)) for draft in drafts]

    def move_all(self, source: Source, *, dry: bool = False) -> Iterator[Counter[Moved]]:
        """Move every old key whose topic is in the database. Yield the results so far after each batch.

        It is safe to interrupt and to repeat this. With `dry` nothing is written. Raise RedisError if Redis fails, and
        any error of the source.
        """
        done: Counter[Moved] = Counter()
        names = self._redis.scan_iter(match=OLD_PROGRESS_PATTERN, count=SCAN_COUNT)
        topics = (topic for name in names if (topic := topic_of_old_progress(name.decode())) is not None)
        for batch in batched(topics):
            done.update(self._move(batch, source, dry=dry))
            yield done

    def _move(self, topics: Sequence[str], source: Source, *, dry: bool) -> Iterator[Moved]:
        states = source.states(topics)
        yield from [Moved.UNOWNED] * (len(topics) - len(states))
        owners = [(state.tenant_id, state.topic) for state in states.values()]
        open_topics: list[Owned] = []
        needless: list[str] = []
        for state, (record, has_progress) in zip(states.values(), self._own(owners), strict=True):
            ended = Status(state.status).terminal or (record is not None and record.terminal)
            if has_progress or ended or state.attempt > 1:
                needless.append(state.topic)
            else:
                open_topics.append(Owned(state) if record is None else _owned(state.tenant_id, record))
        moved = [Moved.COPIED] * len(open_topics) if dry else self.copy(open_topics)
        copied = [owned.state.topic for owned, what in zip(open_topics, moved, strict=True) if what is Moved.COPIED]
        gone = [name for topic in copied + needless if (name := old_progress(topic)) is not None]
        if gone and not dry:
            self._redis.unlink(*gone)
        yield from moved
        yield from [Moved.NOT_NEEDED] * len(needless)

    def _own(self, topics: Sequence[tuple[int, str]]) -> list[tuple[Record | None, bool]]:
        """Return for each topic its record under the tenant's own keys, and whether these keys have progress."""
        calls: list[Call] = [(self._commands.record(tenant_id, topic), []) for tenant_id, topic in topics]
        answers = (
            (None, None) if answer is None else answer for answer in run_script(self._redis, "read_record", calls)
        )
        return [(_record(text, progress), progress is not None) for text, progress in answers]

    def _old_values(self, topics: Sequence[Owned]) -> list[Any]:
        """Return the values of the old keys: a text, the fields of a hash, or nothing.

        Each key is read as both types; one of the two commands may fail.
        """
        names = [old_progress(owned.state.topic) or "" for owned in topics]
        with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.get(name)
                pipe.hgetall(name)
            values = pipe.execute(raise_on_error=False)
        readable = [None if isinstance(value, ResponseError) else value for value in values]
        return [text or fields for text, fields in zip(readable[::2], readable[1::2], strict=True)]

    def _copy_call(self, owned: Owned, draft: Draft) -> Call:
        names, values = self._commands.publish(owned.state.tenant_id, draft)
        return names, [*values, owned.offset]


_MOST = 1e9
"""A larger step, percentage or number of remaining seconds counts as unusable."""


def read_old_progress(value: bytes | Mapping[bytes, bytes] | None) -> Progress | None:
    """Read progress in the old format: a JSON object, or a hash with the same fields.

    Only the field `percent` is required. The other fields are the step's name (`step_name` or `step`), `step_index`,
    `step_total`, `step_percent` and `remaining_seconds`. All fields may also be inside `extra`. Unusable values count
    as missing. Without a name there is no step. The default of a step's index and total is 1, and that of its percent
    is 0. Return None if there is no usable `percent`.
    """
    fields = _fields(value)
    percent = _number(fields.get("percent"))
    if percent is None:
        return None
    name = fields.get("step_name") or fields.get("step")
    step = None
    if isinstance(name, str):
        index, total = _number(fields.get("step_index")), _number(fields.get("step_total"))
        step_percent = _number(fields.get("step_percent")) or 0.0
        step = Step(max(1, int(index or 1)), max(1, int(total or 1)), name[:100], min(100.0, step_percent))
    return Progress(min(100.0, percent), step, _number(fields.get("remaining_seconds")))


def _fields(value: bytes | Mapping[bytes, bytes] | None) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {name.decode(errors="replace"): text.decode(errors="replace") for name, text in value.items()}
    try:
        fields = orjson.loads(value or b"null")
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(fields, dict):
        return {}
    extra = fields.get("extra")
    return {**extra, **fields} if isinstance(extra, dict) else fields


def _number(value: Any) -> float | None:
    """Return a number from 0 to `_MOST`, which may be written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number <= _MOST else None


def _draft(state: TopicState, value: Any) -> Draft | None:
    progress = read_old_progress(value)
    if progress is None:
        return None
    return draft_record(
        topic=state.topic,
        attempt=state.attempt,
        status=Status.PROCESSING,
        published_at=state.published_at,
        progress=progress,
        data=state.data,
    )


def _record(text: bytes | None, progress: bytes | None) -> Record | None:
    try:
        return join_record(text, progress) if text is not None else None
    except BadRecordError as problem:
        log.warning("bad_record", error=str(problem))
        return None


def _owned(tenant_id: int, record: Record) -> Owned:
    """Return the topic of this record. The record is under the tenant's own keys, so the topic is the tenant's."""
    fields = orjson.loads(record.body)
    state = TopicState(
        tenant_id, record.topic, record.attempt, record.status, fields["published_at"], fields["data"], fields["error"]
    )
    return Owned(state, str(record.offset))


def _moved(verdict: bytes | None) -> Moved:
    return Moved.COPIED if verdict == Verdict.ACCEPTED.encode() else Moved.CHANGED
