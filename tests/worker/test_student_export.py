"""Tests of the export: its students and cells, the attempt whose file is kept, and how long the file is kept."""

import tempfile
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import openpyxl
import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.utils import timezone

from academy import exports, jobs
from academy.adapters.excel.bounded import read_student_rows
from academy.adapters.excel.student_sheet import write_failed_rows, write_students
from academy.domain.jobs import STUDENT_EXPORT
from academy.domain.student_rows import ProblemCode, StudentRow
from apps.domains.ai.models import AIJob
from apps.domains.students.models import Student
from apps.worker import sweeping
from apps.worker.ai_worker import student_export
from apps.worker.ai_worker.dispatcher import HANDLERS
from apps.worker.chunk_report import ChunkReport
from tests.students.people import Academy, phone
from tests.worker.conftest import PATIENCE_SECONDS, Bench

HEADERS = ("이름", "학교", "학년", "학생 전화번호", "학부모 전화번호")


@pytest.fixture
def exporting(bench: Bench, storage: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a bench that can export, and give it a temporary folder that tests can read."""
    bench.handlers[STUDENT_EXPORT] = HANDLERS[STUDENT_EXPORT]
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return bench


def submit(bench: Bench, lecture_id: int | None = None, search: str | None = None) -> UUID:
    return exports.submit_export(
        tenant_id=bench.tenant.pk,
        created_by=None,
        lecture_id=lecture_id,
        search=search,
    )


def kept(bench: Bench) -> list[str]:
    """Return the files of this academy's exports."""
    try:
        return default_storage.listdir(f"exports/{bench.tenant.pk}")[1]
    except FileNotFoundError:
        return []


def sheet_of(bench: Bench, job_id: UUID, attempt: int = 1) -> list[tuple[Any, ...]]:
    with default_storage.open(f"exports/{bench.tenant.pk}/{job_id}-{attempt}.xlsx", "rb") as file:
        book = openpyxl.load_workbook(file)
    cells = [cell for row in book.active.iter_rows() for cell in row if cell.value is not None]
    assert {(cell.data_type, type(cell.value)) for cell in cells} == {("s", str)}
    assert all(cell.number_format == "@" and cell.quotePrefix for cell in cells if cell.row > 1)
    return list(book.active.values)


def students(academy: Academy, number: int) -> None:
    academy.run([StudentRow(line, f"학생{line:05d}", phone(line)) for line in range(1, number + 1)])


def test_every_student_is_exported_and_each_chunk_is_reported(
    exporting: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []

    class Listening(ChunkReport):
        def __call__(self, done: int, total: int) -> None:
            super().__call__(done, total)
            told.append((done, exporting.record(job_id)["data"]["rows_done"]))

    monkeypatch.setattr(student_export, "ChunkReport", Listening)
    monkeypatch.setattr(student_export, "CHUNK_ROWS", 100)
    students(Academy(exporting.tenant), 250)
    before = timezone.localdate()
    job_id = submit(exporting)
    exporting.handle_next()
    assert told == [(100, 100), (200, 200), (250, 250)]
    names = [f"학생 명단 {day}.xlsx" for day in (before, timezone.localdate())]  # the test may run over midnight
    result = exporting.record(job_id)["data"]["result"]
    assert result == {"rows": 250, "file_name": result["file_name"]}
    assert result["file_name"] in names
    assert exporting.state(job_id) == ("DONE", 1)
    header, *rows = sheet_of(exporting, job_id)
    assert header == HEADERS
    assert [row[0] for row in rows] == [f"학생{line:05d}" for line in range(1, 251)]
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_the_export_has_the_same_students_as_the_list(exporting: Bench) -> None:
    academy = Academy(exporting.tenant)
    lecture, people = academy.lecture(), [("나하나", "한빛고"), ("나두리", "새봄고"), ("다세나", "한빛고")]
    rows: list[Any] = [StudentRow(line, name, phone(line), school=school) for line, (name, school) in enumerate(people)]
    academy.run(rows[:2], lecture_id=lecture.pk)
    academy.run(rows[2:])
    academy.student("나지움", phone(8), school="한빛고", deleted_at=timezone.now())
    Academy().run(rows)

    def names(**filters: Any) -> list[str]:
        job_id = submit(exporting, **filters)
        exporting.handle_next()
        return [row[0] for row in sheet_of(exporting, job_id)[1:]]

    assert names() == ["나두리", "나하나", "다세나"]
    assert names(lecture_id=lecture.pk) == ["나두리", "나하나"]
    assert names(search="한빛 고") == ["나하나", "다세나"]
    assert names(lecture_id=lecture.pk, search="한빛") == ["나하나"]


def test_without_students_the_sheet_has_only_headers(exporting: Bench) -> None:
    job_id = submit(exporting, search="nobody")
    exporting.handle_next()
    assert exporting.state(job_id) == ("DONE", 1)
    assert exporting.record(job_id)["data"]["result"]["rows"] == 0
    assert sheet_of(exporting, job_id) == [HEADERS]


NAMES = ["=1+1", "=HYPERLINK(A1)", "+82", "-가", "@sum(A1)", "#N/A", "1", "TRUE", "<&>", "나 세나", "金", "🙂"]


def test_an_export_can_be_imported_again_unchanged(exporting: Bench, tmp_path: Path) -> None:
    here, there = Academy(exporting.tenant), Academy()
    rows: list[Any] = [
        StudentRow(line, name, phone(line), phone(900 + line), name, name[:20]) for line, name in enumerate(NAMES, 1)
    ]
    here.run([*rows, StudentRow(99, "혼자", phone(99))])
    job_id = submit(exporting)
    exporting.handle_next()
    assert {row[0] for row in sheet_of(exporting, job_id)[1:]} == {*NAMES, "혼자"}
    with default_storage.open(f"exports/{here.id}/{job_id}-1.xlsx", "rb") as file:
        (tmp_path / "again.xlsx").write_bytes(file.read())
    there.run(read_student_rows(tmp_path / "again.xlsx", "again.xlsx"))

    def whole(academy: Academy) -> list[tuple[Any, ...]]:
        fields = ("name", "parent_phone", "phone", "school", "grade")
        return sorted(Student.objects.filter(tenant=academy.tenant).values_list(*fields))

    assert whole(there) == whole(here)
    assert len(whole(here)) == len(NAMES) + 1


def test_characters_that_no_workbook_may_contain_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "odd.xlsx"
    assert write_students(path, [("김\x00\x0b\ufffe\uffff철수", "", "", "", phone(1))]) == 1
    assert read_student_rows(path, path.name) == [StudentRow(2, "김철수", phone(1))]


def test_too_many_students_are_refused_in_a_sentence(exporting: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(student_export, "MAX_STUDENTS", 2)
    students(Academy(exporting.tenant), 3)
    job_id = submit(exporting)
    exporting.handle_next()
    error = exporting.job(job_id).error
    assert error == {
        "code": "too_many_students",
        "message": "3 students are too many for one file, which holds 2: export lecture by lecture.",
    }
    assert kept(exporting) == []


def before_keeping(monkeypatch: pytest.MonkeyPatch, happens: Callable[[UUID], object]) -> None:
    def keep(job: Any, path: Path) -> None:
        happens(job.job_id)
        exports.keep_export(job, path)

    monkeypatch.setattr(student_export, "keep_export", keep)


def test_an_overtaken_attempt_keeps_no_file(exporting: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before_keeping(monkeypatch, lambda job_id: AIJob.objects.filter(job_id=job_id).update(attempt=2))
    job_id = submit(exporting)
    exporting.handle_next()
    assert (exporting.state(job_id), kept(exporting)) == (("PROCESSING", 2), [])


def while_storing(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    def file(workbook: Any) -> "File[bytes]":
        happens()
        return File(workbook)

    monkeypatch.setattr(exports, "File", file)


def test_an_attempt_that_is_overtaken_while_it_stores_leaves_no_file(
    exporting: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(exporting)
    while_storing(monkeypatch, lambda: AIJob.objects.filter(job_id=job_id).update(attempt=2))
    exporting.handle_next()
    assert (exporting.state(job_id), kept(exporting)) == (("PROCESSING", 2), [])


def test_files_of_a_killed_attempt_are_deleted(exporting: Bench) -> None:
    job_id = submit(exporting)
    default_storage.save(f"exports/{exporting.tenant.pk}/{job_id}-1.xlsx", ContentFile(b"half"))
    AIJob.objects.filter(job_id=job_id).update(attempt=2)
    exporting.handle_next()
    assert exporting.state(job_id) == ("DONE", 2)
    assert kept(exporting) == [f"{job_id}-2.xlsx"]
    assert sheet_of(exporting, job_id, attempt=2) == [HEADERS]


def test_a_job_can_be_cancelled_while_its_file_is_stored(exporting: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = submit(exporting)
    while_storing(monkeypatch, lambda: jobs.cancel(exporting.tenant.pk, job_id))  # needs no wait for the row's lock
    exporting.handle_next()
    assert (exporting.state(job_id), kept(exporting)) == (("CANCELLED", 1), [])


def test_a_cancelled_export_stops_at_the_next_chunk_and_leaves_nothing(
    exporting: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    done_rows: list[int] = []

    class Cancelled(ChunkReport):
        def __call__(self, done: int, total: int) -> None:
            done_rows.append(done)
            jobs.cancel(exporting.tenant.pk, job_id)
            super().__call__(done, total)

    monkeypatch.setattr(student_export, "ChunkReport", Cancelled)
    monkeypatch.setattr(student_export, "CHUNK_ROWS", 2)
    students(Academy(exporting.tenant), 5)
    job_id = submit(exporting)
    exporting.handle_next()
    assert (done_rows, exporting.state(job_id)) == ([2], ("CANCELLED", 1))
    assert (kept(exporting), list(Path(tempfile.gettempdir()).iterdir())) == ([], [])


def test_a_file_is_deleted_when_its_time_is_over_and_not_before(
    exporting: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(exporting)
    exports.sweep_exports()  # nothing was exported yet
    exporting.handle_next()
    exports.sweep_exports()
    assert kept(exporting) == [f"{job_id}-1.xlsx"]
    ended = exporting.job(job_id).finished_at
    assert ended is not None
    exports.open_export(exporting.tenant.pk, job_id, 1, ended).close()
    with pytest.raises(exports.ExportGoneError):
        exports.open_export(exporting.tenant.pk, job_id, 1, ended - timedelta(hours=24))

    monkeypatch.setattr(exports, "KEPT", timedelta())
    exports.sweep_exports()
    assert kept(exporting) == []
    monkeypatch.undo()
    with pytest.raises(exports.ExportGoneError):
        exports.open_export(exporting.tenant.pk, job_id, 1, ended)


def test_an_export_of_the_release_before_is_still_there_after_an_update(exporting: Bench) -> None:
    job_id = submit(exporting)
    exporting.handle_next()
    (name,) = kept(exporting)
    folder = f"exports/{exporting.tenant.pk}"
    with default_storage.open(f"{folder}/{name}", "rb") as file:
        workbook = file.read()
    default_storage.delete(f"{folder}/{name}")
    default_storage.save(f"{folder}/{job_id}.xlsx", ContentFile(workbook))
    finished_at = exporting.job(job_id).finished_at
    assert finished_at is not None
    with exports.open_export(exporting.tenant.pk, job_id, 1, finished_at) as file:
        assert file.read() == workbook


def test_a_worker_sweeps_when_it_starts_and_then_periodically(bench: Bench) -> None:
    stop, swept = threading.Event(), threading.Semaphore(0)

    def fall() -> None:
        raise OSError("the storage is away")

    thread = threading.Thread(target=sweeping.sweep_until, args=[stop, [fall, swept.release], 0.01])
    thread.start()
    for _ in range(3):
        assert swept.acquire(timeout=PATIENCE_SECONDS)
    stop.set()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_each_problem_of_a_row_has_a_reason_in_korean(tmp_path: Path) -> None:
    rows = [(("김", "", "", "", "02"), line, code.value) for line, code in enumerate(ProblemCode, start=2)]
    path = tmp_path / "failed.xlsx"
    assert write_failed_rows(path, rows) == len(ProblemCode)
    _, *written = openpyxl.load_workbook(path).active.values
    assert all(str(row[-1]).endswith(".") for row in written)
