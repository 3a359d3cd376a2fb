"""Saves a workbook's rows as students, in chunks. A student is saved in the same transaction as its row's outcome."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import structlog
from django.contrib.auth.hashers import make_password
from django.db import transaction

from academy.adapters.db.django import repositories_imports as imports
from academy.adapters.db.django.repositories_imports import ImportClaim, ImportTotals, RowOutcome
from academy.adapters.db.django.repositories_students import Key
from academy.domain.student_rows import ProblemCode, RowProblem, StudentRow, clean_text
from apps.domains.students.services.chunks import save_students
from apps.domains.students.services.import_errors import SAVE_ERRORS, is_concurrent, is_of_a_row, try_again
from apps.domains.students.services.lecture_enroll import check_lecture, enroll_in_transaction

CHUNK_ROWS = 200

Row = StudentRow | RowProblem
Progress = Callable[[int, int], None]
"""Called after each chunk with the number of rows that have an outcome, and the number of all rows."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Import:
    claim: ImportClaim
    lecture_id: int | None
    password_hash: str

    @property
    def tenant_id(self) -> int:
        return self.claim.tenant_id


def bulk_create_students_from_excel_rows_optimized(
    *,
    tenant_id: int,
    job_id: UUID,
    attempt: int,
    rows: Sequence[Row],
    lecture_id: int | None = None,
    password_hash: str | None = None,
    on_chunk: Progress | None = None,
) -> ImportTotals:
    """Create, restore or find the student of each row, in transactions of up to 200 rows.

    Each transaction takes a lock and sends at most 5 more statements. A bad row does not affect other rows: if it makes
    a transaction fail, the rows of that transaction are saved one by one. Skips lines that have an outcome from an
    earlier attempt. Returns the totals of all attempts. New accounts get `password_hash`; without it, nobody can sign
    in to them.

    Raises AttemptSupersededError if this attempt no longer holds the job, LectureMissingError if the lecture does not
    exist, and a DatabaseError that no row caused, such as a lost connection. Committed rows stay, and the next attempt
    continues after them.
    """
    task = _begin(tenant_id, job_id, attempt, lecture_id, password_hash)
    return _import(task, rows, on_chunk, _save_chunk)


def bulk_create_students_from_excel_rows(
    *,
    tenant_id: int,
    job_id: UUID,
    attempt: int,
    rows: Sequence[Row],
    lecture_id: int | None = None,
    password_hash: str | None = None,
    on_chunk: Progress | None = None,
) -> ImportTotals:
    """Import the rows as `bulk_create_students_from_excel_rows_optimized` does, but each in its own transaction.

    Tests compare the results and the speed of the two functions.
    """
    task = _begin(tenant_id, job_id, attempt, lecture_id, password_hash)
    return _import(task, rows, on_chunk, _save_rows)


def _begin(tenant_id: int, job_id: UUID, attempt: int, lecture_id: int | None, password_hash: str | None) -> _Import:
    claim = imports.claim_import(tenant_id, job_id, attempt)
    check_lecture(tenant_id, lecture_id)
    return _Import(claim, lecture_id, password_hash or make_password(None))


def _import(
    task: _Import, rows: Sequence[Row], on_chunk: Progress | None, save: Callable[[_Import, Sequence[Row]], None]
) -> ImportTotals:
    finished = imports.lines_done(task.claim)
    waiting = [row for row in rows if row.line not in finished]
    done = len(rows) - len(waiting)
    for start in range(0, len(waiting), CHUNK_ROWS):
        chunk = waiting[start : start + CHUNK_ROWS]
        save(task, chunk)
        done += len(chunk)
        if on_chunk:
            on_chunk(done, len(rows))
    return imports.import_totals(task.claim)


def _save_chunk(task: _Import, chunk: Sequence[Row]) -> None:
    try:
        try_again(partial(_write_chunk, task, chunk))
    except SAVE_ERRORS as error:
        if not is_of_a_row(error):
            raise
        log.warning("chunk_failed", lines=[chunk[0].line, chunk[-1].line], error=_first_line(error))
        _save_rows(task, chunk)


def _save_rows(task: _Import, chunk: Sequence[Row]) -> None:
    for row in chunk:
        try:
            try_again(partial(_write_row, task, row))
        except SAVE_ERRORS as error:
            if not is_of_a_row(error):
                raise
            log.warning("row_failed", line=row.line, error=_first_line(error))
            code = ProblemCode.CONFLICT if is_concurrent(error) else ProblemCode.INTERNAL
            _write_row(task, RowProblem(row.line, code, clean_text(row.name)))


def _first_line(error: Exception) -> str:
    """Return the first line of the error, without PostgreSQL's DETAIL, which would show the values of the row."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


@transaction.atomic(durable=True)
def _write_row(task: _Import, row: Row) -> None:
    if isinstance(row, RowProblem):
        outcome = _failed(row)
    else:
        enrolled = enroll_in_transaction(task.tenant_id, row, task.lecture_id, task.password_hash)
        outcome = RowOutcome(row.line, enrolled.outcome, row.name, enrolled.student_id)
    imports.save_outcomes(task.claim, [outcome])
    imports.hold_import(task.claim)


@transaction.atomic(durable=True)
def _write_chunk(task: _Import, chunk: Sequence[Row]) -> None:
    first_rows: dict[Key, StudentRow] = {}
    for row in chunk:
        if isinstance(row, StudentRow):
            first_rows.setdefault(row.key, row)
    outcomes: dict[Key, tuple[str, int]] = {}
    if first_rows:
        outcomes = save_students(task.tenant_id, first_rows, task.lecture_id, task.password_hash)
    imports.save_outcomes(task.claim, [_outcome(row, first_rows, outcomes) for row in chunk])
    imports.hold_import(task.claim)


def _outcome(row: Row, first_rows: dict[Key, StudentRow], outcomes: dict[Key, tuple[str, int]]) -> RowOutcome:
    if isinstance(row, RowProblem):
        return _failed(row)
    outcome, student_id = outcomes[row.key]
    # Only the first row with a key can create or restore the student. For the others, the student exists already.
    return RowOutcome(row.line, outcome if first_rows[row.key] is row else "existing", row.name, student_id)


def _failed(problem: RowProblem) -> RowOutcome:
    return RowOutcome(problem.line, "failed", problem.name, code=problem.code, reason=problem.reason)
