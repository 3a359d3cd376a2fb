"""Tests that `manage.py runserver` serves everything, with its reloader and on a real port, as developers run it."""

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from embedded.home import PROJECT
from embedded.plan import Web
from embedded.ports import HOST, free_port
from harness.event_stream import EventStream
from harness.system import PASSWORD, System, new_ticket, running
from harness.watcher import Watcher
from realtime.publish import Publisher


@pytest.fixture(scope="module")
def development_web(system: System) -> Iterator[Web]:
    port = free_port()
    command = [sys.executable, "manage.py", "runserver", f"{HOST}:{port}"]
    environment = {name: value for name, value in system.environment.items() if name != "PROCESS_NAME"}
    web = Web("runserver", command, system.folder / "runserver.log", environment)
    web.port = port
    with running(web):
        yield web


async def test_a_user_signs_in_and_gets_a_record_over_the_websocket_and_as_an_event(
    system: System, development_web: Web
) -> None:
    async with httpx.AsyncClient(base_url=development_web.address, timeout=60) as client:
        account = {"tenant": "saebom", "username": "owner", "password": PASSWORD}
        signed_in = await client.post("/api/v1/auth/token/", json=account)
        assert signed_in.status_code == 200, signed_in.text
        client.headers["Authorization"] = f"Bearer {signed_in.json()['access']}"
        ticket = await new_ticket(client)
    assert ticket["websocket_url"] == f"ws://{development_web.where}/ws/events/"
    ((tenant_id,),) = system.query("SELECT id FROM tenant WHERE code = 'saebom'")
    async with (
        await Watcher.connect(ticket["websocket_url"], ticket["ticket"], topics="runserver:*") as watcher,
        await EventStream.open(ticket["events_url"], ticket["ticket"], topics="runserver:*") as stream,
    ):
        for each in (watcher, stream):
            await each.read_until("snapshot")
        publisher = Publisher.from_url(system.redis.url)
        publisher.status(tenant_id=int(tenant_id), topic="runserver:a", attempt=1, status="DONE")
        publisher.close()
        for each in (watcher, stream):
            assert (await each.until_terminal("runserver:a"))["status"] == "DONE"


def test_a_static_file_is_read_from_the_disk_at_each_request(development_web: Web) -> None:
    answer = httpx.get(f"{development_web.address}/static/page/main.js")
    assert answer.status_code == 200
    assert answer.content == (PROJECT / "apps/page/static/page/main.js").read_bytes()
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "max-age" not in answer.headers.get("cache-control", "")  # the product's web server sets it


def test_web_processes_and_workers_do_not_import_what_only_runserver_needs(system: System) -> None:
    code = "import asgi, apps.worker.loop, sys; print(*{'daphne', 'twisted.internet'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    imported = subprocess.run(command, cwd=PROJECT, env=system.environment, stdout=subprocess.PIPE, check=True)
    assert imported.stdout.strip() == b""
