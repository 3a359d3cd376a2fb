from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.hashers import is_password_usable
from django.db import OperationalError, connection
from django.utils import timezone

from academy.adapters.db.django import repositories_imports, students_chunk_sql
from academy.adapters.db.django.repositories_imports import ImportTotals
from academy.domain.jobs import AttemptSupersededError
from academy.domain.student_rows import ProblemCode, RowProblem, StudentRow
from apps.core.models import TenantMembership, User
from apps.domains.ai.models import AIJob, ImportedRow
from apps.domains.lectures.models import Enrollment
from apps.domains.students.models import Parent, Student
from apps.domains.students.services.bulk_from_excel import bulk_create_students_from_excel_rows
from apps.domains.students.services.lecture_enroll import LectureMissingError
from tests.students.people import Academy, Row, phone


def people(count: int, first: int = 0) -> list[Row]:
    return [StudentRow(place + 4, f"학생{place}", phone(place)) for place in range(first, first + count)]


def test_new_students_get_accounts_parents_and_places(academy: Academy) -> None:
    lecture = academy.lecture()
    rows: list[Row] = [
        StudentRow(4, "김민준", phone(1), phone(2), "한빛중", "2"),
        StudentRow(5, "김서연", phone(1)),
    ]
    totals = academy.run(rows, lecture_id=lecture.pk, password_hash="the hash")
    assert totals == ImportTotals(created=2)
    student = Student.objects.select_related("user", "parent").get(tenant=academy.tenant, name="김민준")
    assert (student.phone, student.parent_phone, student.school, student.grade) == (phone(2), phone(1), "한빛중", "2")
    assert student.deleted_at is None
    assert (student.user.name, student.user.password, student.user.must_change_password) == ("김민준", "the hash", True)
    assert (student.user.tenant, student.user.is_active, student.user.is_superuser) == (academy.tenant, True, False)
    assert (student.parent.phone, student.parent.user) == (phone(1), None)
    assert Parent.objects.filter(tenant=academy.tenant).count() == 1, "siblings have one parent"
    roles = TenantMembership.objects.filter(tenant=academy.tenant).values_list("role", flat=True)
    assert list(roles) == ["student", "student"]
    assert Enrollment.objects.filter(tenant=academy.tenant, lecture=lecture).count() == 2


def test_usernames_are_short_typable_and_reveal_nothing(academy: Academy) -> None:
    academy.run(people(300))
    names = set(User.objects.filter(tenant=academy.tenant).values_list("username", flat=True))
    assert len(names) == 300
    for name in names:
        assert len(name) == 8
        assert name.startswith("s")
        assert not set(name) & set("01ilouaey")


def test_an_account_without_a_password_accepts_no_password(academy: Academy) -> None:
    academy.run(people(1))
    assert not is_password_usable(User.objects.get(tenant=academy.tenant).password)


def test_the_newest_deleted_student_is_restored_with_the_password_and_fields_that_the_row_omits(
    academy: Academy,
) -> None:
    now = timezone.now()
    older = academy.student("김민준", phone(1), deleted_at=now - timedelta(days=2))
    newest = academy.student("김민준", phone(1), deleted_at=now, school="한빛중", grade="1")
    job_id = academy.job()
    totals = academy.run([StudentRow(4, "김민준", phone(1), grade="2")], job_id=job_id, password_hash="new")
    assert totals == ImportTotals(restored=1)
    older.refresh_from_db()
    newest.refresh_from_db()
    assert older.deleted_at is not None
    assert (newest.deleted_at, newest.school, newest.grade) == (None, "한빛중", "2")
    assert (newest.user.password, newest.user.must_change_password, newest.user.is_active) == ("old", False, True)
    assert ImportedRow.objects.get(job__job_id=job_id).student == newest


def test_a_row_equal_to_an_earlier_one_counts_as_existing_within_a_chunk_and_across(academy: Academy) -> None:
    rows = [*people(250), StudentRow(900, "학생0", phone(0)), StudentRow(901, "학생249", phone(249))]
    job_id = academy.job()
    assert academy.run(rows, job_id=job_id) == ImportTotals(created=250, existing=2)
    assert academy.outcomes(job_id)[900] == ("existing", "")
    assert academy.run(rows) == ImportTotals(existing=252)


def test_bad_rows_are_reported_and_the_other_rows_are_imported(academy: Academy) -> None:
    rows = [*people(2), RowProblem(50, ProblemCode.NAME_MISSING), RowProblem(51, ProblemCode.PHONE_INVALID, "김")]
    job_id = academy.job()
    assert academy.run(rows, job_id=job_id) == ImportTotals(created=2, failed=2)
    failed = ImportedRow.objects.filter(job__job_id=job_id, outcome="failed").order_by("line")
    assert [(row.line, row.code, row.name, row.student) for row in failed] == [
        (50, "name_missing", "", None),
        (51, "phone_invalid", "김", None),
    ]
    assert all(row.reason.endswith(".") for row in failed)


def test_progress_is_reported_after_each_chunk(academy: Academy) -> None:
    told: list[tuple[int, int]] = []
    academy.run(people(450), on_chunk=lambda done, total: told.append((done, total)))
    assert told == [(200, 450), (400, 450), (450, 450)]


def test_tenants_never_mix(academy: Academy) -> None:
    other = Academy()
    active = other.student("학생0", phone(0))
    deleted = other.student("학생1", phone(1), deleted_at=timezone.now())
    before = other.students()
    assert academy.run(people(2)) == ImportTotals(created=2)
    assert other.students() == before
    assert not ImportedRow.objects.filter(student__in=[active, deleted]).exists()
    assert set(Parent.objects.filter(students__tenant=academy.tenant).values_list("tenant_id", flat=True)) == {
        academy.id
    }


def test_another_academys_job_or_lecture_is_refused(academy: Academy) -> None:
    other = Academy()
    with pytest.raises(AttemptSupersededError):
        academy.run(people(1), job_id=other.job())
    with pytest.raises(LectureMissingError):
        academy.run(people(1), lecture_id=other.lecture().pk)
    assert academy.students() == []


def test_deleting_the_lecture_during_an_import_stops_it(academy: Academy) -> None:
    lecture = academy.lecture()
    with pytest.raises(LectureMissingError):
        academy.run(people(250), lecture_id=lecture.pk, on_chunk=lambda _done, _total: lecture.delete())
    assert len(academy.students()) == 200


# --- statements -------------------------------------------------------------------------------------------------------


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """Yield a list that collects the statements sent to PostgreSQL, except BEGIN, COMMIT, and the one that locks."""
    seen: list[str] = []

    def count(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql != students_chunk_sql.LOCK:
            seen.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        yield seen


@pytest.mark.parametrize("with_lecture", [False, True])
def test_a_chunk_of_200_mixed_rows_takes_at_most_5_statements(academy: Academy, with_lecture: bool) -> None:
    """Each chunk mixes new, known, deleted, repeated and bad rows."""
    for place in range(0, 600, 3):
        academy.student(f"학생{place}", phone(place), deleted_at=timezone.now() if place % 2 else None)
    rows = people(600)
    for place in range(5, 600, 10):
        rows[place] = RowProblem(rows[place].line, ProblemCode.PHONE_MISSING, "김")
        rows[place - 1] = StudentRow(rows[place - 1].line, *rows[place - 2].key)  # type: ignore[union-attr]
    chunks: list[int] = []
    job_id, lecture_id = academy.job(), academy.lecture().pk if with_lecture else None
    with counted_statements() as seen:
        totals = academy.run(
            rows, job_id=job_id, lecture_id=lecture_id, on_chunk=lambda _done, _total: chunks.append(len(seen))
        )
    assert min(totals.created, totals.restored, totals.existing, totals.failed) >= 60
    before = 3 if with_lecture else 2  # for the job, the lecture, and the lines with an outcome
    assert [end - start for start, end in pairwise([before, *chunks])] == [5, 5, 5]
    assert len(seen) == chunks[-1] + 1, "the totals"


# --- attempts ---------------------------------------------------------------------------------------------------------


def undisturbed(rows: list[Row]) -> tuple[ImportTotals, list[tuple[str, str, bool]], dict[int, tuple[str, str]]]:
    academy = Academy()
    job_id = academy.job()
    return academy.run(rows, job_id=job_id), academy.students(), academy.outcomes(job_id)


class KilledError(BaseException):
    """Simulates the end of the process: none of its code runs any more, and PostgreSQL rolls back its transaction."""


@pytest.mark.parametrize("fences_passed", [0, 1, 2])
def test_an_attempt_after_a_kill_has_the_result_of_an_undisturbed_import(academy: Academy, fences_passed: int) -> None:
    rows = [*people(450), StudentRow(900, "학생0", phone(0)), RowProblem(901, ProblemCode.NAME_MISSING)]
    job_id = academy.job()
    hold, calls = repositories_imports.hold_import, iter(range(10))

    def die_inside_the_transaction(claim: repositories_imports.ImportClaim) -> None:
        if next(calls) == fences_passed:
            raise KilledError
        hold(claim)

    with mock.patch.object(repositories_imports, "hold_import", die_inside_the_transaction), pytest.raises(KilledError):
        academy.run(rows, job_id=job_id)
    assert len(academy.students()) == len(academy.outcomes(job_id)) == fences_passed * 200
    AIJob.objects.filter(job_id=job_id).update(attempt=2)
    told: list[int] = []
    totals = academy.run(rows, job_id=job_id, attempt=2, on_chunk=lambda done, _total: told.append(done))
    assert (totals, academy.students(), academy.outcomes(job_id)) == undisturbed(rows)
    assert told[0] == fences_passed * 200 + min(200, len(rows) - fences_passed * 200), (
        "it goes on where the first ended"
    )


@pytest.mark.parametrize("change", [{"attempt": 2}, {"status": "CANCELLED"}])
def test_a_superseded_attempt_writes_nothing_more(academy: Academy, change: dict[str, Any]) -> None:
    job_id = academy.job()

    def superseded(_done: int, _total: int) -> None:
        AIJob.objects.filter(job_id=job_id).update(**change)

    with pytest.raises(AttemptSupersededError):
        academy.run(people(450), job_id=job_id, on_chunk=superseded)
    assert len(academy.students()) == len(academy.outcomes(job_id)) == 200
    with pytest.raises(AttemptSupersededError):
        academy.run(people(450), job_id=job_id)


# --- what goes wrong in the database ----------------------------------------------------------------------------------


@pytest.fixture
def refuse(transactional_db: None) -> Iterator[Callable[[str, str, int], None]]:
    """Yield `refuse(name, sqlstate, times)`, which makes PostgreSQL refuse to insert this student `times` times."""

    def install(name: str, code: str, times: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("CREATE SEQUENCE refusals")
            cursor.execute(f"""
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF NEW.name = '{name}' AND nextval('refusals') <= {times} THEN
                        RAISE EXCEPTION 'refused' USING ERRCODE = '{code}';
                    END IF;
                    RETURN NEW;
                END $$""")
            cursor.execute("CREATE TRIGGER refuse BEFORE INSERT ON students FOR EACH ROW EXECUTE FUNCTION refuse()")

    yield install
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION IF EXISTS refuse CASCADE")
        cursor.execute("DROP SEQUENCE IF EXISTS refusals")


Refuse = Callable[[str, str, int], None]


@pytest.mark.parametrize(
    ("code", "problem"), [("P0001", "internal"), ("23514", "internal"), ("22001", "internal"), ("23505", "conflict")]
)
def test_one_bad_row_does_not_stop_199_good_ones(academy: Academy, refuse: Refuse, code: str, problem: str) -> None:
    refuse("학생7", code, 1_000_000)
    job_id = academy.job()
    rows = people(200)
    assert academy.run(rows, job_id=job_id) == ImportTotals(created=199, failed=1)
    assert academy.outcomes(job_id)[rows[7].line] == ("failed", problem)
    assert not User.objects.filter(tenant=academy.tenant, name="학생7").exists()


@pytest.mark.parametrize("code", ["40P01", "40001"])
def test_a_deadlock_is_tried_again(academy: Academy, refuse: Refuse, code: str) -> None:
    refuse("학생7", code, 2)
    with counted_statements() as seen:
        assert academy.run(people(200)) == ImportTotals(created=200)
    assert sum(sql == students_chunk_sql.SAVE for sql in seen) == 3


def test_a_row_that_always_deadlocks_is_reported_as_a_conflict(academy: Academy, refuse: Refuse) -> None:
    refuse("학생7", "40P01", 1_000_000)
    job_id = academy.job()
    rows = people(20)
    assert academy.run(rows, job_id=job_id) == ImportTotals(created=19, failed=1)
    assert academy.outcomes(job_id)[rows[7].line] == ("failed", "conflict")


def test_a_row_with_text_that_the_database_rejects_fails_alone(academy: Academy) -> None:
    rows: list[Row] = [*people(2), StudentRow(90, "김\x00", phone(90)), StudentRow(91, "김\ud800", phone(91))]
    job_id = academy.job()
    assert academy.run(rows, job_id=job_id) == ImportTotals(created=2, failed=2)
    assert academy.outcomes(job_id)[90] == academy.outcomes(job_id)[91] == ("failed", "internal")


def test_a_full_disk_is_not_blamed_on_the_row(academy: Academy, refuse: Refuse) -> None:
    refuse("학생7", "53100", 1_000_000)
    job_id = academy.job()
    with pytest.raises(OperationalError):
        academy.run(people(20), job_id=job_id)
    assert academy.outcomes(job_id) == {}


def test_a_taken_username_is_replaced(academy: Academy) -> None:
    User.objects.create(tenant=academy.tenant, username="staken22", password="")
    names = ["staken22", *(f"sfree{place:03d}" for place in range(10))]
    with mock.patch("apps.domains.students.services.chunks.make_username", side_effect=names):
        assert academy.run(people(3)) == ImportTotals(created=3)


def test_importing_row_by_row_has_the_same_outcomes(academy: Academy) -> None:
    academy.student("학생0", phone(0))
    academy.student("학생1", phone(1), deleted_at=timezone.now())
    rows = [*people(4), StudentRow(50, "학생3", phone(3)), RowProblem(51, ProblemCode.NAME_MISSING)]
    totals = academy.run(rows, bulk_create_students_from_excel_rows)
    assert totals == ImportTotals(created=2, restored=1, existing=2, failed=1)
