"""Queries on the outcomes of an import's rows, and the check that keeps a superseded attempt from writing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Count

from academy.adapters.db.django.tenancy import rows_of
from academy.domain.jobs import AttemptSupersededError
from apps.domains.ai.models import AIJob, ImportedRow


@dataclass(frozen=True, slots=True)
class ImportClaim:
    """An attempt of an import. Each transaction of the attempt checks that the attempt still holds the job.

    `job_key` is the id of the job's row.
    """

    tenant_id: int
    job_key: int
    attempt: int


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """The outcome of one line of a workbook. `code` and `reason` are '' unless the line failed."""

    line: int
    outcome: str
    name: str
    student_id: int | None = None
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ImportTotals:
    """How many rows had each outcome."""

    created: int = 0
    restored: int = 0
    existing: int = 0
    failed: int = 0

    def as_result(self) -> dict[str, int]:
        """Return `{"created": n, "restored": n, "existing": n, "failed": n}`."""
        return asdict(self)


def claim_import(tenant_id: int, job_id: UUID, attempt: int) -> ImportClaim:
    """Return the claim of an attempt. Raises AttemptSupersededError if the attempt does not hold the job."""
    jobs = rows_of(tenant_id, AIJob).filter(job_id=job_id, attempt=attempt, status="PROCESSING")
    job_key = jobs.values_list("id", flat=True).first()
    if job_key is None:
        raise AttemptSupersededError
    return ImportClaim(tenant_id, job_key, attempt)


def hold_import(claim: ImportClaim) -> None:
    """Lock the job until the current transaction ends.

    Raises AttemptSupersededError if this attempt no longer holds the job: the caller must then roll back the
    transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE aijob SET updated_at = now() "
            "WHERE id = %s AND tenant_id = %s AND attempt = %s AND status = 'PROCESSING'",
            [claim.job_key, claim.tenant_id, claim.attempt],
        )
        if cursor.rowcount != 1:
            raise AttemptSupersededError


def lines_done(claim: ImportClaim) -> set[int]:
    """Return the numbers of the lines that have an outcome already, from this attempt or an earlier one."""
    return set(ImportedRow.objects.filter(job_id=claim.job_key).values_list("line", flat=True))


def save_outcomes(claim: ImportClaim, outcomes: Sequence[RowOutcome]) -> None:
    """Save these outcomes with one statement. None of their lines may have a saved outcome yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO aijob_row (job_id, line, outcome, name, student_id, code, reason) "
            "SELECT %s, * FROM unnest(%s::int[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[])",
            [
                claim.job_key,
                [outcome.line for outcome in outcomes],
                [outcome.outcome for outcome in outcomes],
                [outcome.name for outcome in outcomes],
                [outcome.student_id for outcome in outcomes],
                [outcome.code for outcome in outcomes],
                [outcome.reason for outcome in outcomes],
            ],
        )


def import_totals(claim: ImportClaim) -> ImportTotals:
    counts = ImportedRow.objects.filter(job_id=claim.job_key).values_list("outcome").annotate(rows=Count("id"))
    return ImportTotals(**dict(counts))
