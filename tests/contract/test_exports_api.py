"""Tests of exports over HTTP: start, download, import of the downloaded file, and permissions."""

import io
from typing import Any

import openpyxl
import psycopg
import pytest

from harness.system import System, demo_lecture, import_workbook

ABSENT = "6b7a9c2e-0000-4000-8000-000000000000"
EXPORT = "/api/v1/students/export/"


async def exported(system: System, academy: str = "hanbit", **filters: Any) -> str:
    """Export students, wait until the export is DONE, and return its id."""
    async with system.client(academy) as client, await system.watcher(client) as watcher:
        answer = await client.post(EXPORT, json=filters)
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["job_id"]
        done = await watcher.until_terminal(f"job:{job_id}")
    assert done["status"] == "DONE", done
    return job_id


async def test_students_are_exported_downloaded_and_imported_again(system: System) -> None:
    await system.until_idle()
    job_id = await exported(system)
    async with system.client() as client, await system.watcher(client) as watcher:
        number = (await client.get("/api/v1/students/")).json()["count"]
        answer = await client.get(f"/api/v1/jobs/{job_id}/file/")
        detail = (await client.get(f"/api/v1/jobs/{job_id}/")).json()
        again = await import_workbook(client, answer.content)
        done = await watcher.until_terminal(f"job:{again}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename*=utf-8''%ED%95%99%EC%83%9D")
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    rows = list(openpyxl.load_workbook(io.BytesIO(answer.content)).active.values)
    assert len(rows) == number + 1
    assert detail["result"] == {"rows": number, "file_name": detail["file_name"]}
    assert detail["file_name"].startswith("학생 명단 ")
    assert done["data"]["result"] == {"created": 0, "restored": 0, "existing": number, "failed": 0}


async def test_the_export_has_the_filters_of_the_list(system: System) -> None:
    await system.until_idle()
    async with system.client() as client:
        lecture = (await demo_lecture(client))["id"]
        number = (await client.get("/api/v1/students/", params={"lecture": lecture, "search": "김"})).json()["count"]
        job_id = await exported(system, lecture=lecture, search="김")
        result = (await client.get(f"/api/v1/jobs/{job_id}/")).json()["result"]
    assert 0 < result["rows"] == number < 300


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"lecture": 999_999_999}, "lecture"),
        ({"lecture": 10**30}, "lecture"),
        ({"lecture": "x"}, "lecture"),
        ({"search": "가" * 101}, "search"),
        ({"search": "\0"}, "search"),
        ({"search": ["김"]}, "search"),
    ],
)
async def test_an_invalid_filter_is_refused(system: System, filters: dict[str, Any], field: str) -> None:
    async with system.client() as client:
        answer = await client.post(EXPORT, json=filters)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])


async def test_only_the_office_exports_and_downloads(system: System) -> None:
    job_id = await exported(system)
    async with system.client(username="teacher") as teacher:
        refused = [await teacher.post(EXPORT, json={}), await teacher.get(f"/api/v1/jobs/{job_id}/file/")]
        seen = await teacher.get(f"/api/v1/jobs/{job_id}/")
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(403, "role_refused")] * 2
    assert seen.json()["status"] == "DONE"


async def test_another_academys_export_and_a_job_without_a_file_do_not_exist(system: System) -> None:
    job_id = await exported(system, "saebom")
    async with system.client() as client, await system.watcher(client) as watcher:
        lecture = (await client.post("/api/v1/lectures/", json={"title": "내 강의"})).json()["id"]
        imported = await import_workbook(client, b"no workbook")
        await watcher.until_terminal(f"job:{imported}")
        doors = [await client.get(f"/api/v1/jobs/{other}/file/") for other in (job_id, ABSENT, imported)]
    async with system.client("saebom") as other:
        crossed = await other.post(EXPORT, json={"lecture": lecture})
    assert [door.status_code for door in doors] == [404] * 3
    assert doors[2].json()["message"] == "This job has no file to download."
    assert crossed.status_code == 400


async def test_a_file_is_gone_after_a_day(system: System) -> None:
    job_id = await exported(system, search="nobody")
    async with system.client() as client:
        there = await client.get(f"/api/v1/jobs/{job_id}/file/")
        with psycopg.connect(system.database_url) as database:
            database.execute(
                "UPDATE aijob SET finished_at = finished_at - interval '24 hours' WHERE job_id = %s", [job_id]
            )
        gone = await client.get(f"/api/v1/jobs/{job_id}/file/")
    assert there.status_code == 200
    assert (gone.status_code, gone.json()["code"]) == (410, "file_gone")
    assert gone.json()["message"].endswith("Export the students again.")
