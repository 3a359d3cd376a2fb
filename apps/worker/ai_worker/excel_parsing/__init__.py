"""The job of an Excel import: fetches the workbook, reads it in a confined process, and creates students from it."""

import shutil
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from django.core.files.storage import default_storage

from academy.adapters.db.django import repositories_ai
from academy.adapters.excel.bounded import read_student_rows
from academy.adapters.excel.errors import WorkbookError
from academy.domain.jobs import ClaimedJob, JobFailedError
from academy.domain.student_rows import RowProblem, StudentRow
from academy.exports import keep_export
from apps.domains.students.services.bulk_from_excel import bulk_create_students_from_excel_rows_optimized
from apps.domains.students.services.lecture_enroll import LectureMissingError
from apps.worker.chunk_report import ChunkReport
from apps.worker.handlers import Handler, JobProgress
from apps.worker.sweeping import sweep_storage
from apps.worker.workspace import workspace

STEPS = ("parse", "import")
PARSE_PERCENT = 5.0
"""The progress of the job, in percent, when its file has been read."""


def import_students(job: ClaimedJob, progress: JobProgress) -> dict[str, Any]:
    """Import the workbook, and return `{"created", "restored", "existing", "failed"}`.

    If rows have failed, store a second workbook with these rows, so that somebody can correct them. Raises
    JobFailedError if the workbook cannot be read, or if the lecture does not exist.
    """
    progress.report("parse", 0)
    rows = read_rows(job)
    progress.report("import", PARSE_PERCENT)
    try:
        totals = bulk_create_students_from_excel_rows_optimized(
            tenant_id=job.tenant_id,
            job_id=job.job_id,
            attempt=job.attempt,
            rows=rows,
            lecture_id=job.payload.get("lecture_id"),
            password_hash=job.payload.get("password_hash"),
            on_chunk=ChunkReport(progress, "import", PARSE_PERCENT),
        )
    except LectureMissingError as problem:
        raise JobFailedError("lecture_missing", str(problem)) from None
    if totals.failed:
        keep_failed_rows(job, rows)
    return totals.as_result()


def keep_failed_rows(job: ClaimedJob, rows: Sequence[StudentRow | RowProblem]) -> None:
    """Store a workbook of the rows that failed in this attempt or an earlier one.

    Raises AttemptSupersededError if this attempt no longer holds the job.
    """
    from academy.adapters.excel.student_sheet import COLUMNS, write_failed_rows  # noqa: PLC0415 - the import is slow

    outcomes = repositories_ai.imported_rows(job.tenant_id, job.job_id, "failed")
    codes = dict(outcomes.values_list("line", "code"))
    failed = [(row.texts(COLUMNS), row.line, codes[row.line]) for row in rows if row.line in codes]
    with workspace() as folder:
        path = folder / "failed.xlsx"
        write_failed_rows(path, failed)
        keep_export(job, path)


def read_rows(job: ClaimedJob) -> list[StudentRow | RowProblem]:
    file_name = str(job.payload["file_name"])
    with workspace() as folder:
        path = folder / f"workbook{PurePath(file_name).suffix.lower()}"
        with default_storage.open(job.payload["file"], "rb") as stored, path.open("wb") as local:
            shutil.copyfileobj(stored, local)
        try:
            return read_student_rows(path, file_name)
        except WorkbookError as problem:
            raise JobFailedError(problem.code, problem.message) from problem


def forget_file(job: ClaimedJob) -> None:
    """Delete the workbook after the import, because it holds names and phone numbers."""
    repositories_ai.note_stored(job.tenant_id, job.job_id, 0)  # first: if deleting the file fails, a sweep deletes it
    default_storage.delete(job.payload["file"])


HANDLER = Handler(STEPS, import_students, forget_file, sweep_storage)
