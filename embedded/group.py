"""Starts and stops several servers at once."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from embedded.errors import EmbeddedError, Stopped
from embedded.postgres import PostgresServer
from embedded.redis import RedisServer
from embedded.sqs import REGION, SqsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from embedded.server import Server
    from embedded.service import Service

KINDS: dict[str, type[PostgresServer | RedisServer | SqsServer]] = {
    "postgres": PostgresServer,
    "redis": RedisServer,
    "sqs": SqsServer,
}
NAMES = tuple(KINDS)
BUCKET = "academy"


@dataclass
class Servers:
    """The chosen servers, keyed by their names in `run.json`. Access to any other server raises EmbeddedError."""

    by_name: dict[str, Server]

    def __iter__(self) -> Iterator[Server]:
        return iter(self.by_name.values())

    def __getitem__(self, name: str) -> Server:
        try:
            return self.by_name[name]
        except KeyError:
            raise EmbeddedError(f"The server {name} was not chosen.") from None

    @property
    def postgres(self) -> PostgresServer:
        found = self["postgres"]
        assert isinstance(found, PostgresServer)  # noqa: S101 (for the type checker: `choose` made it)
        return found

    @property
    def redis(self) -> RedisServer:
        found = self["redis"]
        assert isinstance(found, RedisServer)  # noqa: S101
        return found

    @property
    def sqs(self) -> SqsServer:
        found = self["sqs"]
        assert isinstance(found, SqsServer)  # noqa: S101
        return found

    def environment(self) -> dict[str, str]:
        """Return the environment variables from which the product reads the addresses of these servers."""
        variables = {server.variable: server.url for server in self.by_name.values()}
        if "sqs" in self.by_name:
            variables |= _storage(self.sqs)
        return variables


def _storage(sqs: SqsServer) -> dict[str, str]:
    """Return the environment variables for the emulator's S3.

    Return an empty dictionary if `sqs` is the real SQS, which has no S3.
    """
    host = urlsplit(sqs.url).hostname or ""
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return {}
    return {
        "S3_ENDPOINT_URL": sqs.url,
        "S3_BUCKET": BUCKET,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


def choose(
    folder: Path,
    names: Iterable[str] = NAMES,
    environment: Mapping[str, str] | None = None,
    *,
    durable: bool = False,
    logs: Path | None = None,
) -> Servers:
    """Return the servers with these names, without starting them.

    If `environment` has the address of an external server for a name, that server is used instead of one of our own.
    `logs` is a folder for the files `<name>.log`; by default each server's log is in its own folder. Raises
    EmbeddedError for an unknown name.
    """
    chosen: dict[str, Server] = {}
    for name in names:
        if name not in KINDS:
            raise EmbeddedError(f"There is no server {name!r}: use {', '.join(KINDS)}.")
        log_file = logs / f"{name}.log" if logs else None
        chosen[name] = KINDS[name].choose(folder / name, environment or {}, durable=durable, log_file=log_file)
    return Servers(chosen)


def start_all(
    services: Iterable[Service],
    timeout: float = 60.0,
    check: Callable[[], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Start all services in parallel, and wait until all are ready.

    If a service fails, stop waiting for the others, and raise its error. The caller must then stop the services that
    were started. `check` is called repeatedly, in several threads, and may raise to end the wait. `say` is called with
    a line about each service that takes long.
    """
    todo = list(services)
    failed = threading.Event()

    def look() -> None:
        if failed.is_set():
            raise Stopped("another one failed")
        if check is not None:
            check()

    def bring_up(service: Service) -> None:
        try:
            service.start()
            service.wait_ready(timeout, look, say)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(max_workers=max(1, len(todo))) as pool:
        waiting = [pool.submit(bring_up, service) for service in todo]
    errors = [error for future in waiting if (error := future.exception()) is not None]
    for error in sorted(errors, key=lambda found: isinstance(found, Stopped)):  # the cause before its consequences
        raise error


def stop_all(services: Iterable[Service], timeout: float = 10.0) -> None:
    """Stop all services in parallel. Kill those that still run after `timeout` seconds."""
    todo = list(services)
    with ThreadPoolExecutor(max_workers=max(1, len(todo))) as pool:
        for service in todo:
            pool.submit(service.stop, timeout)


@contextlib.contextmanager
def servers(folder: Path, names: Iterable[str] = NAMES) -> Iterator[Servers]:
    """Run servers in `folder`, yield them, and stop them at the end of the `with` block. The folder is not deleted.

    Server addresses from the environment are not used, because a test must never empty a real database.
    """
    group = choose(folder, names)
    try:
        start_all(group)
        yield group
    finally:
        stop_all(group)
