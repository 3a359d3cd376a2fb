"""A complete product for a benchmark: servers of its own, nothing but loopback, all ended and deleted afterwards."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from embedded.group import servers, start_all
from embedded.plan import Web, Worker
from embedded.scratch import scratch_folder
from harness.servers import pytest_unconfigure as forget_servers_of_tests
from harness.system import System, prepare_template

_LOGGING = "?options=-c%20log_statement%3Dall"
_STATEMENT = re.compile(r"\] web LOG:  (?:statement|execute [^:]+): (\w+)")
_POLITE = ("sh", "-c", 'echo 19 2>/dev/null >/proc/self/autogroup; exec nice -n 19 "$@"', "sh")
"""Workers have machines of their own, where they are many; on this one they leave the web process its turn.

Where Linux groups processes by session (sched(7), "The autogroup feature"), `nice` counts within a session only.
"""


@dataclass(frozen=True)
class Product:
    system: System
    postgres_log: Path

    @contextmanager
    def watched_web(self) -> "Iterator[tuple[Web, Statements]]":
        """A further web process, whose statements are counted."""
        with self.system.another_web(DATABASE_URL=self.system.database_url + _LOGGING) as web:
            yield web, Statements(self.postgres_log)


class Statements:
    """The statements that ONE web process sends, read from PostgreSQL's log.

    Only the connections of that process turn on the logging, so the statements of other processes are not in the log.
    """

    def __init__(self, postgres_log: Path) -> None:
        self._log = postgres_log
        self._read_to = 0

    def begin(self) -> None:
        self._read_to = self._log.stat().st_size

    def seen(self) -> list[str]:
        """The first words of the statements since `begin`, in capitals."""
        with self._log.open("rb") as log:
            log.seek(self._read_to)
            return [word.upper() for word in _STATEMENT.findall(log.read().decode("utf-8", "replace"))]


@contextmanager
def running_product(name: str, *kinds: str, **environment: str) -> Iterator[Product]:
    """The product with its AI worker, and a worker of each of the further `kinds` (`video_worker`)."""
    try:
        with scratch_folder("benchmark") as folder, servers(folder / "servers") as group:
            prepare_template(group)
            system = System(group, folder, name, **environment)
            workers = [system.worker, *(system.worker_of(kind) for kind in kinds)]
            for worker in workers:
                worker.argv = [*_POLITE, *worker.argv]
            try:
                system.start()
                start_all(workers)
                yield Product(system, group.postgres.log_file)
            finally:
                for worker in workers:
                    _end(worker)
                system.stop()
    finally:
        forget_servers_of_tests()  # which chose a folder, and never started


def _end(worker: Worker) -> None:
    """With what it leaves to end by itself, as the process that reads a workbook."""
    left = psutil.Process(worker.pid).children(recursive=True) if worker.pid else []
    worker.stop()
    for process in left:
        if process.is_running():  # as the one it was: a pid that another has by now is none
            process.kill()


def cpu_seconds(pid: int) -> float:
    """What a process and its children have used so far."""
    process = psutil.Process(pid)
    times = [member.cpu_times() for member in (process, *process.children(recursive=True))]
    return float(sum(used.user + used.system for used in times))


def cores() -> int:
    return len(os.sched_getaffinity(0))
