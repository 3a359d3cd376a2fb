import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from academy.adapters.db.django.repositories_imports import ImportTotals
from academy.adapters.db.django.repositories_students import lock_students
from academy.domain.student_rows import StudentRow
from apps.core.models import User
from apps.domains.students.models import Student
from apps.domains.students.services.bulk_from_excel import bulk_create_students_from_excel_rows_optimized
from apps.domains.students.services.lecture_enroll import get_or_create_student_for_lecture_enroll
from tests.students.people import Academy, Row, phone

COUNT = 600


def test_two_simultaneous_imports_of_one_file_create_each_student_once(academy: Academy) -> None:
    """One import reads the file from its end, so that both lock the same rows in opposite order."""
    for place in range(0, COUNT, 4):
        academy.student(f"학생{place}", phone(place), deleted_at=timezone.now())
    rows: list[Row] = [StudentRow(place + 4, f"학생{place}", phone(place // 2)) for place in range(COUNT)]
    jobs, together = [academy.job(), academy.job()], Barrier(2)

    def work(job_id: UUID, mine: list[Row]) -> ImportTotals:
        try:
            together.wait(timeout=60)
            return academy.run(mine, job_id=job_id)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(work, jobs, [rows, rows[::-1]])
    assert first.failed == second.failed == 0
    assert first.created + second.created + first.restored + second.restored == COUNT
    assert first.existing + second.existing == COUNT
    active = Student.objects.filter(tenant=academy.tenant, deleted_at=None)
    assert active.count() == active.values("name").distinct().count() == COUNT
    assert User.objects.filter(tenant=academy.tenant).count() == Student.objects.filter(tenant=academy.tenant).count()


def test_single_enrolments_during_an_import_create_no_duplicates(academy: Academy) -> None:
    rows: list[Any] = [StudentRow(place + 4, f"학생{place}", phone(place)) for place in range(200)]
    together = Barrier(2)

    def one_by_one() -> list[str]:
        try:
            together.wait(timeout=60)
            return [
                get_or_create_student_for_lecture_enroll(tenant_id=academy.id, row=row).outcome for row in rows[::10]
            ]
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        singles = threads.submit(one_by_one)
        together.wait(timeout=60)
        totals = academy.run(rows)
        outcomes = singles.result(timeout=60)
    assert totals.failed == 0
    assert totals.created + outcomes.count("created") == len(rows)
    assert len(academy.students()) == len(rows)


def test_an_import_waits_for_its_own_academys_lock_only(academy: Academy) -> None:
    other = Academy()
    job_id = other.job()
    rows: list[Row] = [StudentRow(4, "김민준", phone(1))]

    def work() -> ImportTotals:
        try:
            return academy.run(rows)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            lock_students(academy.id)
            waiting = threads.submit(work)
            wait_for_a_waiter()
            assert other.run(rows, run_in_thread, job_id=job_id) == ImportTotals(created=1)
            assert academy.students() == []
        assert waiting.result(timeout=60) == ImportTotals(created=1)


def run_in_thread(**options: Any) -> ImportTotals:
    """Run an import in a thread, on a connection of its own: the test's connection is in a transaction."""

    def work() -> ImportTotals:
        try:
            return bulk_create_students_from_excel_rows_optimized(**options)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(work).result(timeout=60)


def wait_for_a_waiter(seconds: float = 60) -> None:
    """Wait until PostgreSQL reports that a session waits for an advisory lock."""
    deadline = time.monotonic() + seconds
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            if cursor.fetchone()[0]:
                return
    raise AssertionError("Nobody waits for the lock.")
