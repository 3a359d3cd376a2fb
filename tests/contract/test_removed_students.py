"""Tests of removing and restoring students over HTTP, of their history, and of the template for imports."""

import asyncio
import io
from typing import Any

import httpx
import openpyxl

from academy.adapters.excel.sample import sample_workbook
from harness.system import System, import_workbook

STUDENTS = "/api/v1/students/"
REMOVED = "/api/v1/students/removed/"


async def added(client: httpx.AsyncClient, name: str, parent_phone: str = "010-9998-0001", **more: str) -> int:
    answer = await client.post(STUDENTS, json={"name": name, "parent_phone": parent_phone, **more})
    assert answer.status_code == 201, answer.text
    student_id: int = answer.json()["id"]
    return student_id


async def history(client: httpx.AsyncClient, student_id: int) -> list[dict[str, Any]]:
    answer = await client.get(f"{STUDENTS}{student_id}/history/")
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, Any]] = answer.json()["results"]
    return entries


async def test_a_removed_student_is_listed_found_and_restored(system: System) -> None:
    async with system.client() as client, system.client(username="staff") as staff:
        student_id = await added(client, "나도윤")
        await staff.delete(f"{STUDENTS}{student_id}/")
        listed = (await client.get(REMOVED, params={"search": "ㄴㄷㅇ"})).json()
        shown = await client.get(f"{REMOVED}{student_id}/")
        restored = await client.post(f"{STUDENTS}{student_id}/restore/")
        again = await client.post(f"{STUDENTS}{student_id}/restore/")
        after = [await client.get(f"{REMOVED}{student_id}/"), await client.get(f"{STUDENTS}{student_id}/")]
        entries = await history(client, student_id)
    assert [(row["id"], row["name"]) for row in listed["results"]] == [(student_id, "나도윤")]
    assert shown.json() == listed["results"][0]
    assert shown.json()["removed_by"]
    assert shown.json()["removed_at"]
    assert (restored.status_code, again.status_code) == (200, 200)
    assert restored.json() == again.json() == after[1].json()
    assert [answer.status_code for answer in after] == [404, 200]
    assert [entry["what"] for entry in entries] == ["restored", "removed", "added"]
    assert entries[1]["by"] == shown.json()["removed_by"]


async def test_the_history_names_the_changed_fields_and_the_import(system: System) -> None:
    workbook = io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["이름", "학부모 전화"])
    book.active.append(["노하린", "01099980002"])
    book.save(workbook)
    async with system.client() as client, await system.watcher(client) as watcher:
        job_id = await import_workbook(client, workbook.getvalue(), name="봄 명단.xlsx")
        await watcher.until_terminal(f"job:{job_id}")
        (student,) = (await client.get(STUDENTS, params={"search": "노하린"})).json()["results"]
        path = f"{STUDENTS}{student['id']}/"
        await client.patch(path, json={"grade": "2", "school": "한빛중", "name": "노하린"})
        changed, imported = await history(client, student["id"])
    assert (changed["what"], changed["fields_changed"], changed["job_id"]) == ("changed", ["school", "grade"], None)
    assert (imported["what"], imported["job_id"], imported["file_name"]) == ("added", job_id, "봄 명단.xlsx")
    assert imported["by"] == changed["by"]
    assert "한빛중" not in str(changed)


async def test_a_conflict_is_a_clear_sentence(system: System) -> None:
    async with system.client() as client:
        student_id = await added(client, "문시아")
        other = await added(client, "문시온")
        renamed = await client.patch(f"{STUDENTS}{other}/", json={"name": "문시아"})
        await client.delete(f"{STUDENTS}{student_id}/")
        await client.patch(f"{STUDENTS}{other}/", json={"name": "문시아"})
        restored = await client.post(f"{STUDENTS}{student_id}/restore/")
    for answer in (renamed, restored):
        assert (answer.status_code, answer.json()["code"]) == (409, "student_exists")
        assert answer.json()["message"] == "There is another student of this name with this parent's phone number."


async def test_the_same_student_added_by_several_at_once_is_added_once(system: System) -> None:
    async with system.client() as client, system.client(username="staff") as staff:
        body = {"name": "배준서", "parent_phone": "010-9998-0003"}
        answers = await asyncio.gather(*[who.post(STUDENTS, json=body) for who in (client, staff) * 4])
        entries = await history(client, answers[0].json()["id"])
    assert sorted(answer.json()["outcome"] for answer in answers) == ["created", *["existing"] * 7]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [entry["what"] for entry in entries] == ["added"]


async def test_a_refused_form_names_its_field(system: System) -> None:
    good = {"name": "서지우", "parent_phone": "010-9998-0004"}
    async with system.client() as client:
        for wrong, field in (
            ({"name": ""}, "name"),
            ({"name": "가" * 51}, "name"),
            ({"parent_phone": "02-123-4567"}, "parent_phone"),
            ({"parent_phone": "-"}, "parent_phone"),
            ({"phone": "1234"}, "phone"),
        ):
            answer = await client.post(STUDENTS, json=good | wrong)
            assert (answer.status_code, list(answer.json()["fields"])) == (400, [field]), wrong
        student_id = await added(client, **good)
        changed = await client.patch(f"{STUDENTS}{student_id}/", json={"phone": "1234"})
    assert (changed.status_code, list(changed.json()["fields"])) == (400, ["phone"])


async def test_only_the_office_sees_and_restores_removed_students(system: System) -> None:
    async with system.client() as client:
        student_id = await added(client, "유은호")
        shown = await history(client, student_id)
        async with system.client(username="teacher") as teacher:
            read = await history(teacher, student_id)
            await client.delete(f"{STUDENTS}{student_id}/")
            doors = [
                await teacher.get(REMOVED),
                await teacher.get(f"{REMOVED}{student_id}/"),
                await teacher.post(f"{STUDENTS}{student_id}/restore/"),
                await teacher.get(f"{STUDENTS}import/template/"),
            ]
            gone = await teacher.get(f"{STUDENTS}{student_id}/history/")
        kept = await history(client, student_id)
    assert read == shown
    assert [(door.status_code, door.json()["code"]) for door in doors] == [(403, "role_refused")] * 4
    assert gone.status_code == 404
    assert [entry["what"] for entry in kept] == ["removed", "added"]


async def test_a_student_reads_no_history_not_even_the_own(system: System) -> None:
    async with system.client(username="student") as student:
        (own,) = (await student.get(STUDENTS)).json()["results"]
        doors = [
            await student.get(f"{STUDENTS}{own['id']}/history/"),
            await student.get(REMOVED),
            await student.post(f"{STUDENTS}{own['id']}/restore/"),
        ]
    assert [door.status_code for door in doors] == [403] * 3


async def test_another_academys_students_do_not_exist(system: System) -> None:
    async with system.client() as mine, system.client("saebom") as other:
        student_id = await added(other, "장하은")
        removed = await added(other, "장하윤")
        await other.delete(f"{STUDENTS}{removed}/")
        doors = [
            await mine.get(f"{STUDENTS}{student_id}/history/"),
            await mine.get(f"{STUDENTS}{removed}/history/"),
            await mine.get(f"{REMOVED}{removed}/"),
            await mine.post(f"{STUDENTS}{removed}/restore/"),
            await mine.post(f"{STUDENTS}{student_id}/restore/"),
        ]
        listed = (await mine.get(REMOVED, params={"search": "장하윤"})).json()
        still = await other.get(f"{REMOVED}{removed}/")
    assert [door.status_code for door in doors] == [404] * 5
    assert listed["count"] == 0
    assert still.status_code == 200


async def test_the_template_is_downloaded_and_imported_as_it_is_filled_in(system: System) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        answer = await client.get(f"{STUDENTS}import/template/")
        book = openpyxl.load_workbook(io.BytesIO(answer.content))
        book.worksheets[0].append(["차예린", "010-9998-0005"])
        filled = io.BytesIO()
        book.save(filled)
        job_id = await import_workbook(client, filled.getvalue())
        done = await watcher.until_terminal(f"job:{job_id}")
    assert answer.headers["Content-Disposition"].startswith("attachment; filename*=utf-8''%ED%95%99%EC%83%9D")
    assert done["data"]["result"] == {"created": 1, "restored": 0, "existing": 0, "failed": 0}


async def test_an_export_takes_initial_consonants_as_the_list_does(system: System) -> None:
    await system.until_idle()
    async with system.client() as client, await system.watcher(client) as watcher:
        imported = await import_workbook(client, sample_workbook(100, seed=77))
        await watcher.until_terminal(f"job:{imported}")
        number = (await client.get(STUDENTS, params={"search": "ㄱㅁ"})).json()["count"]
        exported = (await client.post(f"{STUDENTS}export/", json={"search": "ㄱㅁ"})).json()
        done = await watcher.until_terminal(f"job:{exported['job_id']}")
    assert done["data"]["result"]["rows"] == number > 0
