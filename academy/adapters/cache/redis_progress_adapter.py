"""Progress of jobs in Redis: a thin binding of `realtime.publish`, so that what is polled and what is pushed agree."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

from academy.domain.jobs import job_topic
from realtime import conf
from realtime.publish import Publisher, Step


class RedisProgressAdapter:
    """Records and reads how far jobs are."""

    def __init__(self, publisher: Publisher | None = None) -> None:
        self._publisher = publisher or conf.publisher()
        self._read = publisher.record if publisher is not None else conf.record

    def record_progress(self, tenant_id: int, job_id: UUID | str, step: str, extra: Mapping[str, Any]) -> None:
        """Says how far a job is. Never raises or waits for a Redis that is down: progress is best effort.

        `step` is the step's name; `extra` holds `percent` (0 to 100), and may hold `attempt`, `step_index`,
        `step_total`, `step_percent`, `remaining_seconds`, `data` (what everybody may see of the job) and
        `milestone` (True: it leaves at once, however much was said just before).
        """
        record_topic_progress(self._publisher, tenant_id, job_topic(UUID(str(job_id))), step, extra)

    def get_progress(self, tenant_id: int, job_id: UUID | str) -> dict[str, Any] | None:
        """`{"percent", "step", "remaining_seconds"}`, or None if nothing is known. Raises RedisError."""
        record = self._read(tenant_id, job_topic(UUID(str(job_id))))
        if record is None:
            return None
        progress: dict[str, Any] | None = orjson.loads(record.body)["progress"]
        return progress


def record_topic_progress(
    publisher: Publisher, tenant_id: int, topic: str, step: str, extra: Mapping[str, Any]
) -> None:
    """What `RedisProgressAdapter.record_progress` does, for any topic."""
    publisher.progress(
        tenant_id=tenant_id,
        topic=topic,
        attempt=extra.get("attempt", 1),
        percent=extra["percent"],
        step=Step(extra.get("step_index", 1), extra.get("step_total", 1), step, extra.get("step_percent", 0.0)),
        remaining_seconds=extra.get("remaining_seconds"),
        data=extra.get("data"),
        milestone=extra.get("milestone", False),
    )
