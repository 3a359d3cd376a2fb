"""Starts processes that cannot outlive this one. Signals for them never go to later processes with the same pids."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from embedded import process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_WRAPPER = Path(__file__).with_name("child.py")

# The kernel sends the "parent died" signal when the thread that made the child ends. So one thread, which lives as
# long as this process, makes all children.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded-spawn")
_running: set[Child] = set()
_LAST_PATIENCE = 2.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Order:
    """A command to run. `user` is as in `embedded.child`; `end_signal` asks the program to end gracefully."""

    argv: Sequence[str]
    log_file: Path
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    end_signal: int = signal.SIGTERM
    user: str | None = None
    wrapper: Path = field(default=_WRAPPER)

    def command(self) -> list[str]:
        order: dict[str, Any] = {"parent": os.getpid(), "signal": self.end_signal, "argv": list(self.argv)}
        if self.user is not None:
            order["user"] = self.user
        return [sys.executable, "-I", "-S", str(self.wrapper), json.dumps(order)]


class Process(Protocol):
    """The part of the interface of `subprocess.Popen` that `Child` needs."""

    pid: int
    returncode: Any

    def wait(self) -> int: ...


class Child:
    """A child process in a session of its own, so that Ctrl-C in the terminal does not reach it.

    When the child has ended, a thread kills the processes that the child left behind, and calls `on_end` with this
    object.
    """

    def __init__(self, order: Order, on_end: Callable[[Child], None] | None = None) -> None:
        self.order = order
        self._on_end = on_end
        self._ended = threading.Event()
        self._process = _spawner.submit(self._spawn).result()
        self.pid = self._process.pid
        self.identity = process.identity(self.pid) or ""
        _running.add(self)
        threading.Thread(target=self._watch, name=f"embedded-wait-{self.pid}", daemon=True).start()

    def _spawn(self) -> Process:
        self.order.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.order.log_file.open("ab") as log:
            return subprocess.Popen(
                self.order.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if self.order.environment is None else dict(self.order.environment),
                cwd=self.order.folder,
                start_new_session=True,
            )

    def _watch(self) -> None:
        self._collect()
        _running.discard(self)
        self._ended.set()
        if self._on_end is not None:
            self._on_end(self)

    def _collect(self) -> None:
        """Wait until the child has ended, and kill the processes that it leaves behind."""
        # Do not reap the child yet: while it is a zombie, the system does not reuse its pid or its group's id.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def running(self) -> bool:
        return not self._ended.is_set()

    @property
    def code(self) -> int | None:
        """The exit code, which is negative for a signal, or None while the child runs."""
        return self._process.returncode if self._ended.is_set() else None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds until the child has ended. Return False if it still runs."""
        return self._ended.wait(timeout)

    def send(self, number: int) -> None:
        """Send a signal, unless the child has ended. It never goes to a later process with the same pid."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def end(self, timeout: float) -> None:
        """Ask the child to end, and kill it if it still runs after `timeout` seconds. Return when it has ended."""
        self.send(self.order.end_signal)
        if not self.wait(timeout):
            self.kill()

    def kill(self) -> None:
        """Kill the child, and wait until it has ended. Then wait up to 2 s until its own children have ended.

        `_collect` kills those in the child's process group. Those of PostgreSQL have groups of their own, and end when
        they notice that their parent has ended.
        """
        kids = process.children(self.pid) if self.running else {}
        self.send(signal.SIGKILL)
        self.wait()
        process.wait_gone(kids, 2.0)


@atexit.register
def kill_what_is_left() -> None:
    """When this process exits, wait up to 2 s until the children have ended, and kill those that still run.

    The thread that made the children has ended by then, so the kernel has already sent them their end signals.
    """
    deadline = time.monotonic() + _LAST_PATIENCE
    for child in list(_running):
        child.wait(max(0.0, deadline - time.monotonic()))
        child.kill()


def why_ended(child: Child) -> str:
    """Return how the child ended, in words: "ended with code 3", or "was ended by SIGKILL"."""
    code = child.code
    if code is not None and code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"ended with code {code}"


def last_lines(log_file: Path, count: int = 12) -> str:
    """Return the last lines of a log, each indented by four spaces, or "" if there is no log."""
    try:
        lines = log_file.read_bytes()[-20_000:].decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in lines[-count:])
