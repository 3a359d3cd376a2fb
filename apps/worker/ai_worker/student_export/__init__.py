"""The job of an export: writes students to a workbook for download. A search or a lecture can select the students."""

from collections.abc import Iterator
from typing import Any

from academy.adapters.db.django import repositories_ai
from academy.adapters.db.django.repositories_students import students_of
from academy.domain.jobs import ClaimedJob, JobFailedError
from academy.exports import keep_export, sweep_exports
from apps.worker.chunk_report import LAST_PERCENT, ChunkReport
from apps.worker.handlers import Handler, JobProgress
from apps.worker.workspace import workspace

STEPS = ("write", "store")
CHUNK_ROWS = 1_000
MAX_STUDENTS = 100_000


def export_students(job: ClaimedJob, progress: JobProgress) -> dict[str, Any]:
    """Write and store the workbook, and return `{"rows", "file_name"}`. Raises JobFailedError for too many students."""
    from academy.adapters.excel.student_sheet import COLUMNS, write_students  # noqa: PLC0415 - the import is slow

    progress.report("write", 0)
    chosen = students_of(job.tenant_id, search=job.payload["search"], lecture_id=job.payload["lecture_id"])
    total = chosen.count()
    if total > MAX_STUDENTS:
        raise JobFailedError(
            "too_many_students",
            f"{total:,} students are too many for one file, which holds {MAX_STUDENTS:,}: export lecture by lecture.",
        )
    # Read the rows chunk by chunk, because all of them together would need much memory.
    rows = chosen.values_list(*COLUMNS)[:total].iterator(CHUNK_ROWS)
    with workspace() as folder:
        path = folder / "students.xlsx"
        written = write_students(path, _reported(rows, total, ChunkReport(progress, "write")))
        progress.report("store", LAST_PERCENT)
        keep_export(job, path)
        repositories_ai.note_stored(job.tenant_id, job.job_id, path.stat().st_size)
    return {"rows": written, "file_name": job.payload["file_name"]}


def _reported(rows: Iterator[tuple[str, ...]], total: int, report: ChunkReport) -> Iterator[tuple[str, ...]]:
    for number, row in enumerate(rows, 1):
        yield row
        if number % CHUNK_ROWS == 0 or number == total:
            report(number, total)


HANDLER = Handler(STEPS, export_students, sweep=sweep_exports)
