"""Reads records, and publishes statuses and progress.

The functions that older code imports, such as those in `redis_status_cache`, only call this module.

This module reads and writes Redis only through the engine, so that polling and pushing agree.

If a caller of `cache_status` leaves out the attempt or the error, it is taken from the record in Redis, or else from
the database row of the topic. If there is neither, the attempt is 1, and there is no error. Only the status FAILED is
published with an error.

If a caller of `record_step` leaves out the attempt or the percent, it is taken from the record in Redis. If there is
none, the attempt is 1 and the percent 0.
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
    """Return the record of a topic, or None if Redis has none. Makes no database query.

    Raises RedisError if Redis cannot be read.
    """
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
    """Publish a status. Return True if Redis accepted the status or already had it.

    Return False if Redis has a newer record, or if the database row of the topic belongs to another tenant. `data` is
    added to the data of the present record. Redis keeps an unfinished status for at least `ttl` seconds, and a terminal
    status for `REALTIME_TERMINAL_TTL_SECONDS`. Raises RedisError if Redis fails, BadTopicError if `topic` is not valid,
    and BadRecordError if another argument is not valid.
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
    """Report progress in the step with this name. Raises nothing if Redis is down: the progress is then lost.

    `extra` may have `percent` (0 to 100), `attempt`, `step_index`, `step_total`, `step_percent`, `remaining_seconds`,
    `data` (what everybody in the academy may see of the job) and `milestone` (if True, the progress is sent at once).
    """
    record: Mapping[str, Any] = {}
    if not {"attempt", "percent"} <= extra.keys():
        with suppress(RedisError):
            record = read_record(tenant_id, topic) or {}
    publisher.progress(
        tenant_id=tenant_id,
        topic=topic,
        attempt=extra.get("attempt", record.get("attempt", 1)),
        percent=extra.get("percent", (record.get("progress") or {}).get("percent", 0.0)),
        step=Step(extra.get("step_index", 1), extra.get("step_total", 1), step, extra.get("step_percent", 0.0)),
        remaining_seconds=extra.get("remaining_seconds"),
        data=extra.get("data", record.get("data")),
        milestone=extra.get("milestone", False),
    )


@dataclass(frozen=True, slots=True)
class _Known:
    attempt: int = 1
    data: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None


def _known(tenant_id: int, topic: str) -> _Known | None:
    """Return the attempt, data and error of a topic, from its record or else from its database row.

    If there is neither, return the defaults. Return None if there is no record and the row belongs to another tenant.
    """
    record = read_record(tenant_id, topic)
    if record is not None:
        return _Known(record["attempt"], record["data"], record["error"])
    state = conf.source().states([topic]).get(topic)
    if state is None:
        return _Known()
    return _Known(state.attempt, state.data, state.error) if state.tenant_id == tenant_id else None
