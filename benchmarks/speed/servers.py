"""Starts the servers that are compared. Each is a context manager that yields a `Target`, and ends its processes.

The measured process runs alone on one core. All other processes (Redis, the publisher, the clients) run on the others.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.utils.crypto import salted_hmac

from benchmarks.speed import processes
from benchmarks.speed.generator import build
from benchmarks.speed.publisher import FIRST_TENANT, Records
from embedded.plan import Plan, Program, Web
from embedded.ports import HOST, answers, free_port
from embedded.redis import RedisServer
from realtime.connect.tickets import Ticket, issue_ticket
from realtime.publish import Publisher
from realtime.records.topics import TopicFilter

SECRET = "a-key-of-the-benchmark-only-0123456789abcdef"  # noqa: S105 - it protects nothing
SNAPSHOT = '"type":"snapshot"'
TICKET_SECONDS = 1800
FIRST_RECORDS = 5
WEBSOCKET, SSE = "websocket", "sse"
Started = AbstractContextManager["Target"]


@dataclass(frozen=True)
class Target:
    """A running server. `pids` are its processes; `requests` are what its clients send, see `load_generator.c`."""

    name: str
    port: int
    pids: Sequence[int]
    requests: Sequence[str]
    publish_to: str
    protocol: str
    ready_text: str = ""
    redis_pids: Sequence[int] = ()


class Listening(Program):
    """A program that is ready when it accepts connections at its port."""

    port = 0

    def _is_ready(self) -> bool:
        return answers(self.port)


@contextmanager
def listening(name: str, argv: Sequence[object], folder: Path, port: int, **environment: str) -> Iterator[int]:
    """Run a program until the block ends. Yield its pid when it accepts connections at `port`."""
    words = [str(word) for word in argv]
    program = Listening(name, words, folder / f"{name}.log", {**os.environ, **environment})
    program.port = port
    try:
        program.start()
        program.wait_ready()
        assert program.pid is not None  # noqa: S101 - for the type checker
        processes.pin(program.pid, processes.cores()[0])
        processes.allow_files(program.pid)
        yield program.pid
    finally:
        program.kill()


def ticket(tenant_id: int) -> str:
    key = salted_hmac("realtime.tickets", "signing key", SECRET, algorithm="sha256").digest()
    rights = Ticket(tenant_id, 1, "s", "owner", TopicFilter.of(["*"]), 3600)
    return issue_ticket(rights, key, seconds=TICKET_SECONDS)


def product_requests(protocol: str, tenants: int) -> list[str]:
    tickets = [ticket(FIRST_TENANT + number) for number in range(tenants)]
    if protocol == SSE:
        return [f"/api/v1/events/\tAuthorization: Bearer {each}" for each in tickets]
    return [f"/ws/events/\tSec-WebSocket-Protocol: realtime.v1, ticket.{each}" for each in tickets]


def product_environment(redis_url: str) -> dict[str, str]:
    """Return the environment of a web process. It has no database: connecting and pushing need none."""
    most = "100000"
    return {
        **os.environ,
        "SECRET_KEY": SECRET,
        "REDIS_URL": redis_url,
        "DATABASE_URL": f"postgresql://nobody@{HOST}:{free_port()}/none",
        "PROCESS_NAME": "web",
        "LOG_LEVEL": "WARNING",
        "REALTIME_MAX_CONNECTIONS": most,
        "REALTIME_MAX_CONNECTIONS_PER_TENANT": most,
        "REALTIME_MAX_CONNECTIONS_PER_USER": most,
        "REALTIME_DRAIN_SECONDS": "0",
        # The settings of a developer's shell must not change what is measured.
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }


def publish_first(redis_url: str, tenants: int) -> None:
    """Publish the records that a client finds when it connects: FIRST_RECORDS for each tenant."""
    records, publisher = Records(tenants), Publisher.from_url(redis_url)
    now_us = processes.now_us()
    numbers = range(tenants * FIRST_RECORDS)
    publisher.publish_many((FIRST_TENANT + records.tenant(n), records.draft(n, now_us)) for n in numbers)
    publisher.close()


@contextmanager
def product(
    name: str, folder: Path, protocol: str, tenants: int, argv: Sequence[str], count: int = 1
) -> Iterator[Target]:
    """Run web processes of the product (`asgi.py`) at one port, with their own Redis."""
    redis = RedisServer(folder / f"redis-{name}-{protocol}")
    port = free_port()
    words = Plan(web_argv=argv).web(port)
    logs = [folder / f"{name}-{protocol}-{number}.log" for number in range(count)]
    variables = product_environment(redis.url)
    webs = [_SharedPort(f"{name}-{number}", words, log, variables) for number, log in enumerate(logs)]
    own, others = processes.cores()
    try:
        redis.start()
        redis.wait_ready()
        for web in webs:
            web.port = port
            web.start()
        for web in webs:
            web.wait_ready()
        pids = [web.pid for web in webs if web.pid is not None]
        for pid in pids:
            processes.pin(pid, own)
            processes.allow_files(pid)
        assert redis.pid is not None  # noqa: S101 - for the type checker
        processes.pin(redis.pid, others)
        publish_first(redis.url, tenants)
        yield Target(name, port, pids, product_requests(protocol, tenants), redis.url, protocol, SNAPSHOT, [redis.pid])
    finally:
        for web in webs:
            web.kill()
        redis.kill()


class _SharedPort(Web):
    """A web process that may share its port with another one."""

    def is_taken(self) -> bool:
        return False


_SERVE = [sys.executable, "-m", "realtime.serve", "asgi:application", "--host", HOST, "--port", "{port}"]


def ours(folder: Path, protocol: str, tenants: int) -> Started:
    return product("ours", folder, protocol, tenants, _SERVE)


def portable(folder: Path, protocol: str, tenants: int) -> Started:
    """Run the product so that it serves connections through ASGI messages, as it does on other servers."""
    return product("ours-portable", folder, protocol, tenants, [*_SERVE, "--portable"])


def two_processes(folder: Path, protocol: str, tenants: int) -> Started:
    """Run two web processes of the product, on the same core."""
    return product("ours-two", folder, protocol, tenants, [*_SERVE, "--reuse-port"], 2)


def daphne(folder: Path, protocol: str, tenants: int) -> Started:
    argv = [sys.executable, "-m", "daphne", "-b", HOST, "-p", "{port}", "--verbosity", "0", "asgi:application"]
    return product("ours-daphne", folder, protocol, tenants, argv)


@contextmanager
def limit(folder: Path, protocol: str, tenants: int) -> Iterator[Target]:
    """Run `send_loop.c`, which no server can beat that sends each record when it comes."""
    port, feed = free_port(), free_port()
    with listening("limit", [build("send_loop"), port, feed, protocol], folder, port) as pid:
        requests = [f"/{number}" for number in range(tenants)]
        yield Target("limit", port, [pid], requests, f"lines:{feed}", protocol)


SERVERS: dict[str, Callable[[Path, str, int], Started]] = {
    "ours": ours,
    "ours-portable": portable,
    "ours-two": two_processes,
    "ours-daphne": daphne,
    "limit": limit,
}
