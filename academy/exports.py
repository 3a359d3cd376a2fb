"""Workbooks to download: exports of students, and the failed rows of imports.

They contain personal data, so each is deleted after a day.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.utils import timezone

from academy import jobs, quotas
from academy.adapters.db.django import repositories_ai
from academy.domain.jobs import STUDENT_EXPORT, AttemptSupersededError, ClaimedJob

KEPT = timedelta(hours=24)
FOLDER = "exports"


class ExportGoneError(Exception):
    """The file is no longer kept: it is deleted after 24 hours. Export the students again."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


def submit_export(*, tenant_id: int, created_by: int | None, lecture_id: int | None, search: str | None) -> UUID:
    """Create an export job and return its id. The students are selected when the job runs.

    Raises QuotaError if a quota is used up.
    """
    quotas.check_before(tenant_id, adds_bytes=0)
    payload = {
        "file_name": f"학생 명단 {timezone.localdate()}.xlsx",
        "lecture_id": lecture_id,
        "search": search,
    }
    return jobs.submit(tenant_id=tenant_id, job_type=STUDENT_EXPORT, payload=payload, created_by=created_by)


def keep_export(job: ClaimedJob, path: Path) -> None:
    """Store the workbook that this attempt has made, and delete those of earlier attempts.

    Raises AttemptSupersededError, and stores nothing, if the attempt no longer holds the job.

    Each attempt stores a file of its own. So a superseded attempt cannot replace the file of a newer one, and storing
    needs no lock. `sweep_exports` deletes a file that a killed worker leaves behind.
    """
    repositories_ai.check_held(job)
    name = _name(job.tenant_id, job.job_id, job.attempt)
    with path.open("rb") as workbook:
        default_storage.save(name, File(workbook))
    try:
        repositories_ai.check_held(job)
    except AttemptSupersededError:
        default_storage.delete(name)
        raise
    for earlier in range(1, job.attempt):
        default_storage.delete(_name(job.tenant_id, job.job_id, earlier))


def open_export(tenant_id: int, job_id: UUID, attempt: int, finished_at: datetime) -> "File[bytes]":
    """Open the file of a job that is DONE. `attempt` is the attempt that stored it.

    Raises ExportGoneError if there is no file, or if `KEPT` has passed since `finished_at`, even if the file has not
    been deleted yet.
    """
    if timezone.now() - finished_at >= KEPT:
        raise ExportGoneError
    for name in (_name(tenant_id, job_id, attempt), _old_name(tenant_id, job_id)):
        with suppress(FileNotFoundError):
            return default_storage.open(name, "rb")
    raise ExportGoneError


def sweep_exports() -> None:
    """Delete every exported file that is older than `KEPT`, whatever the state of its job."""
    with suppress(FileNotFoundError):  # nothing was exported yet, or another worker deleted the file first
        for tenant in default_storage.listdir(FOLDER)[0]:
            for file in default_storage.listdir(f"{FOLDER}/{tenant}")[1]:
                _sweep(f"{FOLDER}/{tenant}/{file}")
    repositories_ai.forget_stored(STUDENT_EXPORT, timezone.now() - KEPT)


def _sweep(name: str) -> None:
    if timezone.now() - default_storage.get_modified_time(name) >= KEPT:
        default_storage.delete(name)


def _name(tenant_id: int, job_id: UUID, attempt: int) -> str:
    return f"{FOLDER}/{tenant_id}/{job_id}-{attempt}.xlsx"


def _old_name(tenant_id: int, job_id: UUID) -> str:
    """Return the name under which an older version stored the one file of all attempts.

    Such files exist only for `KEPT` (24 hours) after the update from that version. Remove this function in version 0.2.
    """
    return f"{FOLDER}/{tenant_id}/{job_id}.xlsx"
