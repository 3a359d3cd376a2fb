"""Tests `examples/minimal/` with a copy of `realtime/`, in a folder without anything else of this project.

The tests run the commands of the example's page. `MINIMAL_PYTHON=/path/to/python` runs them with the packages of
another environment, such as one with the newest Django (CONTRIBUTING.md).
"""

import ast
import asyncio
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import packages_distributions
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from redis import Redis
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from embedded.group import Servers
from embedded.home import PROJECT
from embedded.ports import free_port
from harness.event_stream import EventStream
from harness.system import eventually, new_ticket
from harness.watcher import Watcher
from tests.docs.pages import blocks
from tests.docs.scripts import DOCUMENTED_ADDRESS, DOCUMENTED_REDIS, PATIENCE_SECONDS, Lines, bare_environment

PAGE = "examples/minimal/README.md"
COPY, VARIABLES, SERVE, WATCH, WORK = (blocks()[f"{PAGE}#sh-{number}"] for number in (1, 3, 4, 5, 6))
MIGRATE, RELAY = (blocks()[f"{PAGE}#sh-{number}"] for number in (7, 8))
OUTBOX = blocks()[f"{PAGE}#python-1"]
NOWHERE = "redis://127.0.0.1:1/0"
PYTHON = Path(os.environ.get("MINIMAL_PYTHON", sys.executable))
NEW_PROJECT = """
DEBUG = True
ALLOWED_HOSTS = []
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
"""


class Minimal:
    """The example in its folder. The methods run its commands, but at the tests' addresses."""

    def __init__(self, folder: Path, servers: Servers) -> None:
        self.folder, self._redis_url = folder, servers.redis.url
        self.address = f"http://127.0.0.1:{free_port()}"
        database = urlsplit(servers.postgres.url)
        where = {"PGHOST": database.hostname, "PGPORT": database.port, "PGUSER": database.username}
        self.environment = bare_environment(
            PGDATABASE="minimal",
            PATH=f"{PYTHON.parent}:{os.environ['PATH']}",
            PGPASSWORD=database.password or "",
            **{name: str(value) for name, value in where.items() if value is not None},
        )
        del self.environment["PYTHONPATH"]  # it would find the packages of this project

    def command(self, block: str, redis_url: str | None = None) -> list[str]:
        """Return a shell command that sets the variables of the page, and then runs a block of the page."""
        variables = VARIABLES.replace(". .venv/bin/activate\n", "")  # this Python has the packages already
        block = block.replace(DOCUMENTED_ADDRESS, self.address).replace("--port 8000", f"--port {self.address[17:]}")
        return ["/bin/sh", "-euc", variables.replace(DOCUMENTED_REDIS, redis_url or self._redis_url) + "exec " + block]

    def run(self, block: str, redis_url: str | None = None) -> str:
        """Run a block of the page to its end, and return its output."""
        done = subprocess.run(
            self.command(block, redis_url),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @asynccontextmanager
    async def running(self, block: str) -> AsyncIterator[Lines]:
        process = await asyncio.create_subprocess_exec(
            *self.command(block),
            cwd=self.folder,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            yield Lines(process)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[httpx.AsyncClient]:
        """Run the example's web server, and yield a client with an access token of the example."""
        headers = {"Authorization": f"Bearer {await asyncio.to_thread(self.run, 'python rules.py')}"}
        async with self.running(SERVE), httpx.AsyncClient(base_url=self.address, headers=headers) as client:
            await eventually(self.ready)
            yield client

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.address}/readyz").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def minimal(tmp_path: Path, servers: Servers, redis: Redis) -> Iterator[Minimal]:
    subprocess.run(["/bin/sh", "-eu"], input=COPY.replace("/tmp", str(tmp_path)), cwd=PROJECT, text=True, check=True)  # noqa: S108 - the page's
    folder = tmp_path / "minimal"
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    with psycopg.connect(servers.postgres.url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE minimal")
        yield Minimal(folder, servers)
        admin.execute("DROP DATABASE minimal WITH (FORCE)")


async def test_the_minimal_project_runs_on_the_folder_alone(minimal: Minimal) -> None:
    async with minimal.serving() as client, minimal.running(WATCH) as printed:
        await printed.until("event: snapshot")
        ticket = await new_ticket(client)
        async with (
            await Watcher.connect(ticket["websocket_url"], ticket["ticket"]) as watcher,
            await EventStream.open(ticket["events_url"], ticket["ticket"]) as stream,
        ):
            await watcher.read_until("snapshot")
            await stream.read_until("snapshot")
            await asyncio.to_thread(minimal.run, WORK)
            seen = [await watcher.until_terminal("job:1"), await stream.until_terminal("job:1")]
        bearer = {"Authorization": f"Bearer {ticket['ticket']}"}
        polled = (await client.get(ticket["snapshot_url"], headers=bearer)).json()["records"]
        with_access_token = (await client.get("/api/v1/realtime/snapshot/")).json()["records"]
        await printed.until('"status":"DONE"')
        assert (await client.get("/api/v1/realtime/snapshot/", headers={"Authorization": "no"})).status_code == 401
    assert [*seen, *polled, *with_access_token] == [seen[0]] * 4
    assert (seen[0]["status"], seen[0]["data"]) == ("DONE", {"answer": 42})


async def test_an_end_that_redis_could_not_take_comes_by_the_relay(minimal: Minimal) -> None:
    await asyncio.to_thread(minimal.run, MIGRATE)
    (minimal.folder / "finish.py").write_text("import django\n\ndjango.setup()\n" + OUTBOX)
    async with minimal.serving() as client:
        ticket = await new_ticket(client)
        async with await Watcher.connect(ticket["websocket_url"], ticket["ticket"]) as watcher:
            await watcher.read_until("snapshot")
            await asyncio.to_thread(minimal.run, "python finish.py", NOWHERE)
            async with minimal.running(RELAY):
                assert (await watcher.until_terminal("job:2"))["status"] == "DONE"


async def test_a_new_project_with_debug_and_no_hosts_is_reached_at_localhost(minimal: Minimal) -> None:
    with (minimal.folder / "settings.py").open("a") as settings:
        settings.write(NEW_PROJECT)
    async with minimal.running(SERVE) as log, httpx.AsyncClient() as client:
        await eventually(minimal.ready)
        client.headers["Authorization"] = f"Bearer {await asyncio.to_thread(minimal.run, 'python rules.py')}"
        address = minimal.address.replace("127.0.0.1", "localhost")
        ticket = (await client.post(f"{address}/api/v1/realtime/ticket/", json={})).json()
        protocols = [Subprotocol("realtime.v1"), Subprotocol(f"ticket.{ticket['ticket']}")]
        async with connect(ticket["websocket_url"], subprotocols=protocols, origin=Origin(address)) as socket:
            assert '"welcome"' in str(await socket.recv())
        with pytest.raises(InvalidStatus):
            await connect(ticket["websocket_url"], additional_headers={"Host": "evil.example"})
        await log.until("ALLOWED_HOSTS")


def test_doctor_says_what_a_new_project_does_not_use(minimal: Minimal) -> None:
    with (minimal.folder / "settings.py").open("a") as settings:
        settings.write(NEW_PROJECT)
    minimal.run("python -m django migrate")
    said = minimal.run("python -m django doctor")
    for part in ("outbox", "relay", "redis contents"):
        assert f"ok    {part}: not used: " in said
    assert "the database is sqlite" in said
    assert "WRONG" not in said


def test_doctor_asks_nothing_of_an_outbox_that_nobody_uses(minimal: Minimal) -> None:
    minimal.run(MIGRATE)
    said = minimal.run("python -m django doctor")
    assert "ok    outbox: not used: nothing was written to it" in said
    assert "ok    relay: not used: " in said


def test_the_relay_of_a_project_without_postgresql_says_what_it_needs(minimal: Minimal) -> None:
    with (minimal.folder / "settings.py").open("a") as settings:
        settings.write(NEW_PROJECT)
    refused = subprocess.run(
        minimal.command(RELAY),
        cwd=minimal.folder,
        env=minimal.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert refused.returncode == 1
    assert "The outbox and its relay need PostgreSQL, and the database is sqlite." in refused.stderr


def test_the_minimal_project_asks_for_what_the_engine_imports() -> None:
    assert blocks()[f"{PAGE}#sh-2"].endswith("install -r requirements.txt\n")
    asked = set((PROJECT / "examples" / "minimal" / "requirements.txt").read_text(encoding="utf-8").split())
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # The product requires one version of Django, the LTS. The engine alone does not.
    assert asked <= {
        each.partition(",<")[0] if each.startswith("django>") else each for each in project["dependencies"]
    }
    files = [file for file in (PROJECT / "realtime").rglob("*.py") if file.parent.name != "conformance"]  # not served
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    imported = {name.partition(".")[0] for tree in trees for name in _imported(tree)}
    distributions = packages_distributions()
    needed = {
        distributions[name][0].lower().replace("_", "-") for name in imported - sys.stdlib_module_names - {"realtime"}
    }
    names = {requirement.partition(">")[0].partition("[")[0] for requirement in asked}
    assert needed - {"asgiref"} <= names  # Django requires asgiref
    run_only = {"uvloop", "httptools", "psycopg"}  # chosen by name, not imported
    assert names - needed <= run_only


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
