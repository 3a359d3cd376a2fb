"""Several servers at once."""

from __future__ import annotations

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from embedded.errors import EmbeddedError
from embedded.postgres import PostgresServer
from embedded.redis import RedisServer
from embedded.sqs import SqsServer

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from embedded.server import Server

_KINDS: dict[str, type[PostgresServer | RedisServer | SqsServer]] = {
    "postgres": PostgresServer,
    "redis": RedisServer,
    "sqs": SqsServer,
}
BUCKET = "academy"


@dataclass
class Servers:
    """The servers by their names in `run.json`; asking for one that was not started raises EmbeddedError."""

    by_name: dict[str, Server]

    def __getitem__(self, name: str) -> Server:
        try:
            return self.by_name[name]
        except KeyError:
            raise EmbeddedError(f"The server {name} was not asked for.") from None

    @property
    def postgres(self) -> PostgresServer:
        found = self["postgres"]
        assert isinstance(found, PostgresServer)  # noqa: S101 (tells the type; `_KINDS` made it so)
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
        "AWS_REGION": "ap-northeast-2",
        "AWS_DEFAULT_REGION": "ap-northeast-2",
    }


def choose(folder: Path, names: Iterable[str] = tuple(_KINDS), environment: Mapping[str, str] | None = None) -> Servers:
    """The servers, not started. With an `environment`, an address in it goes before a server of our own.

    Raises EmbeddedError for a name that is none.
    """
    chosen: dict[str, Server] = {}
    for name in names:
        if name not in _KINDS:
            raise EmbeddedError(f"There is no server {name!r}: use {', '.join(_KINDS)}.")
        chosen[name] = _KINDS[name].choose(folder / name, environment or {})
    return Servers(chosen)


def start_all(group: Servers, timeout: float = 60.0, stop: threading.Event | None = None) -> None:
    """Start all side by side and wait until every one answers. Raises the first one's EmbeddedError.

    `stop`, once set, ends the waiting (with EmbeddedError): what was started stays to be stopped by the caller.
    """
    deadline = time.monotonic() + timeout

    def check() -> None:
        if stop is not None and stop.is_set():
            raise EmbeddedError("Stopped while starting.")

    def bring_up(server: Server) -> None:
        server.start()
        server.wait_ready(max(1.0, deadline - time.monotonic()), check)

    with ThreadPoolExecutor(max_workers=max(1, len(group.by_name))) as pool:
        waiting = [pool.submit(bring_up, server) for server in group.by_name.values()]
    for future in waiting:
        future.result()


def stop_all(group: Servers, timeout: float = 10.0) -> None:
    """Stop all side by side; each is killed after `timeout` seconds."""
    with ThreadPoolExecutor(max_workers=max(1, len(group.by_name))) as pool:
        for server in group.by_name.values():
            pool.submit(server.stop, timeout)


@contextlib.contextmanager
def servers(folder: Path, names: Iterable[str] = tuple(_KINDS), *, use_environment: bool = False) -> Iterator[Servers]:
    """Servers in `folder` for the length of a `with` block; the folder stays.

    Addresses in the environment are not used unless asked for: a test must never empty somebody's real database.
    """
    group = choose(folder, names, os.environ if use_environment else None)
    try:
        start_all(group)
        yield group
    finally:
        stop_all(group)
