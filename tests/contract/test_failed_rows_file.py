"""Tests of the workbook of an import's failed rows: it is downloaded, corrected, and imported."""

import io
from typing import Any

import httpx
import openpyxl
import psycopg

from harness.system import System, import_workbook
from harness.watcher import Watcher

ROWS = [
    ("이름", "학교", "학년", "전화", "학부모 전화번호"),
    ("고하늘", "한빛중", "2", "", "010-9997-0001"),
    ("", "새봄중", "3", "", "010-9997-0002"),
    ("=1+1", "가람중", "1", "010-1111", "02-999-7000"),
    ("도하나", "누리고", "", "집", "010-9997-0004"),
]


def workbook_of(rows: list[tuple[Any, ...]]) -> bytes:
    book, content = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append([str(cell) for cell in row])
    for cells in book.active.iter_rows():
        for cell in cells:
            cell.data_type = "s"
    book.save(content)
    return content.getvalue()


async def imported(client: httpx.AsyncClient, watcher: Watcher, rows: list[tuple[Any, ...]]) -> tuple[str, Any]:
    """Import these rows. Return the job's id and its result."""
    job_id = await import_workbook(client, workbook_of(rows), name="봄 명단.xlsx")
    done = await watcher.until_terminal(f"job:{job_id}")
    return job_id, done["data"]["result"]


async def test_failed_rows_are_downloaded_with_their_cells_corrected_and_imported(system: System) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        job_id, result = await imported(client, watcher, ROWS)
        answer = await client.get(f"/api/v1/jobs/{job_id}/file/")
        book = openpyxl.load_workbook(io.BytesIO(answer.content))
        header, *failed = book.active.values
        for line, cells in enumerate(failed, start=2):
            book.active.cell(line, 1, "이하나" if cells[0] is None else "강하나")
            book.active.cell(line, 4, "")
            book.active.cell(line, 5, f"0109997100{line}")
        corrected = io.BytesIO()
        book.save(corrected)
        again = await import_workbook(client, corrected.getvalue())
        done = await watcher.until_terminal(f"job:{again}")
    assert result == {"created": 1, "restored": 0, "existing": 0, "failed": 3}
    assert answer.headers["Content-Disposition"].startswith("attachment; filename*=utf-8''%EB%B4%84")
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert header == ("이름", "학교", "학년", "학생 전화번호", "학부모 전화번호", "원래 행", "실패한 이유")
    assert [row[:6] for row in failed] == [
        (None, "새봄중", "3", None, "010-9997-0002", "3"),
        ("=1+1", "가람중", "1", "010-1111", "02-999-7000", "4"),
        ("도하나", "누리고", None, "집", "010-9997-0004", "5"),
    ]
    assert [row[6] for row in failed] == [
        "이름이 없습니다.",
        *["전화번호가 010으로 시작하는 11자리 휴대전화 번호가 아닙니다."] * 2,
    ]
    cells = [cell for row in openpyxl.load_workbook(io.BytesIO(answer.content)).active for cell in row if cell.value]
    assert {cell.data_type for cell in cells} == {"s"}
    assert done["data"]["result"] == {"created": 3, "restored": 0, "existing": 0, "failed": 0}


async def test_only_the_office_of_the_academy_downloads_them_for_a_day(system: System) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        job_id, _ = await imported(client, watcher, [ROWS[0], ROWS[2]])
        path = f"/api/v1/jobs/{job_id}/file/"
        async with system.client(username="teacher") as teacher, system.client("saebom") as other:
            doors = [(await who.get(path)).status_code for who in (teacher, other)]
        assert (await client.get(path)).status_code == 200
        with psycopg.connect(system.database_url) as database:
            database.execute(
                "UPDATE aijob SET finished_at = finished_at - interval '24 hours' WHERE job_id = %s", [job_id]
            )
        gone = await client.get(path)
    assert doors == [403, 404]
    assert (gone.status_code, gone.json()["code"]) == (410, "file_gone")
    assert gone.json()["message"].endswith("Import the workbook again.")


async def test_an_import_without_failed_rows_has_no_file(system: System) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        job_id, result = await imported(client, watcher, [ROWS[0], ("모하나", "", "", "", "01099970009")])
        answer = await client.get(f"/api/v1/jobs/{job_id}/file/")
    assert result["failed"] == 0
    assert answer.status_code == 404
