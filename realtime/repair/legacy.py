"""Progress under the names of the version before tenants, for as long as its workers run beside ours.

The old name carries no tenant. So it is never read for whoever asks, but only where the tenant's own `:status` key, or
the project's database, proves that the topic is the tenant's: else tenant B could ask for the id of tenant A's video
and be given A's progress.
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

from realtime.records.batches import Call, batched, run_script
from realtime.records.commands import Commands
from realtime.records.errors import BadRecordError
from realtime.records.keys import OLD_PROGRESS_PATTERN, old_progress, topic_of_old_progress
from realtime.records.record import Draft, Progress, Record, Step, draft_record, join_record
from realtime.records.scripts import Limits
from realtime.records.source import Source, TopicState
from realtime.records.transitions import Status, Verdict

log = structlog.get_logger(__name__)

SCAN_COUNT = 1000


class Moved(StrEnum):
    """What became of an old key."""

    COPIED = "copied"
    """Its progress is in the tenant's own key now; the old one is removed."""
    NOT_NEEDED = "not needed"
    """The topic has ended, or has progress of its own: the old key is removed."""
    CHANGED = "changed"
    """Somebody published meanwhile; the next run looks again."""
    UNUSABLE = "unusable"
    """It holds no progress that could be read. It stays."""
    UNOWNED = "unowned"
    """The database knows no such topic. It stays."""


@dataclass(frozen=True, slots=True)
class Owned:
    """An unfinished topic that is proven to be its tenant's, and the offset of the record that says so.

    The offset is empty where the database proved it, because Redis holds no record of the topic.
    """

    state: TopicState
    offset: str = ""


class OldKeys:
    """Reads records as a `Publisher` does, and the progress that an old worker wrote with them."""

    def __init__(self, redis: Redis, *, key_prefix: str = "", limits: Limits | None = None) -> None:
        self._redis = redis
        self._commands = Commands(key_prefix, limits or Limits())

    def record(self, tenant_id: int, topic: str) -> Record | None:
        """The latest record of one topic; None if the tenant has none, since nothing else proves whose the topic is.

        Asks no database. Raises RedisError.
        """
        record, has_progress = self._own([(tenant_id, topic)])[0]
        # The old name knows no attempt: what stands there is the first one's.
        if record is None or record.terminal or has_progress or record.attempt > 1:
            return record
        if self.copy([_owned(tenant_id, record)]) != [Moved.COPIED]:
            return record
        return self._own([(tenant_id, topic)])[0][0]

    def copy(self, topics: Sequence[Owned]) -> list[Moved]:
        """Copies their old progress, never over a newer word. The caller has proven whose they are. Raises RedisError.

        Progress says that somebody is at work, so a record that was PENDING becomes PROCESSING.
        """
        drafts = [_draft(owned.state, value) for owned, value in zip(topics, self._old_values(topics), strict=True)]
        calls = [
            self._copy_call(owned, draft) for owned, draft in zip(topics, drafts, strict=True) if draft is not None
        ]
        answers = iter(run_script(self._redis, "copy_old", calls))
        return [Moved.UNUSABLE if draft is None else _moved(next(answers)) for draft in drafts]

    def move_all(self, source: Source, *, dry: bool = False) -> Iterator[Counter[Moved]]:
        """Moves every old key whose owner the database knows. After each batch, what became of all so far.

        Safe to repeat, and to interrupt. `dry` writes nothing. Raises RedisError, or what the source raises.
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
        """The tenants' own records, and whether they have progress."""
        calls: list[Call] = [(self._commands.record(tenant_id, topic), []) for tenant_id, topic in topics]
        answers = ((None, None) if answer is None else answer for answer in run_script(self._redis, "record", calls))
        return [(_record(text, progress), progress is not None) for text, progress in answers]

    def _old_values(self, topics: Sequence[Owned]) -> list[Any]:
        """What stands under the old names: a text, a hash's fields, or nothing. One of two questions does not fit."""
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
"""No step, percent or remaining second of a real job is more."""


def read_old_progress(value: bytes | Mapping[bytes, bytes] | None) -> Progress | None:
    """What the old adapter wrote: a JSON object, or a hash of the same fields. None if it tells no percent.

    `percent`, and if there `step_name` or `step`, `step_index`, `step_total`, `step_percent`, `remaining_seconds`; they
    may also stand below `extra`. What cannot be used is left out.
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
    """A number from 0 on, written as one or as text."""
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
    """Proven by the tenant's own record."""
    fields = orjson.loads(record.body)
    state = TopicState(
        tenant_id, record.topic, record.attempt, record.status, fields["published_at"], fields["data"], fields["error"]
    )
    return Owned(state, str(record.offset))


def _moved(verdict: bytes | None) -> Moved:
    return Moved.COPIED if verdict == Verdict.ACCEPTED.encode() else Moved.CHANGED
