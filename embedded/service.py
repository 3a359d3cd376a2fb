"""The base class of all processes that are started and ended: servers, the web process and workers."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from embedded.errors import EmbeddedError, NotReadyError
from embedded.spawn import Child, Order, last_lines, why_ended

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_POLL = 0.02  # seconds between two checks whether a service is ready
_END_SECONDS = 5.0  # seconds: a process that did not get ready is killed if it takes longer than this to end
_SAY_AFTER = 5.0  # seconds after which a line names the service that is not ready yet
RUNS = "runs"


class Service(ABC):
    """A service with a process of its own, or at an external address.

    `on_start(service)` is called after its process was started. `on_end(service, child)` is called in another thread
    after a process ended for any reason.
    """

    child_type: type[Child] = Child
    on_start: Callable[[Service], None] | None = None
    on_end: Callable[[Service, Child], None] | None = None

    def __init__(self, name: str, log_file: Path) -> None:
        self.name = name
        self.log_file = log_file
        self._child: Child | None = None

    @abstractmethod
    def _prepare(self) -> Order:
        """Make the files that the process needs, and return the command to run. Raises EmbeddedError if that fails."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Ask the service over its own protocol, and return whether it works.

        May raise OSError or ValueError if the service does not answer.
        """

    @property
    def external(self) -> str | None:
        """The address of an external service, for which no process is started, or None."""
        return None

    @property
    def where(self) -> str:
        """The host and port of the service, for messages. Empty if it has none."""
        return ""

    def is_taken(self) -> bool:
        """Return whether another program answers at the service's port, so that the service cannot start."""
        return False

    @property
    def elsewhere(self) -> str:
        """What the user can do if the service's port is taken. Empty if there is no choice."""
        return ""

    @property
    def child(self) -> Child | None:
        """The last process that was started, running or not."""
        return self._child

    @property
    def pid(self) -> int | None:
        """The pid of the process. None while it does not run, and always for an external service."""
        return self._child.pid if self._child is not None and self._child.running else None

    @property
    def running(self) -> bool:
        return self.external is not None or self.pid is not None

    def start(self) -> None:
        """Start the process, unless it runs already. `wait_ready` waits until it can be used.

        Raises EmbeddedError if the process cannot be started, for example if another program has its port.
        """
        if self.running:
            return
        order = self._prepare()
        if self.is_taken():
            mend = f": {self.elsewhere}" if self.elsewhere else ""
            raise EmbeddedError(f"{self.name} cannot start: another program answers at {self.where}{mend}.")
        self._child = self.child_type(order, self._ended)
        if self.on_start is not None:
            self.on_start(self)

    def _ended(self, child: Child) -> None:
        if self.on_end is not None:
            self.on_end(self, child)

    def is_ready(self) -> bool:
        try:
            return self._is_ready()
        except (OSError, ValueError):
            return False

    def answer(self) -> str:
        """Return `RUNS`, "is not ready" or "does not answer", whichever is true now."""
        try:
            return RUNS if self._is_ready() else "is not ready"
        except (OSError, ValueError):
            return "does not answer"

    def wait_ready(
        self,
        timeout: float = 60.0,
        check: Callable[[], None] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Wait until the service is ready. Raises NotReadyError with the last lines of its log if the process ends.

        If the service is not ready within `timeout` seconds, end the process and raise the same error. If the wait is
        long, `say` is called with a line. `check` is called repeatedly. If it raises an error, the wait ends, and the
        process keeps running.
        """
        try:
            self._wait_ready(timeout, check, say)
        except NotReadyError:
            self.stop(_END_SECONDS)
            raise

    def _wait_ready(self, timeout: float, check: Callable[[], None] | None, say: Callable[[str], None] | None) -> None:
        began = time.monotonic()
        deadline = began + timeout
        while True:
            if not self.running:
                raise NotReadyError(self._how_it_ended(), self._log_says())
            if self.is_ready():
                return
            if check is not None:
                check()
            if say is not None and time.monotonic() > began + _SAY_AFTER:
                say(f"Waiting for {self.name}{self._at()} to answer, up to {timeout:.0f} s")
                say = None
            if time.monotonic() > deadline:
                late = f"{self.name} was not ready{self._at()} within {timeout:.0f} s"
                raise NotReadyError(late, "" if self.external else self._log_says())
            time.sleep(_POLL)

    def _at(self) -> str:
        return f" at {self.where}" if self.where else ""

    def failure(self) -> str:
        """Return what happened to the process, and the last lines of its log."""
        return f"{self._how_it_ended()}; {self._log_says()}"

    def _how_it_ended(self) -> str:
        return f"{self.name} {why_ended(self._child) if self._child else 'was not started'}"

    def _log_says(self) -> str:
        return f"its log is {self.log_file}:\n{last_lines(self.log_file)}"

    def stop(self, timeout: float = 10.0) -> None:
        """End the process gracefully, or with SIGKILL after `timeout` seconds. Return when it has ended."""
        if self._child is not None:
            self._child.end(timeout)

    def kill(self) -> None:
        """End the process with SIGKILL, like a crash. Return when it has ended."""
        if self._child is not None:
            self._child.kill()

    def restart(self, timeout: float = 60.0) -> None:
        """Stop the service, start it again at the same port with the same data, and wait until it is ready."""
        self.stop()
        self.start()
        self.wait_ready(timeout)
