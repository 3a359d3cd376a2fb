"""Several servers at once."""

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
    """The servers by their names in `run.json`; asking for one that was not started raises EmbeddedError."""

    by_name: dict[str, Server]

    def __iter__(self) -> Iterator[Server]:
        return iter(self.by_name.values())

    def __getitem__(self, name: str) -> Server:
        try:
            return self.by_name[name]
        except KeyError:
            raise EmbeddedError(f"The server {name} was not asked for.") from None

    @property
    def postgres(self) -> PostgresServer:
        found = self["postgres"]
        assert isinstance(found, PostgresServer)  # noqa: S101 (tells the type; `KINDS` made it so)
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
        """The variables that tell the product where these servers are."""
        variables = {server.variable: server.url for server in self.by_name.values()}
        if "sqs" in self.by_name:
            variables |= _storage(self.sqs)
        return variables


def _storage(sqs: SqsServer) -> dict[str, str]:
    """S3 of the same emulator. The real SQS has no S3 at its address; then S3 keeps its own defaults."""
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
    """The servers, not started. With an `environment`, an address in it goes before a server of our own.

    `logs` is a folder for `<name>.log`; by default each server's log is in its own folder. Raises EmbeddedError for a
    name that is none.
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
    """Start all side by side and wait until every one is ready.

    Raises the first failure, and gives up waiting for the others then; what was started stays to be stopped by the
    caller. `check` is called between looks, in several threads, and may raise; `say` is told which one takes long.
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
    for error in sorted(errors, key=lambda found: isinstance(found, Stopped)):  # the cause before its followers
        raise error


def stop_all(services: Iterable[Service], timeout: float = 10.0) -> None:
    """Stop all side by side; each is killed after `timeout` seconds."""
    todo = list(services)
    with ThreadPoolExecutor(max_workers=max(1, len(todo))) as pool:
        for service in todo:
            pool.submit(service.stop, timeout)


@contextlib.contextmanager
def servers(folder: Path, names: Iterable[str] = NAMES) -> Iterator[Servers]:
    """Servers in `folder` for the length of a `with` block; the folder stays.

    Addresses in the environment are not used: a test must never empty somebody's real database.
    """
    group = choose(folder, names)
    try:
        start_all(group)
        yield group
    finally:
        stop_all(group)
