"""The log of a running system: lines of a job, a connection or a request name its tenant. Frames are not logged."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.contextvars import bound_contextvars, get_contextvars
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from academy.adapters.excel.sample import sample_workbook
from embedded.group import Servers
from embedded.scratch import scratch_folder
from harness.system import System, eventually, import_workbook, running_system, tenant_of
from realtime.connect.link_health import Health
from realtime.publish import Publisher
from realtime.web.process_state import this_process

Line = dict[str, Any]
FLOOD = 300


@pytest.fixture(scope="module")
def talking(template: Servers) -> Iterator[System]:
    """Yield a running product with the log level DEBUG."""
    with scratch_folder("system") as folder:
        with running_system(template, folder, "talking_system", LOG_LEVEL="DEBUG") as running:
            yield running


def lines_of(log_file: Path) -> list[Line]:
    """Return the parsed lines of a log file, without an incomplete last line."""
    text = log_file.read_text(errors="replace")  # a character at the end may be incomplete too
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("}\n")]


def of_our_code(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.get("logger", "").partition(".")[0] in {"academy", "apps", "realtime"}]


async def test_every_line_of_a_running_import_has_its_tenant_job_and_attempt(talking: System) -> None:
    log_file = talking.worker.log_file
    before = len(lines_of(log_file))
    async with talking.client() as client, await talking.watcher(client) as watcher:
        job_id = await import_workbook(client, sample_workbook(30, seed=43))
        await watcher.until_terminal(f"job:{job_id}")
    await eventually(lambda: any(line["event"] == "job_done" for line in lines_of(log_file)[before:]))
    of_relay = {"realtime.outbox.relay", "realtime.outbox.refill_redis"}
    lines = [line for line in of_our_code(lines_of(log_file)[before:]) if line["logger"] not in of_relay]
    assert [line["event"] for line in lines if line["level"] == "info"] == ["job_started", "job_done"]
    said = {(line["tenant"], line["job"], line["attempt"], line["job_type"]) for line in lines}
    assert said == {(tenant_of(talking, "hanbit"), f"job:{job_id}", 1, "excel_parsing")}


async def test_the_line_of_a_failed_job_has_its_tenant(talking: System) -> None:
    log_file = talking.worker.log_file
    async with talking.client("saebom") as client, await talking.watcher(client) as watcher:
        job_id = await import_workbook(client, b"no workbook at all", "x.csv")
        assert (await watcher.until_terminal(f"job:{job_id}"))["status"] == "FAILED"

    def failed() -> list[Line]:
        return [line for line in lines_of(log_file) if line["event"] == "job_failed"]

    await eventually(lambda: bool(failed()))
    (line,) = failed()
    assert (line["tenant"], line["job"], line["attempt"]) == (tenant_of(talking, "saebom"), f"job:{job_id}", 1)


async def test_the_lines_of_a_websocket_have_its_tenant_and_its_connection(talking: System) -> None:
    log_file = talking.web.log_file
    async with talking.client("saebom") as client, await talking.watcher(client) as watcher:
        await watcher.read_until("snapshot")
        connection = watcher.frames[0]["connection"]
        for _ in range(40):  # more frames than a client may send
            await watcher.send({"type": "pong"})
        assert (await watcher.closed())[0] == 4102

    def lines() -> list[Line]:
        return [line for line in lines_of(log_file) if line.get("connection") == connection]

    await eventually(lambda: "connection_ended" in [line["event"] for line in lines()])
    assert [line["event"] for line in lines()] == ["connection_opened", "connection_ended"]
    assert {(line["tenant"], line["transport"]) for line in lines()} == {(tenant_of(talking, "saebom"), "websocket")}
    of_connections = [line for line in lines_of(log_file) if line.get("logger") == "realtime.connect.connection"]
    assert all(line["tenant"] and line["connection"] for line in of_connections)


async def test_the_lines_of_a_request_have_its_own_tenant(talking: System) -> None:
    academies = ["hanbit", "saebom"] * 5
    with talking.another_web(S3_BUCKET="no-such-bucket") as web:
        async with httpx.AsyncClient(base_url=web.address, timeout=60) as client:
            await asyncio.gather(*(upload(client, talking.access_token(academy, "owner")) for academy in academies))

        def unavailable() -> list[Line]:
            return [line for line in lines_of(web.log_file) if line["event"] == "storage_unavailable"]

        await eventually(lambda: len(unavailable()) >= len(academies))
        lines = unavailable()
    assert sorted(line["tenant"] for line in lines) == sorted(tenant_of(talking, academy) for academy in academies)


async def upload(client: httpx.AsyncClient, token: str) -> None:
    """Upload a workbook to a process whose bucket does not exist. Check that the response is 503."""
    files = {"file": ("x.xlsx", sample_workbook(1, seed=44))}
    headers = {"Authorization": f"Bearer {token}"}
    assert (await client.post("/api/v1/students/import/", files=files, headers=headers)).status_code == 503


async def test_tasks_that_outlive_a_request_do_not_log_its_tenant(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound: list[dict[str, Any]] = []

    async def run(_health: Health) -> None:
        bound.append(get_contextvars())

    monkeypatch.setattr(Health, "run", run)
    with bound_contextvars(tenant=7):
        process = this_process()
        while not bound:
            await asyncio.sleep(0)
        await process.close()
    assert bound == [{}]


async def test_every_line_from_the_start_to_the_stop_is_an_object(own_system: System) -> None:
    host, port = own_system.address.removeprefix("http://").split(":")
    async with own_system.client() as client, await own_system.watcher(client) as watcher:
        job_id = await import_workbook(client, sample_workbook(30, seed=45))
        await watcher.until_terminal(f"job:{job_id}")
        assert (await client.get("/api/v1/lectures/no-number/")).status_code == 404
    for request in (
        b"no request at all\r\n\r\n",
        b"GET /ws/events/ HTTP/1.1\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request)
        await reader.read()
        writer.close()
    await asyncio.to_thread(own_system.web.stop)
    await asyncio.to_thread(own_system.worker.stop)
    for service in (own_system.web, own_system.worker):
        lines = [json.loads(line) for line in service.log_file.read_text().splitlines()]
        assert all(line["timestamp"] and line["level"] and line["event"] for line in lines)
    assert any("Invalid HTTP request" in line["event"] for line in lines_of(own_system.web.log_file))


async def test_nothing_is_logged_for_each_record_or_frame(talking: System) -> None:
    log_file = talking.web.log_file
    publisher, tenant_id = Publisher.from_url(talking.redis.url), tenant_of(talking, "hanbit")
    async with talking.client() as client, await talking.watcher(client, topics="flood:*") as watcher:
        await watcher.read_until("snapshot")
        before = len(lines_of(log_file))
        for number in range(FLOOD):
            publisher.status(tenant_id=tenant_id, topic="flood:a", attempt=number + 1, status="PENDING")
        publisher.status(tenant_id=tenant_id, topic="flood:a", attempt=FLOOD, status="DONE")
        await watcher.until_terminal("flood:a")
        assert len(lines_of(log_file)) - before < FLOOD / 10  # debug lines included
    publisher.close()


def refused_in(log_file: Path) -> list[Line]:
    return [line for line in lines_of(log_file) if line["event"] == "refused"]


async def test_the_reason_of_a_refused_handshake_is_logged_once_and_counted(talking: System) -> None:
    with talking.another_web() as web:
        url = f"ws{web.address.removeprefix('http')}/ws/events/"
        for _ in range(3):
            with pytest.raises(InvalidStatus):
                await connect(url, origin="https://evil.example")  # type: ignore[arg-type]
            with pytest.raises(InvalidStatus):
                await connect(f"{url}elsewhere/")
            with pytest.raises(InvalidStatus):
                await connect("ws://evil.example/ws/events/", host="127.0.0.1", port=web.port, proxy=None)
            assert (await talking.refused(url))[0] == 4401
        await eventually(lambda: len(refused_in(web.log_file)) >= 4)
        refused = refused_in(web.log_file)
        async with httpx.AsyncClient(base_url=web.address) as client:
            metrics = (await client.get("/metrics")).text
    reasons = ["origin", "path", "host", "ticket_invalid"]
    assert [line["reason"] for line in refused] == reasons
    assert "evil.example" in refused[0]["message"]
    assert "REALTIME_ALLOWED_ORIGINS" in refused[0]["message"]
    assert "ALLOWED_HOSTS" in refused[2]["message"]
    for reason in reasons:
        assert f'realtime_refused_total{{reason="{reason}"}} 3.0' in metrics


async def test_requests_that_django_refuses_are_logged_once_for_each_reason_without_tracebacks(talking: System) -> None:
    many, file = {f"field{number}": "x" for number in range(3000)}, {"file": ("a.csv", b"name\n")}
    with talking.another_web() as web:
        async with talking.client() as owner, httpx.AsyncClient(base_url=web.address) as client:
            client.headers["Authorization"] = owner.headers["Authorization"]
            before = len(lines_of(web.log_file))
            for number in range(5):
                host = {"Host": f"evil{number}.example"}
                assert (await client.get("/api/v1/lectures/", headers=host)).status_code == 400
                answer = await client.post("/api/v1/students/import/", data=many, files=file)
                assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
            metrics = (await client.get("/metrics")).text
        await eventually(lambda: len(refused_in(web.log_file)) >= 2)
        lines = lines_of(web.log_file)[before:]
    refused = [line for line in lines if line["event"] == "refused"]
    assert [(line["reason"], line["kind"]) for line in refused] == [
        ("host", "DisallowedHost"),
        ("bad_request", "TooManyFieldsSent"),
    ]
    assert refused[0]["path"] == "/api/v1/lectures/"
    assert [line for line in lines if "exception" in line or "Traceback" in line["event"]] == []
    for reason in ("host", "bad_request"):
        assert f'realtime_refused_total{{reason="{reason}"}} 5.0' in metrics
