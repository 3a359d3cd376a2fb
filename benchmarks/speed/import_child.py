"""`python -m benchmarks.speed.import_child ROWS…`: imports students in three ways, and prints the times as JSON lines.

`benchmarks/speed/importing.py` starts it with the address of a migrated database. The ways:

* `bulk`: the product's import, in chunks of 200 rows;
* `row by row`: the same import, with a transaction for each row;
* `COPY`: the rows that the first way wrote into the five tables, copied into empty tables with the same columns and
  indexes. There is no check, no search for students that exist, and no outcome of a row. No import can be faster.
"""

import json
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any
from uuid import UUID

import django

django.setup()

from django.db import connection

from academy.adapters.db.django.repositories_core import create_tenant
from academy.adapters.excel.sample_people import invent_students
from academy.domain.student_rows import StudentRow
from apps.domains.ai.models import AIJob
from apps.domains.students.services.bulk_from_excel import (
    bulk_create_students_from_excel_rows,
    bulk_create_students_from_excel_rows_optimized,
)

TABLES = ("user", "tenant_membership", "parents", "students")
OUTCOMES = "aijob_row"
MOST_ROW_BY_ROW = 1_000
"""Row by row, more rows would take minutes, at the same pace."""


def main() -> int:
    timed_import(bulk_create_students_from_excel_rows_optimized, 200)  # loads what the first one needs
    for rows in map(int, sys.argv[1:]):
        seconds, tenant_id = timed_import(bulk_create_students_from_excel_rows_optimized, rows)
        print_figures("bulk", rows, seconds)
        if rows <= MOST_ROW_BY_ROW:
            print_figures("row by row", rows, timed_import(bulk_create_students_from_excel_rows, rows)[0])
        print_figures("COPY", rows, timed_copy(tenant_id))
    return 0


def print_figures(how: str, rows: int, seconds: float) -> None:
    print(json.dumps({"how": how, "rows": rows, "seconds": round(seconds, 4)}), flush=True)


def timed_import(work: Callable[..., Any], rows: int) -> tuple[float, int]:
    """Import `rows` students into a new academy. Return how many seconds it took, and the academy's id."""
    people: list[StudentRow] = invent_students(rows, Random(rows))  # noqa: S311 - invented people are no secret
    tenant_id, job_id = new_job(f"bench-{time.time_ns()}")
    began = time.perf_counter()
    totals = work(tenant_id=tenant_id, job_id=job_id, attempt=1, rows=people)
    seconds = time.perf_counter() - began
    if totals.created != rows:
        raise SystemExit(f"The import made {totals.created} of {rows} students.")
    return seconds, tenant_id


def new_job(code: str) -> tuple[int, UUID]:
    tenant = create_tenant(code, "An academy")
    assert tenant is not None  # noqa: S101 - the code is new
    return tenant.pk, AIJob.objects.create(tenant=tenant, job_type="excel_parsing", status="PROCESSING").job_id


def timed_copy(tenant_id: int) -> float:
    """Copy all rows that an import wrote into empty tables. Return the seconds, without those of reading them."""
    sources = {table: f'SELECT * FROM "{table}" WHERE tenant_id = {tenant_id}' for table in TABLES}  # noqa: S608
    job = f"SELECT id FROM aijob WHERE tenant_id = {tenant_id}"  # noqa: S608
    sources[OUTCOMES] = f"SELECT * FROM {OUTCOMES} WHERE job_id IN ({job})"  # noqa: S608
    seconds = 0.0
    with connection.cursor() as cursor:
        for table, source in sources.items():
            with cursor.copy(f"COPY ({source}) TO STDOUT") as reading:
                content = b"".join(bytes(block) for block in reading)
            cursor.execute(f'CREATE TABLE "bare_{table}" (LIKE "{table}" INCLUDING ALL)')
            began = time.perf_counter()
            with cursor.copy(f'COPY "bare_{table}" FROM STDIN') as writing:
                writing.write(content)
            seconds += time.perf_counter() - began
            cursor.execute(f'DROP TABLE "bare_{table}"')
    return seconds


if __name__ == "__main__":
    sys.exit(main())
