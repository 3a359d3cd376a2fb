"""The life of a job. Each step is one transaction that changes the row and says so through the outbox."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone

from academy import quotas
from academy.adapters.db.django import repositories_ai
from academy.dispatch import queue_of, release_on_commit
from academy.domain.jobs import (
    EXCEL_PARSING,
    ClaimedJob,
    JobStateError,
    JobStatus,
    job_topic,
    result_data,
    shown_data,
)
from realtime.outbox import publish_status_on_commit

SECRETS = ("password_hash",)
"""What is erased from a payload when the job ends."""


def submit(
    *,
    tenant_id: int,
    job_type: str,
    payload: dict[str, Any],
    created_by: int | None,
    job_id: UUID | None = None,
    stored_bytes: int = 0,
    also_write: Callable[[UUID], object] = lambda _job_id: None,
) -> UUID:
    """Writes a job. Its record leaves once this is committed, and its message when it is its turn.

    `stored_bytes` are kept in the storage for it. `also_write` writes the rows that belong to it, in its transaction.
    Raises QuotaError, and nothing is written.
    """
    job_id = job_id or uuid4()
    with transaction.atomic():
        job = repositories_ai.create_job(
            tenant_id=tenant_id,
            job_id=job_id,
            job_type=job_type,
            payload=payload,
            created_by=created_by,
            stored_bytes=stored_bytes,
        )
        _say_pending(tenant_id, job_id, job.attempt, job_type, payload)
        also_write(job_id)
        quotas.check(tenant_id, storage=bool(stored_bytes))
    return job_id


def finish(job: ClaimedJob, result: dict[str, Any]) -> None:
    """DONE, with the result. Raises AttemptSupersededError."""
    with transaction.atomic():
        repositories_ai.save(job, status=JobStatus.DONE, result=result, payload=_without_secrets(job.payload))
        _say_ended(job, JobStatus.DONE, data=job.shown | result_data(job.job_id, result))


def fail(job: ClaimedJob, code: str, message: str) -> None:
    """FAILED, with the reason. Raises AttemptSupersededError."""
    error = {"code": code, "message": message}
    with transaction.atomic():
        repositories_ai.save(job, status=JobStatus.FAILED, error=error, payload=_without_secrets(job.payload))
        _say_ended(job, JobStatus.FAILED, data=job.shown, error=error)


def give_back(job: ClaimedJob, pause: float = 0.0) -> None:
    """PENDING, as the next attempt, whose message comes after `pause` seconds. Raises AttemptSupersededError."""
    with transaction.atomic():
        repositories_ai.give_back(job, pause)
        publish_status_on_commit(
            tenant_id=job.tenant_id,
            topic=job.topic,
            attempt=job.attempt + 1,
            status=JobStatus.PENDING,
            data=job.shown,
        )
        release_on_commit(queue_of(job.job_type))  # others may go while it waits


def cancel(tenant_id: int, job_id: UUID) -> bool:
    """CANCELLED; a worker that runs it stops at its next write. False if there is none. Raises JobStateError."""
    with transaction.atomic():
        row = repositories_ai.lock_job(tenant_id, job_id)
        if row is None:
            return False
        if JobStatus(row.status).terminal:
            raise JobStateError("job_ended", f"The job has already ended: {row.status}.")
        row.status, row.payload, row.finished_at = JobStatus.CANCELLED, _without_secrets(row.payload), timezone.now()
        row.save(update_fields=["status", "payload", "finished_at", "updated_at"])
        job = ClaimedJob(tenant_id, job_id, row.job_type, row.attempt, row.payload)
        _say_ended(job, JobStatus.CANCELLED, data=job.shown)
    return True


def retry(tenant_id: int, job_id: UUID) -> bool:
    """PENDING again, as the next attempt. False if there is none. Raises JobStateError, QuotaError."""
    with transaction.atomic():
        row = repositories_ai.lock_job(tenant_id, job_id)
        if row is None:
            return False
        if row.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
            raise JobStateError(
                "job_not_failed", f"Only a failed or cancelled job is tried again; this is {row.status}."
            )
        if row.payload.get("secrets_erased"):
            raise JobStateError("upload_again", "The initial password was erased: upload the workbook again.")
        if row.job_type == EXCEL_PARSING and "file" not in row.payload:
            raise JobStateError("upload_again", "The workbook is no longer kept: upload it again.")
        row.status, row.attempt, row.error, row.finished_at = JobStatus.PENDING, row.attempt + 1, None, None
        row.dispatched_at = None
        row.save(update_fields=["status", "attempt", "error", "finished_at", "dispatched_at", "updated_at"])
        _say_pending(tenant_id, job_id, row.attempt, row.job_type, row.payload)
        quotas.check(tenant_id)
    return True


def _say_pending(tenant_id: int, job_id: UUID, attempt: int, job_type: str, payload: dict[str, Any]) -> None:
    publish_status_on_commit(
        tenant_id=tenant_id,
        topic=job_topic(job_id),
        attempt=attempt,
        status=JobStatus.PENDING,
        data=shown_data(job_type, payload),
    )
    release_on_commit(queue_of(job_type))


def _say_ended(
    job: ClaimedJob, status: JobStatus, *, data: dict[str, Any], error: dict[str, str] | None = None
) -> None:
    publish_status_on_commit(
        tenant_id=job.tenant_id, topic=job.topic, attempt=job.attempt, status=status, data=data, error=error
    )
    release_on_commit(queue_of(job.job_type))


def _without_secrets(payload: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in payload.items() if name not in SECRETS}
    return kept if len(kept) == len(payload) else {**kept, "secrets_erased": True}
