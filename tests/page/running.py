"""A complete running system, as `script/up` starts it, with ports and data of its own."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedded import ports

PROJECT = Path(__file__).parents[2]
START_SECONDS = 180
END_SECONDS = 20


class System:
    def __init__(self, home: Path, processes: dict[str, Any]) -> None:
        self.home = home
        self.address: str = processes["web"]["address"]
        self._worker: int = processes["ai_worker"]["pid"]

    @contextmanager
    def worker_held(self) -> Iterator[None]:
        """The worker stands still, so that a running import has a middle that stays."""
        os.kill(self._worker, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._worker, signal.SIGCONT)


@contextmanager
def running_system(home: Path) -> Iterator[System]:
    """Starts it, and ends it. Fails with what it said if it does not come up."""
    command = [sys.executable, "-m", "embedded.up", "--port", str(ports.free_port())]
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env={**os.environ, "ACADEMY_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        guard = threading.Timer(START_SECONDS, process.kill)
        guard.start()
        said: list[str] = []
        try:
            assert process.stdout is not None
            while line := process.stdout.readline():
                said.append(line)
                if "runs at http" in line:
                    break
            else:
                raise AssertionError("The system did not come up:\n" + "".join(said))
            guard.cancel()
            yield System(home, json.loads((home / "run.json").read_text(encoding="utf-8")))
        finally:
            guard.cancel()
            process.terminate()
            process.communicate(timeout=END_SECONDS)
