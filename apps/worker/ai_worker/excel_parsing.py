"""The Excel import as a job: the file is fetched, read in a bounded process, and its rows become students."""

import shutil
import tempfile
import time
from pathlib import Path, PurePath
from typing import Any

from django.core.files.storage import default_storage

from academy.adapters.excel.bounded import read_student_rows
from academy.adapters.excel.errors import WorkbookError
from academy.domain.jobs import ClaimedJob, JobFailedError
from academy.domain.student_rows import RowProblem, StudentRow
from apps.domains.students.services.bulk_from_excel import bulk_create_students_from_excel_rows_optimized
from apps.domains.students.services.lecture_enroll import LectureMissingError
from apps.worker.handlers import JobProgress

STEPS = ("parse", "import")
PARSE_PERCENT = 5.0
"""How much of the bar reading the file is worth."""
LAST_PERCENT = 99.0
"""100 is DONE's alone."""


def import_students(job: ClaimedJob, progress: JobProgress) -> dict[str, Any]:
    """`{"created", "restored", "existing", "failed"}`. Raises JobFailedError for a workbook that cannot be read."""
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
            on_chunk=ChunkReport(progress),
        )
    except LectureMissingError as problem:
        raise JobFailedError("lecture_missing", str(problem)) from None
    return totals.as_result()


def read_rows(job: ClaimedJob) -> list[StudentRow | RowProblem]:
    file_name = str(job.payload["file_name"])
    with tempfile.TemporaryDirectory(prefix="academy-import-") as folder:
        path = Path(folder) / f"workbook{PurePath(file_name).suffix.lower()}"
        with default_storage.open(job.payload["file"], "rb") as stored, path.open("wb") as local:
            shutil.copyfileobj(stored, local)
        try:
            return read_student_rows(path, file_name)
        except WorkbookError as problem:
            raise JobFailedError(problem.code, problem.message) from problem


def forget_file(job: ClaimedJob) -> None:
    """The workbook holds names and phone numbers: it is not kept once they are imported."""
    default_storage.delete(job.payload["file"])


class ChunkReport:
    """Progress after each chunk; the remaining seconds from the pace so far. Raises WorkerStopsError."""

    def __init__(self, progress: JobProgress) -> None:
        self._progress = progress
        self._started = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        share = done / total
        percent = min(LAST_PERCENT, PARSE_PERCENT + share * (100 - PARSE_PERCENT))
        remaining = self._remaining(done, total)
        self._progress.report(
            "import",
            percent,
            step_percent=100 * share,
            remaining=remaining,
            counts={"rows_done": done, "rows_total": total},
            milestone=True,
        )
        if done < total:
            self._progress.go_on(remaining or 0.0)

    def _remaining(self, done: int, total: int) -> float | None:
        if self._first is None:
            # What an earlier attempt did says nothing about the pace of this one; neither does the first chunk.
            self._first, self._started = done, time.monotonic()
            return None
        pace = (time.monotonic() - self._started) / max(1, done - self._first)
        return round(pace * (total - done), 1)
