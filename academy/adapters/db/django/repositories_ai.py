"""Queries on jobs (the table `aijob`), their results and the outcomes of imported rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from academy.adapters.db.django.published_rows import PublishedRows
from academy.adapters.db.django.tenancy import rows_of
from academy.domain.jobs import AttemptSupersededError, ClaimedJob, JobStatus, job_topic, result_data, shown_data
from apps.domains.ai.models import UNFINISHED, AIJob, AIJobResult, ImportedRow
from realtime.records.source import TopicState


def jobs_of(tenant_id: int, *, status: str | None = None) -> QuerySet[AIJob]:
    """Return a tenant's jobs with their results and who started them, newest first."""
    jobs = rows_of(tenant_id, AIJob).select_related("result", "created_by").order_by("-created_at", "-id")
    return jobs.filter(status=status) if status else jobs


def find_job(tenant_id: int, job_id: UUID) -> AIJob | None:
    found = jobs_of(tenant_id).order_by().filter(job_id=job_id)  # sorting one row would cost time in Django
    return next(iter(found[:1]), None)


def jobs_of_tenants(tenant_ids: Sequence[int]) -> QuerySet[AIJob]:
    """Return the jobs of several tenants, with their results. Only `realtime_source` may call this, never a view."""
    return AIJob.objects.filter(tenant_id__in=tenant_ids).select_related("result")


def jobs_by_id(job_ids: Sequence[UUID]) -> QuerySet[AIJob]:
    """Return these jobs and their results, whichever tenant they belong to.

    Only `realtime_source` may call this, because the callers of `realtime_source` check the tenant.
    """
    return AIJob.objects.filter(job_id__in=job_ids).select_related("result")


def state_of(job: AIJob) -> TopicState:
    """Return the state that the record of a job shows, without progress."""
    data = shown_data(job.job_type, job.payload)
    if job.status == JobStatus.DONE and hasattr(job, "result"):
        data |= result_data(job.job_id, job.result.result)
    since = job.finished_at or job.updated_at
    return TopicState(job.tenant_id, job_topic(job.job_id), job.attempt, job.status, since.timestamp(), data, job.error)


def unfinished_jobs(*, only: Sequence[str] = (), but: Sequence[str] = ()) -> QuerySet[AIJob]:
    """Return all tenants' unfinished jobs: of the types `only`, or of all types except `but`.

    Only `academy.dispatch` may call this.
    """
    jobs = AIJob.objects.filter(status__in=UNFINISHED).exclude(job_type__in=but)
    return jobs.filter(job_type__in=only) if only else jobs


def message_of(job: AIJob) -> dict[str, Any]:
    """Return the queue message that starts a job. The tenant of the job must have been read with the row."""
    return {
        "job_id": str(job.job_id),
        "job_type": job.job_type,
        "tenant_id": job.tenant_id,
        "tenant_code": job.tenant.code,
    }


def tenant_of_job(job_id: UUID) -> int | None:
    """Return the id of the tenant of any job, or None if there is no such job.

    Call this only for a queue message that an older version sent: such a message does not name the tenant.
    """
    return AIJob.objects.filter(job_id=job_id).values_list("tenant_id", flat=True).first()


def status_of_job(tenant_id: int, job_id: UUID) -> str | None:
    return rows_of(tenant_id, AIJob).filter(job_id=job_id).values_list("status", flat=True).first()


def lock_job(tenant_id: int, job_id: UUID) -> AIJob | None:
    """Lock the job until the transaction ends, and return it. Return None if there is no such job."""
    return rows_of(tenant_id, AIJob).select_for_update().filter(job_id=job_id).first()


def new_job(
    *,
    tenant_id: int,
    job_id: UUID,
    job_type: str,
    payload: dict[str, Any],
    created_by: int | None,
    stored_bytes: int = 0,
) -> AIJob:
    """Return a new job, which is not written to the database yet."""
    return AIJob(
        tenant_id=tenant_id,
        job_id=job_id,
        job_type=job_type,
        payload=payload,
        created_by_id=created_by,
        stored_bytes=stored_bytes,
    )


def note_stored(tenant_id: int, job_id: UUID, stored_bytes: int) -> None:
    """Save how many bytes the files of a job take in the storage."""
    rows_of(tenant_id, AIJob).filter(job_id=job_id).update(stored_bytes=stored_bytes)


def forget_stored(job_type: str, ended_before: datetime) -> None:
    """Set `stored_bytes` to 0 for all jobs of this type that ended before this time, in all tenants.

    Only sweeps may call this.
    """
    AIJob.objects.filter(stored_bytes__gt=0, job_type=job_type, finished_at__lt=ended_before).update(stored_bytes=0)


def workbooks_of(tenant_id: int, job_ids: Sequence[UUID]) -> dict[UUID, AIJob]:
    """Return a dict from id to job, for a tenant's jobs with these ids. Ids without a job are left out.

    The ids come from the names of stored workbooks.
    """
    return {job.job_id: job for job in rows_of(tenant_id, AIJob).filter(job_id__in=job_ids)}


def needs_workbook(job: AIJob | None, kept: timedelta) -> bool:
    """Return whether the workbook of an import must be kept.

    It must be kept while the import is unfinished, and for the time `kept` after the end of an import that can be
    retried.
    """
    if job is None or job.status == JobStatus.DONE or "file" not in job.payload:
        return False
    if job.status in UNFINISHED:
        return True
    retryable = not job.payload.get("secrets_erased")
    return retryable and (job.finished_at or job.updated_at) > timezone.now() - kept


def forget_workbook(tenant_id: int, job_id: UUID) -> bool:
    """Record that the workbook of an import is no longer kept.

    Return False, and change nothing, if the import has not ended. Otherwise return True, even if there is no such job.
    """
    with transaction.atomic():
        job = lock_job(tenant_id, job_id)
        if job is None:
            return True
        if job.status in UNFINISHED:
            return False
        job.payload.pop("file", None)
        job.stored_bytes = 0
        job.save(update_fields=["payload", "stored_bytes"])
    return True


def claimed(job: AIJob) -> ClaimedJob:
    return ClaimedJob(job.tenant_id, job.job_id, job.job_type, job.attempt, job.payload)


def row_of(job: ClaimedJob) -> QuerySet[AIJob]:
    """Select the row of a claimed job, whatever its present state."""
    return rows_of(job.tenant_id, AIJob).filter(job_id=job.job_id)


def check_held(job: ClaimedJob) -> None:
    """Raise AttemptSupersededError if this attempt no longer holds the job."""
    if not _held(job).exists():
        raise AttemptSupersededError


@contextmanager
def holding(job: ClaimedJob) -> Iterator[None]:
    """Lock the job for this attempt during a `with` block, so that no other attempt begins and nobody ends the job.

    Use it only for a few quick statements, because it keeps a transaction open. Raises AttemptSupersededError if this
    attempt does not hold the job.
    """
    with transaction.atomic():
        if _held(job).select_for_update().first() is None:
            raise AttemptSupersededError
        yield


def keep_result(job: AIJob, result: dict[str, Any]) -> None:
    job.result, _ = AIJobResult.objects.update_or_create(job=job, defaults={"result": result})


def imported_rows(tenant_id: int, job_id: UUID, outcome: str | None = None) -> QuerySet[ImportedRow]:
    """Return the outcomes of an import's lines, sorted by line number. `outcome` selects lines by their outcome."""
    rows = ImportedRow.objects.filter(job__tenant_id=tenant_id, job__job_id=job_id)
    if outcome is not None:
        rows = rows.filter(outcome=outcome)
    return rows.select_related("student__user").order_by("line")


def _held(job: ClaimedJob) -> QuerySet[AIJob]:
    return row_of(job).filter(attempt=job.attempt, status=JobStatus.PROCESSING)


published_jobs = PublishedRows(state_of, in_feed=lambda _job: True)
