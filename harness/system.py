"""Runs whole products for tests. Each has its own web server, AI worker, Redis, and database with the demo data."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psycopg
from django.conf import settings
from django.test import override_settings
from django.utils.crypto import salted_hmac
from psycopg import sql
from redis import Redis
from redis.exceptions import RedisError
from websockets.asyncio.client import connect

from academy.adapters.queue.sqs import provision_queues
from embedded.group import Servers
from embedded.plan import Plan, Web, Worker
from embedded.ports import HOST, free_port
from embedded.postgres import PostgresServer
from embedded.redis import RedisServer
from embedded.service import Service
from harness import forked
from harness.forked import ForkedWeb, ForkedWorker
from harness.servers import SECRET
from harness.watcher import Watcher
from realtime.connect.tickets import Ticket, issue_ticket
from realtime.records.topics import TopicFilter

_numbers = count(2)
_running: "list[System]" = []
SERVERS: dict[str, list[str] | None] = {
    "uvicorn": None,  # the product's own command
    "daphne": [sys.executable, "-m", "daphne", "-b", HOST, "-p", "{port}", "asgi:application"],
}
MIGRATED, TEMPLATE = "academy_migrated", "academy_template"
PASSWORD = "academy-demo"
END_SECONDS = 60.0  # a process that is killed earlier, because the machine is busy, gives nothing back
TOKEN_SECONDS = 240.0  # the greatest age of a shared token: it lasts 600 s, and must outlast the next test
PATIENCE_SECONDS = 60.0
"""How long a test waits for a process. A test that passes never waits this long: it is for busy machines."""
QUICK = {"WORKER_HEARTBEAT_SECONDS": "1", "WORKER_LEASE_SECONDS": "3", "WORKER_VISIBILITY_SECONDS": "4"}
"""Leases that a worker loses if the machine stops it for some seconds."""
STEADY = {"WORKER_HEARTBEAT_SECONDS": "1", "WORKER_LEASE_SECONDS": "6", "WORKER_VISIBILITY_SECONDS": "8"}
"""Leases that are short, but that a worker keeps even if the machine is busy. With them, tests can count attempts."""


def prepare_migrated(servers: Servers) -> None:
    """Make a database that has the schema, and no rows."""
    _make_database(servers, MIGRATED)
    _manage(servers, MIGRATED, "migrate", "--no-input", "-v", "0")


def prepare_template(servers: Servers) -> None:
    """Make the database that each system copies: a copy of the migrated one, with the demo data.

    Systems do not copy the contents of Redis and of the queues.
    """
    _make_database(servers, TEMPLATE, copied=MIGRATED)
    _manage(servers, TEMPLATE, "provision")
    _manage(servers, TEMPLATE, "load_demo")


def _make_database(servers: Servers, name: str, copied: str = "template1") -> None:
    with psycopg.connect(servers.postgres.url, autocommit=True) as admin:
        names = sql.Identifier(name), sql.Identifier(copied)
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))


def _manage(servers: Servers, database: str, *words: str) -> None:
    environment = _environment(servers, database) | servers.environment() | {"DATABASE_URL": _url(servers, database)}
    done = forked.run([sys.executable, "manage.py", *words], environment, timeout=300)
    assert done.returncode == 0, done.stdout


def _url(servers: Servers, database: str) -> str:
    return servers.postgres.url.rpartition("/")[0] + f"/{database}"


def _environment(servers: Servers, name: str) -> dict[str, str]:
    return {
        **os.environ,
        **servers.environment(),
        "SECRET_KEY": SECRET,
        "SQS_QUEUE_PREFIX": name,
        "DATABASE_URL": _url(servers, name),
        "PYTHONUNBUFFERED": "1",
        "REALTIME_MAX_CONNECTIONS_PER_USER": "1000",  # all clients of a test may be of one user
        "QUOTA_CHANGES_PER_USER": "1000000",
        "QUOTA_CHANGES_PER_TENANT": "10000000",
        "REALTIME_DRAIN_SECONDS": "0",
        "WORKER_POLL_SECONDS": "1",  # an idle worker ends only after its poll
        "WORKER_RETRY_SECONDS": "1",
    }


class System:
    """One running product. A test may kill `web`, `worker` or `redis`, and start it again."""

    def __init__(self, servers: Servers, folder: Path, name: str, server: str = "uvicorn", **environment: str) -> None:
        # The number makes the name unique: depending on the order of the tests, pytest may make the system of a module
        # more than once.
        name = f"{name}_{next(_numbers)}"
        self.folder, self.name, self._servers = folder / name, name, servers
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}
        self._names: set[str] = set()
        self._connections: list[psycopg.Connection] = []
        self.redis = RedisServer(self.folder / "redis")
        self.environment = _environment(servers, name) | {"REDIS_URL": self.redis.url} | environment
        self._plan = Plan(web_argv=SERVERS[server])
        self.sends_close_reasons = server != "daphne"
        self.web = self._web("web")
        self.worker = self.worker_of("ai_worker")

    def _web(self, name: str, **environment: str) -> Web:
        port = free_port()
        variables = self.environment | {"PROCESS_NAME": "web"} | environment
        web = ForkedWeb(name, self._plan.web(port), self.folder / f"{name}.log", variables)
        web.port = port
        return web

    def worker_of(self, kind: str, **environment: str) -> Worker:
        """Return a worker of this kind, such as `video_worker`, not started. There may be several of a kind."""
        name = kind if kind not in self._names else f"{kind}_{next(_numbers)}"
        self._names.add(name)
        variables = self.environment | {"PROCESS_NAME": kind} | environment
        log_file, ready_file = self.folder / f"{name}.log", self.folder / f"{name}.ready"
        return ForkedWorker(name, self._plan.workers[kind], log_file, variables, ready_file)

    @contextmanager
    def running_worker(self, kind: str, **environment: str) -> Iterator[Worker]:
        """Run a worker of this kind until the block ends."""
        worker = self.worker_of(kind, **environment)
        worker.start()
        try:
            worker.wait_ready()
            yield worker
        finally:
            worker.stop(END_SECONDS)

    @property
    def address(self) -> str:
        return self.web.address

    @property
    def postgres(self) -> PostgresServer:
        """The PostgreSQL server, which has the databases of this system and of all other systems."""
        return self._servers.postgres

    @property
    def database_url(self) -> str:
        return self.environment["DATABASE_URL"]

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        _make_database(self._servers, self.name, copied=TEMPLATE)
        self.redis.start()
        self.redis.wait_ready()
        self.web.start()
        self._provision()
        self.worker.start()
        self.web.wait_ready()
        self.worker.wait_ready()

    def _provision(self) -> None:
        """Make the queues like `manage.py provision`, but in this process, which is a second faster.

        If this system has a bucket of its own, run the command, which makes the queues and the bucket.
        """
        if self.environment["S3_BUCKET"] != self._servers.environment()["S3_BUCKET"]:
            self.manage("provision")
            return
        visibility = int(self.environment.get("WORKER_VISIBILITY_SECONDS", settings.WORKER_VISIBILITY_SECONDS))
        with override_settings(
            SQS_ENDPOINT_URL=self._servers.environment()["SQS_ENDPOINT_URL"],
            SQS_QUEUE_PREFIX=self.environment["SQS_QUEUE_PREFIX"],
            WORKER_VISIBILITY_SECONDS=visibility,
        ):
            provision_queues()

    def stop(self) -> None:
        """End `web`, `worker` and `redis`. Kill them, which is faster, unless they must still write their coverage."""
        while self._connections:
            self._connections.pop().close()
        end = Service.stop if "COVERAGE_DATA" in os.environ else Service.kill
        with ThreadPoolExecutor() as threads:
            list(threads.map(end, (self.web, self.worker, self.redis)))

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement in the product's database, and return its rows.

        Use a connection of an earlier call if one is free: a new one costs 10 ms of CPU time, and many tests repeat a
        query until its result is as expected.
        """
        kept = self._connections.pop() if self._connections else None
        connection = kept or psycopg.connect(self.database_url, prepare_threshold=None)
        try:
            with connection.transaction():
                rows = connection.execute(statement, values).fetchall()
        except psycopg.OperationalError:
            if kept and kept.closed:  # PostgreSQL was restarted or has ended this connection
                return self.query(statement, *values)
            raise
        finally:
            if not connection.closed:
                self._connections.append(connection)
        return rows

    def client(self, academy: str = "hanbit", username: str = "owner") -> httpx.AsyncClient:
        """Return a signed-in client of the API. Close it, or use it in `async with`."""
        headers = {"Authorization": f"Bearer {self.access_token(academy, username)}"}
        return httpx.AsyncClient(base_url=self.address, headers=headers, timeout=PATIENCE_SECONDS)

    def access_token(self, academy: str, username: str) -> str:
        """Return an access token that tests share. Sign in only if the account has no token, or one that is too old."""
        account = {"tenant": academy, "username": username, "password": PASSWORD}
        token, since = self._tokens.get((academy, username), ("", 0.0))
        if not token or time.monotonic() - since > TOKEN_SECONDS:
            signed_in = httpx.post(f"{self.address}/api/v1/auth/token/", json=account, timeout=PATIENCE_SECONDS)
            assert signed_in.status_code == 200, signed_in.text
            token = signed_in.json()["access"]
            self._tokens[academy, username] = token, time.monotonic()
        return token

    def forget_attempts(self) -> None:
        """Reset the limits of sign-ins, as if nobody had tried to sign in lately."""
        with suppress(RedisError), Redis.from_url(self.redis.url) as redis:
            for key in redis.scan_iter("*sign-in:*", count=1000):
                redis.delete(key)

    async def until_idle(self) -> None:
        """Wait until all imports and exports have ended.

        Tests that share this system may leave some behind, which change the students and the feed. Call this before
        counting students, or before requiring that nothing is published.
        """
        unfinished = """
            SELECT count(*) FROM aijob
            WHERE status IN ('PENDING', 'PROCESSING') AND job_type IN ('excel_parsing', 'student_export')
        """
        await eventually(lambda: self.query(unfinished) == [(0,)], 2 * PATIENCE_SECONDS, "the end of earlier jobs")

    def forget_tokens(self) -> None:
        """Let the next clients sign in again, because a test has revoked the shared tokens."""
        self._tokens.clear()

    def web_of(self, **environment: str) -> Web:
        """Return a further web process on the same servers, not started."""
        return self._web(f"web_{next(_numbers)}", **environment)

    @contextmanager
    def another_web(self, **environment: str) -> Iterator[Web]:
        """Until the block ends, run a further web process, which uses the same Redis, database and queues."""
        with running(self.web_of(**environment)) as web:
            yield web

    def shell(self, code: str) -> None:
        """Run Python code in `manage.py shell`, as an operator would."""
        self.manage("shell", "--no-imports", "-v", "0", "-c", code)

    def manage(self, *words: str, **environment: str) -> str:
        """Run a `manage.py` command. Return what it writes. Fail if its exit code is not 0."""
        done = self.managed(*words, **environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def managed(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a `manage.py` command that may fail. `stdout` has its output and its errors."""
        return forked.run([sys.executable, "manage.py", *words], {**self.environment, **environment})

    def add_academy(self, students: int = 0) -> str:
        """Add an academy that no other test uses, with an account `owner` and this many students. Return its code."""
        code = f"academy-{next(_numbers)}"
        self.shell(
            "from academy.adapters.db.django import repositories_core, repositories_students\n"
            "from academy.domain.roles import Role; from academy.domain.student_rows import StudentRow\n"
            "from django.contrib.auth.hashers import make_password\n"
            f"tenant, hashed = repositories_core.create_tenant('{code}', 'An academy'), make_password('{PASSWORD}')\n"
            "repositories_core.create_account(tenant, 'owner', 'The owner', Role.OWNER, hashed)\n"
            f"for number in range({students}):\n"
            "    row = StudentRow(number, f'Student {number}', f'0100000{number:04d}', '', '', '')\n"
            "    repositories_students.create_student(tenant.pk, row, f'student-{number}', hashed)\n"
        )
        return code

    def ticket_key(self) -> bytes:
        """Return the key with which this product signs tickets, for tests that forge some."""
        return salted_hmac("realtime.tickets", "signing key", SECRET, algorithm="sha256").digest()

    def ticket_of(self, tenant_id: int) -> str:
        """Return a ticket for all topics of a tenant. The tenant need not exist.

        Tests that publish many records use a tenant that does not exist, so that they do not fill the feed of a real
        tenant.
        """
        rights = Ticket(tenant_id, 1, "s", "owner", TopicFilter.of(["*"]), 3600)
        return issue_ticket(rights, self.ticket_key())

    async def refused(self, url: str, subprotocols: list[str] | None = None, **more: Any) -> tuple[int, str]:
        """Return the close code and the reason with which the server refuses a WebSocket."""
        async with connect(url, subprotocols=subprotocols, additional_headers=more.get("headers")) as socket:  # type: ignore[arg-type]
            return await Watcher(socket).refused()

    async def watcher(self, client: httpx.AsyncClient, **parameters: str) -> Watcher:
        """Get a ticket with `client`, and return a WebSocket client that has connected with this ticket."""
        ticket = await new_ticket(client)
        return await Watcher.connect(ticket["websocket_url"], ticket["ticket"], **parameters)


@contextmanager
def running(web: Web) -> Iterator[Web]:
    """Start a web process, wait until it is ready, and stop it at the end of the block."""
    web.start()
    try:
        web.wait_ready()
        yield web
    finally:
        web.stop(END_SECONDS)


async def new_ticket(client: httpx.AsyncClient, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = await client.post("/api/v1/realtime/ticket/", json=body or {})
    assert answer.status_code == 200, answer.text
    ticket: dict[str, Any] = answer.json()
    return ticket


@contextmanager
def running_system(
    servers: Servers, folder: Path, name: str, server: str = "uvicorn", **environment: str
) -> Iterator[System]:
    system = System(servers, folder, name, server, **environment)
    _running.append(system)
    try:
        system.start()
        yield system
    finally:
        _running.remove(system)
        system.stop()


def forget_attempts() -> None:
    """Reset the limits of sign-ins in all running systems. Call this before each test.

    All tests sign in from one address, so the limits would soon refuse their sign-ins.
    """
    for system in _running:
        system.forget_attempts()


async def demo_lecture(client: httpx.AsyncClient) -> dict[str, Any]:
    """Return a lecture with students. Lectures that tests add have none, and may be the first of the list."""
    return await lecture_with_title(client, "중등 수학 A")


async def lecture_with_title(client: httpx.AsyncClient, title: str) -> dict[str, Any]:
    """Return the only lecture with this title. Other tests may have added any number of lectures."""
    lectures = (await client.get("/api/v1/lectures/", params={"search": title})).json()["results"]
    (found,) = [lecture for lecture in lectures if lecture["title"] == title]
    return dict(found)


async def import_workbook(client: httpx.AsyncClient, content: bytes, name: str = "학생.xlsx", **fields: str) -> str:
    """Upload a workbook to be imported, and return the job's id."""
    answer = await client.post("/api/v1/students/import/", files={"file": (name, content)}, data=fields)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


async def eventually(
    holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS, what: str = "what the test waits for"
) -> None:
    """Wait up to `seconds` until `holds()` is true. If it stays false, fail with a sentence that contains `what`.

    `holds` is called often, in a thread. Use this for a state that another process changes.
    """
    began = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(holds):
                await asyncio.sleep(_pause(began))
    except TimeoutError:
        raise AssertionError(f"Waited in vain, for {seconds:g} s, for {what}.") from None


def eventually_now(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Do the same as `eventually`, but outside an event loop."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + seconds, f"Waited in vain, for {seconds:g} s, for {what}."
        time.sleep(_pause(began))


def _pause(began: float) -> float:
    """Return the seconds to sleep before the next check. The longer the wait so far, the more, to save CPU time."""
    return min(0.1, max(0.02, (time.monotonic() - began) / 20))


def tenant_of(system: System, code: str) -> int:
    (tenant_id,) = system.query("SELECT id FROM tenant WHERE code = %s", code)[0]
    return int(tenant_id)
