"""`kill -9` of the worker before and after a send: no message is sent twice, and the counts are right."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from harness.system import System, eventually
from tests.messaging.gateway import DeafListener, Gateway, running_gateway

pytestmark = pytest.mark.slow

STUDENTS = 5
MESSAGES = """
    SELECT m.status, m.code FROM message m JOIN message_job b ON b.id = m.job_id JOIN aijob j ON j.id = b.job_id
    WHERE j.job_id = %s ORDER BY m.id
"""
ONE_UNKNOWN = [("FAILED", "outcome_unknown")] + [("SENT", "")] * (STUDENTS - 1)
COUNTS = {"sent": STUDENTS - 1, "failed": 1, "total": STUDENTS}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running_gateway() as running:
        yield running


async def written(client: httpx.AsyncClient) -> str:
    """Submit a message to some parents, and return the id of its job."""
    students = (await client.get("/api/v1/students/", params={"page_size": STUDENTS})).json()["results"]
    body = {"text": "{name}", "students": [student["id"] for student in students]}
    answer = await client.post("/api/v1/messages/", json=body)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def sends_by(url: str) -> dict[str, str]:
    return {"MESSAGE_PROVIDER": "http", "MESSAGE_HTTP_URL": url}


async def until_done(system: System, client: httpx.AsyncClient, job_id: str, url: str) -> dict[str, Any]:
    """Let another worker finish the job, and return the job's result."""
    async with await system.watcher(client) as watcher:
        with system.running_worker("messaging_worker", **sends_by(url)):
            done = await watcher.until_terminal(f"job:{job_id}")
    assert (done["status"], done["attempt"]) == ("DONE", 2)
    result: dict[str, Any] = done["data"]["result"]
    return result


async def test_kill_between_claim_and_send(own_system: System, gateway: Gateway) -> None:
    """The worker waits for a handshake that never comes: the message is claimed, and not a byte of it was sent."""
    deaf = DeafListener()
    async with own_system.client() as client:
        job_id = await written(client)
        with own_system.running_worker("messaging_worker", **sends_by(deaf.url)) as worker:
            await eventually(deaf.asked.is_set)
            worker.kill()
        deaf.close()
        assert own_system.query(MESSAGES, job_id) == [("CLAIMED", "")] + [("PENDING", "")] * (STUDENTS - 1)
        assert await until_done(own_system, client, job_id, gateway.url) == COUNTS
    assert own_system.query(MESSAGES, job_id) == ONE_UNKNOWN
    assert len({message["id"] for message in gateway.received}) == len(gateway.received) == STUDENTS - 1


async def test_kill_between_send_and_save(own_system: System, gateway: Gateway) -> None:
    """The gateway has received the message and has not responded when the worker is killed."""
    killed = threading.Event()

    def answer(_message: object) -> int:
        killed.wait(60)
        return 202

    gateway.answer = answer
    async with own_system.client() as client:
        job_id = await written(client)
        with own_system.running_worker("messaging_worker", **sends_by(gateway.url)) as worker:
            await eventually(lambda: len(gateway.received) == 1)
            worker.kill()
        killed.set()
        assert own_system.query(MESSAGES, job_id) == [("CLAIMED", "")] + [("PENDING", "")] * (STUDENTS - 1)
        assert await until_done(own_system, client, job_id, gateway.url) == COUNTS
    assert own_system.query(MESSAGES, job_id) == ONE_UNKNOWN
    assert len({message["id"] for message in gateway.received}) == len(gateway.received) == STUDENTS
