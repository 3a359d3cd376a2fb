"""Tests that the JSON examples in the documentation have the fields of the JSON that the product reads and writes."""

import json
from typing import Any, get_args

import pytest

from academy.adapters.excel.sample import sample_workbook
from embedded.plan import Plan
from harness.asyncapi import messages_of
from harness.system import System, import_workbook, new_ticket
from realtime.protocol import frames
from realtime.protocol.close_codes import CloseCode
from realtime.protocol.frames import Frame
from realtime.protocol.place import Place, parse_place
from realtime.records.record import Progress, Step, draft_record, join_record, parse_record, unknown_record
from tests.docs.claims import claimed_by
from tests.docs.pages import blocks

PLACE = Place("5f0c2a91", 1285, "1b16b1df")
OF_THE_SERVER = [
    frames.welcome("c-1", 25.0, 3600),
    frames.snapshot(PLACE, [], recovered=False)[0],
    frames.records(PLACE, []),
    frames.ping(PLACE),
    frames.delayed(7.4),
    frames.subscribed(2, PLACE, [unknown_record("job:9")]),
    frames.unsubscribed(3, PLACE),
    frames.refreshed(3600),
    frames.error(2, "forbidden_topic", ""),
    frames.closing(CloseCode.TOO_MANY_CONNECTIONS, 10_000, limit="user"),
]


def shown(name: str) -> Any:
    return json.loads(blocks()[name])


def shape(value: Any) -> Any:
    """Return the fields of a value with their types, such as {"percent": "number"}."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def test_every_frame_of_the_server_is_shown() -> None:
    names = claimed_by("test_frames_of_the_server_have_the_fields_that_are_shown")
    assert {shown(name)["type"] for name in names} == messages_of("pushOverWebSocket")


@pytest.mark.parametrize(
    ("name", "frame"),
    list(zip(claimed_by("test_frames_of_the_server_have_the_fields_that_are_shown"), OF_THE_SERVER, strict=True)),
)
def test_frames_of_the_server_have_the_fields_that_are_shown(name: str, frame: Frame) -> None:
    assert shape(shown(name)) == shape(json.loads(frame.body))
    if "place" in shown(name):
        assert parse_place(shown(name)["place"])


@pytest.mark.parametrize("name", claimed_by("test_frames_of_the_client_are_taken_as_shown"))
def test_frames_of_the_client_are_taken_as_shown(name: str) -> None:
    taken = frames.parse_client_frame(blocks()[name])
    assert type(taken).__name__.lower() == shown(name)["type"]


def test_every_frame_of_the_client_is_shown() -> None:
    names = claimed_by("test_frames_of_the_client_are_taken_as_shown")
    kinds = get_args(frames.ClientFrame)
    assert {shown(name)["type"] for name in names} == {kind.__name__.lower() for kind in kinds}


def test_the_record_has_the_fields_that_are_shown() -> None:
    (name,) = claimed_by("test_the_record_has_the_fields_that_are_shown")
    record = shown(name)
    draft = draft_record(
        topic=record["topic"],
        attempt=record["attempt"],
        status=record["status"],
        published_at=record["published_at"],
        progress=Progress(62.0, Step(2, 2, "import", 60.0), 1.2),
        data=record["data"],
    )
    made = join_record(b'{"offset":1284' + draft.text, draft.progress)
    assert json.loads(made.body) == record
    assert list(json.loads(made.body)) == list(record)
    assert parse_record(made.body) == made


def test_the_run_file_has_the_entries_that_are_shown() -> None:
    entries = shown("docs/reference/commands.md#json-1")
    assert list(entries) == ["web", "postgres", "redis", "sqs", *Plan().workers]
    assert entries["web"]["address"] == "http://127.0.0.1:8000"
    assert all(argv[-1].endswith(name) for name, argv in Plan().workers.items())


async def test_answers_have_the_fields_that_are_shown(system: System) -> None:
    submitted, progress, unknown, ticket, refused = (
        shown(name) for name in claimed_by("test_answers_have_the_fields_that_are_shown")
    )
    async with system.client() as client, await system.watcher(client) as watcher:
        await watcher.read_until("snapshot")
        job_id = await import_workbook(client, sample_workbook(2000, seed=13))
        assert submitted.keys() == {"job_id"}
        polled = (await client.get(f"/api/v1/jobs/{job_id}/progress/")).json()
        assert polled.keys() >= progress.keys()
        await watcher.until_terminal(f"job:{job_id}")
        told = [record for record in watcher.history if record["topic"] == f"job:{job_id}"]
        running = [record["progress"] for record in told if record["progress"]]
        assert running[-1].keys() == progress["progress"].keys()
        assert running[-1]["step"].keys() == progress["progress"]["step"].keys()
        absent = await client.get("/api/v1/jobs/00000000-0000-4000-8000-000000000000/progress/")
        assert (absent.status_code, absent.json()) == (200, unknown)
        assert shape(await new_ticket(client)) == shape(ticket)
    async with system.client(username="student") as client:
        answer = await client.get("/api/v1/lectures/")
        assert (answer.status_code, answer.json()) == (403, refused)


async def test_a_job_has_the_fields_that_are_shown(system: System) -> None:
    (example,) = (shown(name) for name in claimed_by("test_a_job_has_the_fields_that_are_shown"))
    async with system.client() as client, await system.watcher(client) as watcher:
        job_id = await import_workbook(client, sample_workbook(20, seed=14))
        await watcher.until_terminal(f"job:{job_id}")
        job = (await client.get(f"/api/v1/jobs/{job_id}/")).json()
    assert list(job) == list(example)
    assert job["result"].keys() == example["result"].keys()


async def test_the_use_of_quotas_has_the_fields_that_are_shown(system: System) -> None:
    (example,) = (shown(name) for name in claimed_by("test_the_use_of_quotas_has_the_fields_that_are_shown"))
    async with system.client() as client:
        assert shape((await client.get("/api/v1/usage/")).json()) == shape(example)


async def test_a_person_and_a_code_have_the_fields_that_are_shown(system: System) -> None:
    person, code = (shown(name) for name in claimed_by("test_a_person_and_a_code_have_the_fields_that_are_shown"))
    new = {"role": "teacher", "name": "문서", "username": "of-the-page"}
    async with system.client() as client:
        added = (await client.post("/api/v1/people/", json=new)).json()
        issued = (await client.post(f"/api/v1/people/{added['id']}/code/")).json()
        listed = (await client.get("/api/v1/people/", params={"role": "owner", "active": "true"})).json()["results"]
    used = next(one for one in listed if one["username"] == "owner")  # the one who is signed in
    assert list(used) == list(person)
    assert shape(used) == shape(person)
    assert list(issued) == list(code)
    assert len(issued["code"]) == len(code["code"])
