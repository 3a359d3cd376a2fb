"""Runs `script/up`, and waits for what it prints and does."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from embedded import process
from embedded.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from embedded import RedisServer

STAND_IN = Path(__file__).with_name("stand_in.py")
PATIENCE = 120.0  # seconds; only a test that fails waits this long
T = TypeVar("T")
_OURS = ("DATABASE_URL", "REDIS_URL", "SQS_ENDPOINT_URL", "S3_ENDPOINT_URL", "S3_BUCKET", "SECRET_KEY")


def eventually(look: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """Return the first true value of `look`. Fail after `patience` seconds, with a message that names `what`."""
    deadline = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {patience:.0f} s in vain for {what}"
        time.sleep(0.02)


def wait_written(server: RedisServer) -> None:
    """Wait until a durable Redis has written every command to its append-only file. A kill then loses nothing.

    The command WAITAOF would wait too, but Redis 7.0 does not have it.
    """
    eventually(
        lambda: "aof_buffer_length:0\r" in server.command("INFO", "persistence"), "Redis to write its append-only file"
    )


class Run:
    """One run of `script/up`, by default with stand-ins for the product's commands."""

    def __init__(
        self, home: Path, *options: str, program: Sequence[str | Path] = (sys.executable, STAND_IN), **environment: str
    ) -> None:
        self.home = home
        self.port = free_port()
        if "--port" not in options:
            options = ("--port", str(self.port), *options)
        kept = {name: value for name, value in os.environ.items() if name not in _OURS}
        self.process = subprocess.Popen(
            [*program, *options],
            env={**kept, "ACADEMY_HOME": str(home), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        self.printed: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    @property
    def text(self) -> str:
        return "\n".join(self.printed)

    def wait_for(self, part: str) -> str:
        """Return the next printed line that contains `part`. Fail after `PATIENCE` seconds, or when the run ends."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"it never said {part!r}:\n{self.text}") from None
            assert line is not None, f"it ended without saying {part!r}:\n{self.text}"
            self.printed.append(line)
            if part in line:
                return line

    def ready(self) -> Run:
        self.wait_for("The system runs at")
        return self

    def wait_end(self, patience: float = PATIENCE) -> int:
        """Wait until the run ends, and return its exit code. Afterwards, `text` is its whole output."""
        code = self.process.wait(patience)
        self._reader.join(PATIENCE)
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            self.printed.append(line)
        return code

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def run_file(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "run.json").read_text(encoding="utf-8"))
        return found

    def processes(self) -> dict[int, str]:
        """Return `{pid: identity}` of the processes that the run started and that still run."""
        pids = [entry["pid"] for entry in self.run_file().values() if entry["pid"] is not None]
        return {pid: known for pid in pids if (known := process.identity(pid)) is not None}

    def end_for_certain(self) -> None:
        if self.process.poll() is None:
            self.send(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(PATIENCE)
