"""The class with which older code reports and reads progress. It calls `records.py`."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from academy.adapters.cache.records import read_record, record_step
from academy.domain.jobs import job_topic
from realtime import conf


class RedisProgressAdapter:
    """Reports and reads the progress of jobs."""

    def record_progress(
        self, tenant_id: int, job_id: UUID | str, step: str, extra: Mapping[str, Any] | None = None
    ) -> None:
        """Report progress in a step. `records.record_step` describes `extra`. Raises nothing if Redis is down."""
        record_step(conf.publisher(), tenant_id, job_topic(UUID(str(job_id))), step, extra or {})

    def get_progress(self, tenant_id: int, job_id: UUID | str) -> dict[str, Any] | None:
        """Return `{"percent", "step", "remaining_seconds"}`, or None if Redis has no progress.

        Raises RedisError if Redis cannot be read.
        """
        return (read_record(tenant_id, job_topic(UUID(str(job_id)))) or {}).get("progress")
