"""Tests of imports and jobs over HTTP: what is accepted, what is refused, and how a job ends."""

import io
import json

import openpyxl
import pytest

from academy.adapters.excel.sample import sample_workbook
from harness.slow_imports import slow_imports
from harness.system import System, eventually, import_workbook

ABSENT = "6b7a9c2e-0000-4000-8000-000000000000"


def workbook(*rows: tuple[object, ...]) -> bytes:
    book, content = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(content)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"PK\x03\x04 this is no workbook", "damaged"),
        (workbook(("이름", "학부모 전화")), "empty"),
        (workbook(("품목", "가격"), ("사과", 1000)), "headers_missing"),
        (sample_workbook(50, seed=1)[:-2000], "damaged"),
    ],
)
async def test_a_workbook_that_cannot_be_read_fails_with_a_reason_and_writes_nothing(
    system: System, content: bytes, code: str
) -> None:
    await system.until_idle()
    before = system.query("SELECT count(*) FROM students")
    async with system.client() as client, await system.watcher(client) as watcher:
        job_id = await import_workbook(client, content)
        failed = await watcher.until_terminal(f"job:{job_id}")
        detail = (await client.get(f"/api/v1/jobs/{job_id}/")).json()
    assert (failed["status"], failed["error"]["code"]) == ("FAILED", code)
    assert failed["error"]["message"].endswith(".")
    assert (detail["error_code"], detail["error_message"]) == (code, failed["error"]["message"])
    assert system.query("SELECT count(*) FROM students") == before


async def test_a_row_without_a_name_does_not_affect_others(system: System) -> None:
    content = workbook(
        ("2026 명단",),
        ("이름", "학부모 전화", "학교"),
        ("나하나", "010-8888-0001", "가"),
        (None, "010-8888-0002", "나"),
    )
    async with system.client() as client, await system.watcher(client) as watcher:
        job_id = await import_workbook(client, content)
        done = await watcher.until_terminal(f"job:{job_id}")
        failed = (await client.get(f"/api/v1/jobs/{job_id}/result/", params={"outcome": "failed"})).json()
        created = (await client.get(f"/api/v1/jobs/{job_id}/result/", params={"outcome": "created"})).json()
    assert done["data"]["result"] == {"created": 1, "restored": 0, "existing": 0, "failed": 1}
    assert [(row["line"], row["code"]) for row in failed["rows"]] == [(4, "name_missing")]
    assert [(row["line"], row["name"]) for row in created["rows"]] == [(3, "나하나")]
    assert created["rows"][0]["username"]


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        ({}, 400, "file_missing"),
        ({"file": ("a.txt", b"hello")}, 400, "wrong_type"),
        ({"file": ("a.xlsx", b"")}, 400, "empty"),
        ({"file": ("a.xlsx", b"x" * 20_000_001)}, 413, "too_large"),
        ({"file": ("a.xlsx", b"x" * 22_000_000)}, 413, "too_large"),
    ],
)
async def test_an_upload_that_is_not_a_workbook_is_refused_at_once(
    system: System, files: dict[str, tuple[str, bytes]], status: int, code: str
) -> None:
    async with system.client() as client:
        answer = await client.post("/api/v1/students/import/", files=files or None, data={} if files else {"x": "y"})
        if not files:
            answer = await client.post("/api/v1/students/import/", files={"other": ("a.xlsx", b"x")})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_the_initial_password_opens_new_accounts_and_is_not_stored(own_system: System) -> None:
    content = workbook(("이름", "학부모 전화"), ("다둘", "010-8888-0003"))
    async with own_system.client() as client, await own_system.watcher(client) as watcher:
        weak = await client.post(
            "/api/v1/students/import/", files={"file": ("a.xlsx", content)}, data={"initial_password": "1234"}
        )
        job_id = await import_workbook(client, content, initial_password="처음 쓰는 긴 암호 일곱 개")
        await watcher.until_terminal(f"job:{job_id}")
        rows = (await client.get(f"/api/v1/jobs/{job_id}/result/")).json()["rows"]
        account = {"tenant": "hanbit", "username": rows[0]["username"], "password": "처음 쓰는 긴 암호 일곱 개"}
        signed_in = await client.post("/api/v1/auth/token/", json=account)
        token = signed_in.json()["access"]
        shut = await client.get("/api/v1/students/", headers={"Authorization": f"Bearer {token}"})
    assert (weak.status_code, list(weak.json()["fields"])) == (400, ["initial_password"])
    assert signed_in.status_code == 200
    assert (shut.status_code, shut.json()["code"]) == (403, "password_change_needed")
    (payload,) = own_system.query("SELECT payload::text FROM aijob WHERE job_id = %s", job_id)[0]
    assert "pbkdf2" not in payload
    assert "암호" not in payload


async def test_progress_is_answered_from_redis_in_the_form_of_old_clients(system: System) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        job_id = await import_workbook(client, sample_workbook(300, seed=21))
        await watcher.until_terminal(f"job:{job_id}")
        answer = await client.get(f"/api/v1/jobs/{job_id}/progress/")
        same = await client.get(f"/api/v1/jobs/{job_id}/progress/", headers={"If-None-Match": answer.headers["ETag"]})
    assert answer.json().keys() == {"job_id", "job_type", "status", "progress", "result"}
    assert (answer.json()["status"], answer.json()["job_type"]) == ("DONE", "excel_parsing")
    assert answer.headers["Retry-After"] in {"1", "2", "5"}
    assert (same.status_code, same.content) == (304, b"")


async def test_another_academys_job_can_be_neither_polled_read_nor_watched(system: System) -> None:
    async with system.client("hanbit") as mine, system.client("saebom") as other:
        async with await system.watcher(other) as watcher:
            job_id = await import_workbook(other, sample_workbook(20, seed=22))
            await watcher.until_terminal(f"job:{job_id}")
        progress = await mine.get(f"/api/v1/jobs/{job_id}/progress/")
        doors = [await mine.get(f"/api/v1/jobs/{job_id}/{door}") for door in ("", "result/")]
        doors += [await mine.post(f"/api/v1/jobs/{job_id}/{door}/") for door in ("cancel", "retry")]
        unknown = await mine.get(f"/api/v1/jobs/{ABSENT}/progress/")
        listed = (await mine.get("/api/v1/jobs/", params={"page_size": 200})).json()
    assert (progress.status_code, progress.json()) == (200, {"status": "UNKNOWN"})
    assert unknown.json() == progress.json()
    assert [door.status_code for door in doors] == [404] * 4
    assert job_id not in {row["job_id"] for row in listed["results"]}


async def test_reading_a_job_restores_what_redis_lost_without_publishing(own_system: System) -> None:
    async with own_system.client() as client:
        async with await own_system.watcher(client) as watcher:
            job_id = await import_workbook(client, sample_workbook(20, seed=23))
            await watcher.until_terminal(f"job:{job_id}")
        own_system.worker.stop()
        own_system.redis.command("FLUSHALL")
        lost = (await client.get(f"/api/v1/jobs/{job_id}/progress/")).json()
        detail = (await client.get(f"/api/v1/jobs/{job_id}/")).json()
        found = (await client.get(f"/api/v1/jobs/{job_id}/progress/")).json()
    assert (lost["status"], detail["status"], found["status"]) == ("UNKNOWN", "DONE", "DONE")
    assert found["result"] == detail["result"]
    ((tenant_id,),) = own_system.query("SELECT tenant_id FROM aijob WHERE job_id = %s", job_id)
    assert own_system.redis.command("EXISTS", f"tenant:{tenant_id}:feed:index") == ":0"


async def test_a_cancelled_job_stops_and_can_be_tried_again(own_system: System) -> None:
    async with own_system.client() as client, await own_system.watcher(client) as watcher:
        with slow_imports(own_system):
            job_id = await import_workbook(client, sample_workbook(2000, seed=24))
            topic = f"job:{job_id}"
            await watcher.until(lambda: (watcher.records.get(topic, {}).get("progress") or {}).get("percent", 0) > 10)
            cancelled = await client.post(f"/api/v1/jobs/{job_id}/cancel/")
            await watcher.until_terminal(topic)
        again = await client.post(f"/api/v1/jobs/{job_id}/cancel/")
        retried = await client.post(f"/api/v1/jobs/{job_id}/retry/")
        done = await watcher.until_terminal(topic) if watcher.records[topic]["attempt"] > 1 else None
        while done is None or done["status"] != "DONE":
            await watcher.read()
            done = watcher.records[topic]
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    assert (again.status_code, again.json()["code"]) == (409, "job_ended")
    assert (retried.status_code, retried.json()["attempt"]) == (200, 2)
    assert (done["status"], done["attempt"]) == ("DONE", 2)
    assert sum(done["data"]["result"].values()) >= 2000
    await eventually(lambda: own_system.query("SELECT count(*) FROM realtime_outbox WHERE sent_at IS NULL") == [(0,)])


async def test_a_job_says_who_started_it_and_when_it_had_its_turn(system: System) -> None:
    async with system.client(username="staff") as client, await system.watcher(client) as watcher:
        job_id = await import_workbook(client, sample_workbook(10, seed=26))
        await watcher.until_terminal(f"job:{job_id}")
        detail = (await client.get(f"/api/v1/jobs/{job_id}/")).json()
        listed = (await client.get("/api/v1/jobs/")).json()["results"]
    ((name,),) = system.query(
        'SELECT u.name FROM aijob j JOIN "user" u ON u.id = j.created_by_id WHERE j.job_id = %s', job_id
    )
    assert detail["created_by"] == name
    assert detail["created_at"] <= detail["dispatched_at"] <= detail["finished_at"]
    assert detail in listed


@pytest.mark.parametrize(
    ("status", "code", "helps"),
    [
        ("CANCELLED", None, True),
        ("FAILED", "dead_letter", True),
        ("FAILED", "damaged", False),
        ("DONE", None, False),
    ],
)
async def test_a_retry_can_help_after_a_cancel_or_if_the_servers_were_at_fault(
    system: System, status: str, code: str | None, helps: bool
) -> None:
    error = json.dumps({"code": code, "message": "It failed."}) if code else None
    async with system.client() as client, await system.watcher(client) as watcher:
        job_id = await import_workbook(client, sample_workbook(10, seed=27))
        await watcher.until_terminal(f"job:{job_id}")
        payload = json.dumps({"file": "kept.xlsx", "file_name": "a.xlsx"})
        system.query(
            "UPDATE aijob SET status = %s, error = %s, payload = %s WHERE job_id = %s RETURNING 1",
            *(status, error, payload, job_id),
        )
        detail = (await client.get(f"/api/v1/jobs/{job_id}/")).json()
    assert detail["retry_can_help"] is helps


async def test_a_retry_cannot_help_an_import_whose_workbook_is_no_longer_kept(system: System) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        job_id = await import_workbook(client, sample_workbook(10, seed=28))
        await watcher.until_terminal(f"job:{job_id}")
        system.query("UPDATE aijob SET status = 'CANCELLED', payload = '{}' WHERE job_id = %s RETURNING 1", job_id)
        detail = (await client.get(f"/api/v1/jobs/{job_id}/")).json()
        answer = await client.post(f"/api/v1/jobs/{job_id}/retry/")
    assert detail["retry_can_help"] is False
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_again")


async def test_a_finished_job_cannot_be_tried_again(system: System) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        job_id = await import_workbook(client, sample_workbook(10, seed=25))
        await watcher.until_terminal(f"job:{job_id}")
        answer = await client.post(f"/api/v1/jobs/{job_id}/retry/")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_failed")


async def test_the_openapi_document_has_every_endpoint(system: System) -> None:
    async with system.client() as client:
        text = (await client.get("/api/v1/schema/")).text
    for path in (
        "/api/v1/auth/token/",
        "/api/v1/students/import/",
        "/api/v1/jobs/{job_id}/progress/",
        "/api/v1/lectures/",
    ):
        assert f"{path}:" in text
