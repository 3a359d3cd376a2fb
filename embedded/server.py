"""What PostgreSQL, Redis and the SQS/S3 emulator have in common."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self
from urllib.parse import urlsplit

from embedded.errors import EmbeddedError
from embedded.ports import HOST, answers, free_port
from embedded.spawn import Child, Order, last_lines, why_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_POLL = 0.02  # seconds between two looks at whether a server is ready


class Server(ABC):
    """One server in one folder at one port.

    `folder` holds its data and log and belongs to it alone; `port` is chosen once if none is given, and stays. With an
    `external` address (a URL) nothing is ever started: `pid` is None, and only `wait_ready` does something.
    `on_end(server)` is called, in another thread, whenever its process ended, whoever ended it.
    """

    name: ClassVar[str]
    variable: ClassVar[str]  # the environment variable that holds an external address
    default_port: ClassVar[int]  # for an external address without one
    end_signal: ClassVar[int] = signal.SIGTERM

    def __init__(self, folder: Path, port: int | None = None, *, external: str | None = None) -> None:
        self.folder = folder.absolute()
        self.external = external
        self.port = port if port is not None or external else free_port()
        self.log_file = self.folder / f"{self.name}.log"
        self.on_end: Callable[[Server], None] | None = None
        self._child: Child | None = None

    @classmethod
    def choose(cls, folder: Path, environment: Mapping[str, str], port: int | None = None) -> Self:
        """The one that the environment names if it does, else one of our own in `folder`."""
        return cls(folder, port, external=environment.get(cls.variable) or None)

    @property
    @abstractmethod
    def url(self) -> str:
        """The address as clients want it, with the password if there is one."""

    @property
    def address(self) -> str:
        """The same as `url`."""
        return self.url

    @abstractmethod
    def _prepare(self) -> Order:
        """Make data and configuration where they are missing, and say what to run. Raises EmbeddedError."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether the server at `host_and_port` answers as itself. May raise OSError for "not yet"."""

    @property
    def host_and_port(self) -> tuple[str, int]:
        if self.external is None:
            return HOST, self.port or 0
        parts = urlsplit(self.external)
        fallback = 443 if parts.scheme == "https" else self.default_port
        return parts.hostname or HOST, parts.port or fallback

    @property
    def pid(self) -> int | None:
        """The server's own process; None while it does not run, and always for an external one."""
        return self._child.pid if self._child is not None and self._child.running else None

    @property
    def child(self) -> Child | None:
        """The last process that was started, running or not."""
        return self._child

    @property
    def running(self) -> bool:
        return self.external is not None or self.pid is not None

    def start(self) -> None:
        """Start the process; `wait_ready` says when it can be used. Nothing happens if it runs already."""
        if self.running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        order = self._prepare()
        self._refuse_taken_port()
        self._child = Child(order, self._ended)

    def _refuse_taken_port(self) -> None:
        if answers(self.port or 0):
            raise EmbeddedError(f"Port {self.port} of {HOST} is taken by another program, so {self.name} cannot start.")

    def _ended(self, _child: Child) -> None:
        if self.on_end is not None:
            self.on_end(self)

    def wait_ready(self, timeout: float = 30.0, check: Callable[[], None] | None = None) -> None:
        """Wait until it answers. `check` is called between looks and may raise.

        Raises EmbeddedError, with the last lines of its log, if its process ends or `timeout` seconds pass.
        """
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if check is not None:
                check()
            if not self.running:
                raise EmbeddedError(self._failure())
            if time.monotonic() > deadline:
                host, port = self.host_and_port
                where = f"{self.name} did not answer at {host}:{port} within {timeout:.0f} s."
                raise EmbeddedError(where if self.external else f"{where}\n{last_lines(self.log_file)}")
            time.sleep(_POLL)

    def _failure(self) -> str:
        how = why_ended(self._child) if self._child else "was not started"
        return f"{self.name} {how}; its log is {self.log_file}:\n{last_lines(self.log_file)}"

    def is_ready(self) -> bool:
        try:
            return self._is_ready()
        except (OSError, ValueError):
            return False

    def _connect(self) -> socket.socket:
        return socket.create_connection(self.host_and_port, timeout=2.0)

    def stop(self, timeout: float = 10.0) -> None:
        """End it in good order, saving its data; SIGKILL after `timeout` seconds. Returns when it is gone."""
        if self._child is not None:
            self._child.end(timeout)

    def kill(self) -> None:
        """SIGKILL, as a crash would be. Returns when it is gone."""
        if self._child is not None:
            self._child.kill()

    def restart(self, timeout: float = 30.0) -> None:
        """Stop, start again at the same port with the same data, and wait until it answers."""
        self.stop()
        self.start()
        self.wait_ready(timeout)

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)

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
