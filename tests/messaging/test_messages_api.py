"""Bulk messages over HTTP: what is accepted, what is refused, and the reported outcome of each message."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from harness.system import System, demo_lecture
from harness.watcher import LONG_PATIENCE_SECONDS
from tests.messaging.gateway import Message, running_gateway

ABSENT = "6b7a9c2e-0000-4000-8000-000000000000"
PATH = "/api/v1/messages/"


async def students_of(client: httpx.AsyncClient, number: int, **filters: Any) -> list[dict[str, Any]]:
    answer = await client.get("/api/v1/students/", params={"page_size": number, **filters})
    students: list[dict[str, Any]] = answer.json()["results"]
    return students


async def write(client: httpx.AsyncClient, **body: Any) -> str:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def texts_of(folder: Path, *job_ids: str) -> list[str]:
    """Return the texts of these jobs. The folder may also have texts of jobs that earlier tests left waiting."""
    files = [file for job_id in job_ids for file in folder.glob(f"{job_id}-*.json")]
    return [json.loads(file.read_text(encoding="utf-8"))["text"] for file in files]


async def test_a_message_to_a_lecture_is_sent_and_its_progress_is_shown_to_the_academy(
    system: System,
) -> None:
    def answer(message: Message) -> int:
        """Accept the first message at once, and the others only after a watcher has seen progress.

        If the job ended sooner, the feed might leave out its progress.
        """
        if message["id"].startswith(job_id) and len(texts_received()) > 1:
            shown.wait(LONG_PATIENCE_SECONDS)
        return 202

    def texts_received() -> list[str]:
        return [message["text"] for message in gateway.received if message["id"].startswith(job_id)]

    shown = threading.Event()
    async with system.client() as client, await system.watcher(client) as watcher:
        lecture = await demo_lecture(client)
        job_id = await write(client, text="{name} 학생, 내일 휴강입니다.", lecture=lecture["id"])
        with running_gateway() as gateway:
            gateway.answer = answer
            options = {"MESSAGE_PROVIDER": "http", "MESSAGE_HTTP_URL": gateway.url, "MESSAGE_RATE_PER_MINUTE": "100000"}
            with system.running_worker("messaging_worker", **options):
                await watcher.until(lambda: any("total" in record["data"] for record in watcher.history))
                shown.set()
                done = await watcher.until_terminal(f"job:{job_id}")
            texts = texts_received()
        detail = (await client.get(f"{PATH}{job_id}/")).json()
        names = [student["name"] for student in await students_of(client, 200, lecture=lecture["id"])]
    totals = {"sent": lecture["student_count"], "failed": 0, "total": lecture["student_count"]}
    assert done["data"] == {"job_type": "bulk_message", "result": totals}
    assert (detail["status"], detail["totals"], detail["count"]) == ("DONE", totals, totals["total"])
    assert sorted(texts) == sorted(f"{name} 학생, 내일 휴강입니다." for name in names)
    # Records of progress have a total. The relay's PROCESSING record, which may come between them, has none.
    running = [record["data"] for record in watcher.history if "total" in record["data"]]
    assert running
    assert all(data["total"] == totals["total"] for data in running)


async def test_the_outcome_of_each_message_is_listed_in_pages(system: System, tmp_path: Path) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        with_phone = {"name": "전화하나", "parent_phone": "01077770001", "phone": "01077770002"}
        without = {"name": "전화없음", "parent_phone": "01077770001"}
        ids = [(await client.post("/api/v1/students/", json=body)).json()["id"] for body in (with_phone, without)]
        job_id = await write(client, text="{name}", students=ids, to="student")
        with system.running_worker("messaging_worker", MESSAGE_FOLDER=str(tmp_path)):
            await watcher.until_terminal(f"job:{job_id}")
        failed = (await client.get(f"{PATH}{job_id}/", params={"status": "failed"})).json()
        second = (await client.get(f"{PATH}{job_id}/", params={"page_size": 1, "page": 2})).json()
        odd = await client.get(f"{PATH}{job_id}/", params={"status": "lost"})
        result = (await client.get(f"/api/v1/jobs/{job_id}/result/")).json()["result"]
    (row,) = failed["results"]
    assert {name: row[name] for name in ("student_id", "name", "recipient", "status", "code", "error", "sent_at")} == {
        "student_id": ids[1],
        "name": "전화없음",
        "recipient": "",
        "status": "FAILED",
        "code": "no_phone",
        "error": "The student's own phone number is missing.",
        "sent_at": None,
    }
    assert (failed["to"], failed["lecture"], failed["text"]) == ("student", None, "{name}")
    assert failed["totals"] == second["totals"] == result == {"sent": 1, "failed": 1, "total": 2}
    assert (second["count"], len(second["results"])) == (2, 1)
    assert (odd.status_code, odd.json()["code"]) == (400, "invalid")


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"text": ""}, "text", "blank"),
        ({"text": "x" * 2001}, "text", "2000"),
        ({"text": "a\0b"}, "text", "Null"),
        ({"text": "\ud800"}, "text", "urrogate"),
        ({"to": "teacher"}, "to", "teacher"),
        ({"lecture": 1}, "non_field_errors", "either a lecture, or students"),
        ({"students": None}, "students", "null"),
        ({"students": []}, "students", "empty"),
        ({"students": list(range(1, 5002))}, "students", "5000"),
        ({"students": [2**63]}, "students", "9223372036854775807"),
        ({"students": [999_999_999, 888_888_888]}, "students", "these ids: 888888888, 999999999."),
    ],
)
async def test_an_invalid_message_is_refused_with_the_reason(
    system: System, change: dict[str, Any], field: str, words: str
) -> None:
    async with system.client() as client:
        (student,) = await students_of(client, 1)
        body = {"text": "{name}", "students": [student["id"]]} | change
        answer = await client.post(PATH, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert list(answer.json()["fields"]) == [field]
    assert words in json.dumps(answer.json(), ensure_ascii=False)


async def test_a_missing_or_empty_lecture_is_refused(system: System) -> None:
    async with system.client() as client:
        empty = (await client.post("/api/v1/lectures/", json={"title": "빈 강의"})).json()["id"]
        answers = [
            await client.post(PATH, json={"text": "a", "lecture": lecture}) for lecture in (999_999_999, empty, 2**63)
        ]
    assert [answer.status_code for answer in answers] == [400] * 3
    assert answers[0].json()["message"] == "lecture: There is no such lecture."
    assert answers[1].json()["message"] == "lecture: The lecture has no students."


async def test_another_academys_students_and_messages_are_not_found(system: System) -> None:
    async with system.client("hanbit") as mine, system.client("saebom") as other:
        (theirs,) = await students_of(other, 1)
        (ours,) = await students_of(mine, 1)
        lecture = await demo_lecture(other)
        by_id = await mine.post(PATH, json={"text": "a", "students": [ours["id"], theirs["id"]]})
        by_lecture = await mine.post(PATH, json={"text": "a", "lecture": lecture["id"]})
        job_id = await write(other, text="a", students=[theirs["id"]])
        detail, absent = await mine.get(f"{PATH}{job_id}/"), await mine.get(f"{PATH}{ABSENT}/")
        listed = (await mine.get(PATH)).json()["results"]
        cancelled = await other.post(f"/api/v1/jobs/{job_id}/cancel/")
        theirs_listed = (await other.get(PATH)).json()["results"]
    assert (by_id.status_code, by_id.json()["message"]) == (
        400,
        f"students: There are no students with these ids: {theirs['id']}.",
    )
    assert (by_lecture.status_code, by_lecture.json()["message"]) == (400, "lecture: There is no such lecture.")
    assert (detail.status_code, detail.json()) == (absent.status_code, absent.json())
    assert detail.status_code == 404
    assert job_id not in {job["job_id"] for job in listed}
    assert cancelled.status_code == 200
    assert (theirs_listed[0]["job_id"], theirs_listed[0]["status"]) == (job_id, "CANCELLED")
    assert theirs_listed[0]["totals"] == {"sent": 0, "failed": 0, "total": 1}


async def test_a_request_that_is_sent_twice_creates_one_bulk_message(system: System) -> None:
    async with system.client() as client:
        (student,) = await students_of(client, 1)
        body = {"text": "{name}", "students": [student["id"]], "idempotency_key": str(uuid4())}
        clicks = await asyncio.gather(*(client.post(PATH, json=body) for _ in range(4)))
        other = await client.post(PATH, json={**body, "text": "a"})
        odd = await client.post(PATH, json={**body, "idempotency_key": "now"})
        await client.post(f"/api/v1/jobs/{clicks[0].json()['job_id']}/cancel/")
    async with system.client("saebom") as client:
        (theirs,) = await students_of(client, 1)
        elsewhere = await client.post(PATH, json={**body, "students": [theirs["id"]]})
        await client.post(f"/api/v1/jobs/{elsewhere.json()['job_id']}/cancel/")
    assert {answer.status_code for answer in clicks} == {202}
    (job_id,) = {answer.json()["job_id"] for answer in clicks}
    assert (other.status_code, other.json()["code"]) == (409, "key_used")
    assert (odd.status_code, list(odd.json()["fields"])) == (400, ["idempotency_key"])
    assert (elsewhere.status_code, elsewhere.json()["job_id"] == job_id) == (202, False)


async def test_a_preview_shows_what_would_be_sent(system: System) -> None:
    async with system.client() as client:
        lecture = await demo_lecture(client)
        before = (await client.get(PATH)).json()["count"]
        answer = await client.post(f"{PATH}preview/", json={"text": "{name} 학생", "lecture": lecture["id"]})
        wrong = await client.post(f"{PATH}preview/", json={"text": "a", "students": [999_999_999]})
        after = (await client.get(PATH)).json()["count"]
    shown = answer.json()
    assert answer.status_code == 200, answer.text
    assert (shown["recipients"], shown["messages"]) == (lecture["student_count"], lecture["student_count"])
    assert shown["classes"] == {"sms": lecture["student_count"], "lms": 0, "too_long": 0}
    assert [sample["text"] for sample in shown["samples"]] == [f"{one['name']} 학생" for one in shown["samples"]]
    assert (shown["prices"], shown["cost"], shown["unsendable"]) == ({"sms": None, "lms": None}, None, "")
    assert (wrong.status_code, list(wrong.json()["fields"])) == (400, ["students"])
    assert before == after


async def test_failed_messages_are_sent_again_once(system: System, tmp_path: Path) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        body = {"name": "번호없음", "parent_phone": "01077770009"}
        student = (await client.post("/api/v1/students/", json=body)).json()["id"]
        job_id = await write(client, text="{name}", students=[student], to="student")
        early = await client.post(f"{PATH}{job_id}/retry-failed/")
        with system.running_worker("messaging_worker", MESSAGE_FOLDER=str(tmp_path)):
            await watcher.until_terminal(f"job:{job_id}")
            nobody = await client.post(f"{PATH}{job_id}/retry-failed/")
            await client.patch(f"/api/v1/students/{student}/", json={"phone": "01077770010"})
            waiting = (await client.get(f"{PATH}{job_id}/")).json()
            answer = await client.post(f"{PATH}{job_id}/retry-failed/")
            assert answer.status_code == 202, answer.text
            again = answer.json()["job_id"]
            await watcher.until_terminal(f"job:{again}")
        second = await client.post(f"{PATH}{job_id}/retry-failed/")
        absent = await client.post(f"{PATH}{ABSENT}/retry-failed/")
        details = [(await client.get(f"{PATH}{each}/")).json() for each in (job_id, again)]
    async with system.client("saebom") as other:
        elsewhere = await other.post(f"{PATH}{job_id}/retry-failed/")
    refusals = [(answer.status_code, answer.json()["code"]) for answer in (early, nobody, second, absent, elsewhere)]
    assert refusals == [
        (409, "message_not_done"),
        (409, "nothing_to_retry"),
        (409, "retried_already"),
        (404, "not_found"),
        (404, "not_found"),
    ]
    assert texts_of(tmp_path, job_id, again) == ["번호없음"]
    assert (waiting["retryable"], waiting["retried_by"]) == (1, None)
    links = [(one["retryable"], one["retry_of"], one["retried_by"]) for one in details]
    assert links == [(0, None, again), (0, job_id, None)]
    assert details[1]["totals"] == {"sent": 1, "failed": 0, "total": 1}


async def test_the_list_names_the_lecture_and_who_sent_the_message(system: System) -> None:
    async with system.client(username="staff") as client:
        lecture = await demo_lecture(client)
        job_id = await write(client, text="a", lecture=lecture["id"])
        listed = (await client.get(PATH)).json()["results"][0]
        await client.post(f"/api/v1/jobs/{job_id}/cancel/")
    assert (listed["job_id"], listed["lecture"], listed["lecture_title"]) == (job_id, lecture["id"], lecture["title"])
    assert listed["created_by"]


@pytest.mark.parametrize(("username", "read", "written"), [("teacher", 200, 403), ("student", 403, 403)])
async def test_the_office_may_write_and_teachers_may_read(
    system: System, username: str, read: int, written: int
) -> None:
    async with system.client(username=username) as client:
        assert (await client.get(PATH)).status_code == read
        assert (await client.get(f"{PATH}{ABSENT}/")).status_code == (404 if read == 200 else 403)
        assert (await client.post(PATH, json={"text": "a", "students": [1]})).status_code == written
        assert (await client.post(f"{PATH}preview/", json={"text": "a", "students": [1]})).status_code == written
        assert (await client.post(f"{PATH}{ABSENT}/retry-failed/")).status_code == written
