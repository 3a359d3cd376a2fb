"""The life cycle of a job. `academy.lifecycle` has the parts that jobs and videos share."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from academy import quotas
from academy.adapters.db.django import repositories_ai
from academy.dispatch import queue_of
from academy.domain.jobs import EXCEL_PARSING, ClaimedJob, JobStateError, JobStatus
from academy.lifecycle import Lifecycle

SECRETS = ("password_hash",)
"""The fields that are erased from the payload of a job when the job ends."""

HOPEFUL = ("dead_letter", "timed_out", "unknown_job_type")
"""The error codes of failures that the servers caused: a retry may succeed. All other failures are caused by what the
client sent: a retry would fail again."""


LIFE = Lifecycle(
    repositories_ai.published_jobs,
    lock=repositories_ai.lock_job,
    claimed=repositories_ai.claimed,
    row_of=repositories_ai.row_of,
    queue_of=lambda job: queue_of(job.job_type),
)

claim = LIFE.claim
mend = LIFE.mend


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
    """Create a job and return its id. Its record is published after the commit, and its message is sent at its turn.

    `stored_bytes` is the size of the job's files in the storage. `also_write` is called with the job's id, in the
    transaction that creates the job, to write other rows of the job. If a quota is used up, raises QuotaError and
    writes nothing.
    """
    job_id = job_id or uuid4()
    with transaction.atomic():
        LIFE.insert(
            repositories_ai.new_job(
                tenant_id=tenant_id,
                job_id=job_id,
                job_type=job_type,
                payload=payload,
                created_by=created_by,
                stored_bytes=stored_bytes,
            )
        )
        also_write(job_id)
        quotas.check(tenant_id, storage=bool(stored_bytes))
    return job_id


def finish(job: ClaimedJob, result: dict[str, Any]) -> None:
    """Make the job DONE, with its result. Raises AttemptSupersededError if the attempt no longer holds the job."""
    LIFE.end(
        job,
        JobStatus.DONE,
        error=None,
        payload=_without_secrets(job.payload),
        also=lambda row: repositories_ai.keep_result(row, result),
    )


def fail(job: ClaimedJob, code: str, message: str) -> None:
    """Make the job FAILED, with the reason. Raises AttemptSupersededError if the attempt no longer holds the job."""
    error = {"code": code, "message": message}
    LIFE.end(job, JobStatus.FAILED, error=error, payload=_without_secrets(job.payload))


def give_back(job: ClaimedJob, pause: float = 0.0) -> None:
    """End this attempt, and make the job PENDING again. Its next attempt may begin after `pause` seconds.

    Raises AttemptSupersededError if this attempt does not hold the job any more.
    """
    LIFE.give_back(job, pause)


def cancel(tenant_id: int, job_id: UUID) -> bool:
    """Make the job CANCELLED. A worker that runs the job stops at its next write.

    Return False if there is no such job. Raises JobStateError if it has ended.
    """
    with transaction.atomic():
        job = repositories_ai.lock_job(tenant_id, job_id)
        if job is None:
            return False
        if JobStatus(job.status).terminal:
            raise JobStateError("job_ended", f"The job has already ended: {job.status}.")
        LIFE.cancel(job, payload=_without_secrets(job.payload))
    return True


def retry(tenant_id: int, job_id: UUID) -> bool:
    """Make a failed or cancelled job PENDING again, as the next attempt.

    Return False if there is no such job. Raises JobStateError if the job cannot be retried, and QuotaError if a
    quota is used up.
    """
    with transaction.atomic():
        job = repositories_ai.lock_job(tenant_id, job_id)
        if job is None:
            return False
        refusal = _refusal_to_retry(job)
        if refusal is not None:
            raise refusal
        LIFE.retry(job)
        quotas.check(tenant_id)
    return True


def retry_can_help(job: Any) -> bool:
    """Return whether `retry` is allowed for this job, and might end differently than before."""
    hopeful = job.status == JobStatus.CANCELLED or (job.error or {}).get("code") in HOPEFUL
    return hopeful and _refusal_to_retry(job) is None


def _refusal_to_retry(job: Any) -> JobStateError | None:
    if job.status not in {JobStatus.FAILED, JobStatus.CANCELLED}:
        return JobStateError("job_not_failed", f"Only a failed or cancelled job is tried again; this is {job.status}.")
    if job.payload.get("secrets_erased"):
        return JobStateError("upload_again", "The initial password was erased: upload the workbook again.")
    if job.job_type == EXCEL_PARSING and "file" not in job.payload:
        return JobStateError("upload_again", "The workbook is no longer kept: upload it again.")
    return None


def _without_secrets(payload: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in payload.items() if name not in SECRETS}
    return kept if len(kept) == len(payload) else {**kept, "secrets_erased": True}
