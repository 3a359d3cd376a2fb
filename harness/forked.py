"""Starts the product's processes by a fork server (`harness/fork_server.py`), in a fifth of the usual time."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired
from typing import Any

from embedded.home import PROJECT
from embedded.plan import Program, Web, Worker
from embedded.spawn import Child, Order, Process
from harness.fork_server import MESSAGE_BYTES

READ_AT_EXEC = "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"
"""The C library reads these when a program starts, so a forked child ignores them."""
READ_BY_FAKETIME = (
    "LD_PRELOAD", "FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC", "DONT_FAKE_MONOTONIC", "PYTHONPATH"
)  # fmt: skip
"""The dynamic loader, libfaketime and Python read these when a program starts (see `harness/clocks.py`). So children
whose clocks can be set have a fork server of their own. The file with the offset may differ from child to child."""


@dataclass
class Forked:
    """A process that the fork server made. It has the interface `embedded.spawn.Process`."""

    pid: int
    ended: Future[int] = field(default_factory=Future)
    returncode: int | None = None

    def wait(self) -> int:
        self.returncode = self.ended.result()
        return self.returncode


class ForkServer:
    """A fork server of this process, started with additional `variables`. It ends with this process."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._control, others = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with others:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.fork_server", str(others.fileno())],
                cwd=PROJECT,
                env={**os.environ, **variables},
                pass_fds=[others.fileno()],
                start_new_session=True,
            )
        self._started: Future[Forked] = Future()
        self._one_at_a_time = threading.Lock()
        self._forked: dict[int, Forked] = {}
        threading.Thread(target=self._read, name="fork-server", daemon=True).start()

    def fork(self, order: Order) -> Forked:
        """Start a process, and return it. Any thread may call this."""
        environment = os.environ if order.environment is None else order.environment
        message = {
            "argv": [str(word) for word in order.argv],
            "log_file": str(order.log_file),
            "environment": dict(environment),
            "folder": str(order.folder or PROJECT),
            "signal": int(order.end_signal),
        }
        with self._one_at_a_time:  # the answers do not say to which order they belong
            self._started = started = Future[Forked]()
            self._control.send(json.dumps(message).encode())
            return started.result(timeout=120)

    def _read(self) -> None:
        while message := self._control.recv(MESSAGE_BYTES):
            event = json.loads(message)
            if "started" in event:
                forked = self._forked[event["started"]] = Forked(event["started"])
                self._started.set_result(forked)
            else:
                self._forked.pop(event["ended"]).ended.set_result(event["code"])
        problem = RuntimeError(f"the fork server ended with code {self._process.wait()}")
        waited_for: list[Future[Any]] = [self._started, *(forked.ended for forked in self._forked.values())]
        for future in waited_for:
            if not future.done():
                future.set_exception(problem)


@cache
def fork_server(variables: tuple[tuple[str, str], ...] = ()) -> ForkServer:
    return ForkServer(dict(variables))


class ForkedChild(Child):
    """A child that a fork server makes, if possible. Tests can stop, kill and freeze it like any other process."""

    def _spawn(self) -> Process:
        """Start the program: as a fork of a fork server if possible, else as `Child` does.

        A fork is possible if our own Python interpreter runs the program, and if the environment that the order gives
        has no variable of READ_AT_EXEC. In a fork, PYTHONWARNINGS only has an effect if its value is "error".
        """
        given = self.order.environment or {}
        is_ours = str(self.order.argv[0]) == sys.executable
        if not is_ours or any(name in given for name in READ_AT_EXEC):
            return super()._spawn()
        faked = READ_BY_FAKETIME if "LD_PRELOAD" in given else ()
        self.order.log_file.parent.mkdir(parents=True, exist_ok=True)
        return fork_server(tuple((name, given[name]) for name in faked if name in given)).fork(self.order)

    def _collect(self) -> None:
        if isinstance(self._process, Forked):
            self._process.wait()  # the fork server has killed what the process left behind
        else:
            super()._collect()


def run(argv: Sequence[str], environment: Mapping[str, str], timeout: float = 180.0) -> CompletedProcess[str]:
    """Run a command of the product to its end, and return its result. `stdout` has its output and its errors.

    Raises TimeoutExpired after `timeout` seconds.
    """
    with tempfile.NamedTemporaryFile() as log:
        child = ForkedChild(Order(argv=argv, log_file=Path(log.name), environment=environment, folder=PROJECT))
        if not child.wait(timeout):
            child.kill()
            raise TimeoutExpired(list(argv), timeout, log.read())
        return CompletedProcess(list(argv), child.code or 0, log.read().decode())


class ForkedWeb(Web):
    child_type = ForkedChild


class ForkedWorker(Worker):
    child_type = ForkedChild


class ForkedProgram(Program):
    child_type = ForkedChild
