"""The base class of PostgreSQL, Redis and the SQS/S3 emulator."""

from __future__ import annotations

import signal
import socket
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self
from urllib.parse import urlsplit

from embedded.ports import HOST, answers, free_port, is_free
from embedded.service import Service

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_HTTPS_PORT = 443


class Server(Service):
    """A server with its own folder and port.

    `folder` has the server's data, and also its log unless `log_file` is given. No other server may use the folder. If
    no `port` is given, the constructor chooses a free one, which stays the same when the server is restarted. With an
    `external` address (a URL) there is no process: `pid` is None, and `start`, `stop` and `kill` do nothing. With
    `durable=False`, for tests, acknowledged writes survive a stop, but not every crash.
    """

    kind: ClassVar[str]  # the server's name in run.json
    variable: ClassVar[str]  # the environment variable for an external address
    default_port: ClassVar[int]  # the port of an external address that has no port
    end_signal: ClassVar[int] = signal.SIGTERM

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        external: str | None = None,
        durable: bool = False,
        log_file: Path | None = None,
    ) -> None:
        self.folder = folder.absolute()
        super().__init__(self.kind, log_file.absolute() if log_file else self.folder / f"{self.kind}.log")
        self._external = external
        self.durable = durable
        self.port: int = self._port_of(external) if external else port or self._choose_port()

    @classmethod
    def choose(
        cls, folder: Path, environment: Mapping[str, str], *, durable: bool = False, log_file: Path | None = None
    ) -> Self:
        """Return the external server that the environment names, or else one of our own in `folder`."""
        return cls(folder, external=environment.get(cls.variable) or None, durable=durable, log_file=log_file)

    def _port_of(self, address: str) -> int:
        parts = urlsplit(address)
        return parts.port or (_HTTPS_PORT if parts.scheme == "https" else self.default_port)

    def _choose_port(self) -> int:
        """Return a free port.

        A durable server keeps its last port if that is still free, because the addresses of queues contain the port.
        """
        if self.durable:
            try:
                port = int((self.folder / "port").read_text(encoding="ascii"))
            except (OSError, ValueError):
                return free_port()
            return port if is_free(port) else free_port()
        return free_port()

    @property
    def external(self) -> str | None:
        return self._external

    @property
    @abstractmethod
    def url(self) -> str:
        """The address for clients, with the password if there is one."""

    @property
    def address(self) -> str:
        """The same as `url`."""
        return self.url

    @property
    def host(self) -> str:
        return (urlsplit(self.external).hostname or HOST) if self.external else HOST

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"

    def is_taken(self) -> bool:
        return answers(self.port)

    def start(self) -> None:
        if not self.running:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "port").write_text(str(self.port), encoding="ascii")
        super().start()

    def _connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=2.0)

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
