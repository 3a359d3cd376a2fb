"""Records in Redis for code that knows statuses and not rows: what stands behind the names of the first version.

`realtime.publish` alone reads and writes the keys, so what is polled and what is pushed agree. What a caller leaves out
is taken from the record that Redis holds, or else from the row.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from redis.exceptions import RedisError

from realtime import conf
from realtime.publish import Publisher, Step
from realtime.records.record import draft_record
from realtime.records.transitions import Status, Verdict

UNFINISHED_SECONDS = 6 * 3600


def read_record(tenant_id: int, topic: str) -> dict[str, Any] | None:
    """Return the record of a topic, or None if Redis holds none. Asks no database. Raises RedisError."""
    record = conf.record(tenant_id, topic)
    return orjson.loads(record.body) if record is not None else None


def cache_status(
    tenant_id: int,
    topic: str,
    status: str,
    data: Mapping[str, Any],
    *,
    attempt: int | None = None,
    error: Mapping[str, Any] | None = None,
    ttl: int = UNFINISHED_SECONDS,
) -> bool:
    """Publish a status, and return whether Redis holds it now. `data` is added to the data that is known.

    Redis refuses what is older than its record, as of any publish. An unfinished status lives for `ttl` seconds at
    least; one of the end has the term that the settings give it. Returns False too if the row is another tenant's.
    Raises RedisError, BadTopicError and BadRecordError.
    """
    known = _known(tenant_id, topic)
    if known is None:
        return False
    draft = draft_record(
        topic=topic,
        attempt=attempt or known.attempt,
        status=status,
        published_at=time.time(),
        data={**known.data, **{name: value for name, value in data.items() if value is not None}},
        error=(error or known.error) if status == Status.FAILED else None,
    )
    answer = conf.publisher().publish(tenant_id, draft)
    if not draft.status.terminal:
        conf.publisher().refresh(tenant_id, topic, ttl)
    return answer.verdict in {Verdict.ACCEPTED, Verdict.DUPLICATE}


def record_step(publisher: Publisher, tenant_id: int, topic: str, step: str, extra: Mapping[str, Any]) -> None:
    """Report progress by the name of a step. Best effort: never raises or waits for a Redis that is down.

    `extra` may hold `percent` (0 to 100), `attempt`, `step_index`, `step_total`, `step_percent`, `remaining_seconds`,
    `data` (what everybody may see of the job) and `milestone` (True: it leaves at once).
    """
    told: Mapping[str, Any] = {}
    if not {"attempt", "percent"} <= extra.keys():
        with suppress(RedisError):
            told = read_record(tenant_id, topic) or {}
    publisher.progress(
        tenant_id=tenant_id,
        topic=topic,
        attempt=extra.get("attempt", told.get("attempt", 1)),
        percent=extra.get("percent", (told.get("progress") or {}).get("percent", 0.0)),
        step=Step(extra.get("step_index", 1), extra.get("step_total", 1), step, extra.get("step_percent", 0.0)),
        remaining_seconds=extra.get("remaining_seconds"),
        data=extra.get("data", told.get("data")),
        milestone=extra.get("milestone", False),
    )


@dataclass(frozen=True, slots=True)
class _Known:
    attempt: int = 1
    data: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None


def _known(tenant_id: int, topic: str) -> _Known | None:
    """What the record says of a topic, else the row, else nothing. None if the row is another tenant's."""
    told = read_record(tenant_id, topic)
    if told is not None:
        return _Known(told["attempt"], told["data"], told["error"])
    state = conf.source().states([topic]).get(topic)
    if state is None:
        return _Known()
    return _Known(state.attempt, state.data, state.error) if state.tenant_id == tenant_id else None
