"""Functions with which older code reads and publishes the status of jobs, and extends the expiry of their keys."""

from typing import Any
from uuid import UUID

from academy.adapters.cache.records import UNFINISHED_SECONDS, cache_status, read_record
from academy.domain.jobs import job_topic, result_data
from realtime import conf


def get_job_status_from_redis(tenant_id: int, job_id: UUID | str) -> dict[str, Any] | None:
    """Return the job's record, or None if Redis has none. Makes no database query.

    Raises RedisError if Redis cannot be read.
    """
    return read_record(tenant_id, job_topic(UUID(str(job_id))))


def cache_job_status(
    tenant_id: int,
    job_id: UUID | str,
    status: str,
    result: dict[str, Any] | None = None,
    *,
    ttl: int = UNFINISHED_SECONDS,
    attempt: int | None = None,
    error: dict[str, Any] | None = None,
) -> bool:
    """Publish the job's status. Return whether Redis has that status now. See `cache_status`."""
    return cache_status(
        tenant_id,
        job_topic(UUID(str(job_id))),
        status,
        result_data(UUID(str(job_id)), result) if result is not None else {},
        attempt=attempt,
        error=error,
        ttl=ttl,
    )


def refresh_job_progress_ttl(tenant_id: int, job_id: UUID | str, ttl: int = UNFINISHED_SECONDS) -> bool:
    """Extend the expiry of an unfinished job's keys, and return True.

    Do nothing and return False if Redis has no record of the job, or if the job has ended. Raises RedisError if Redis
    cannot be reached or refuses a command.
    """
    return conf.publisher().refresh(tenant_id, job_topic(UUID(str(job_id))), ttl)
