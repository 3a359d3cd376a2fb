"""Runs a complete product for a benchmark, with its own servers on loopback. Afterwards everything is deleted."""

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
from harness.system import System, prepare_migrated, prepare_template

_LOGGING = "?options=-c%20log_statement%3Dall"
_STATEMENT = re.compile(r"\] web LOG:  (?:statement|execute [^:]+): (\w+)")
_POLITE = ("sh", "-c", 'echo 19 2>/dev/null >/proc/self/autogroup; exec nice -n 19 "$@"', "sh")
"""Runs a worker at the lowest priority, so that it does not slow the web process down.

A large installation has other machines for its workers. If Linux groups processes by session (sched(7), "The autogroup
feature"), `nice` counts only within a session, so the session gets the lowest priority as well.
"""


@dataclass(frozen=True)
class Product:
    system: System
    postgres_log: Path

    @contextmanager
    def watched_web(self) -> "Iterator[tuple[Web, Statements]]":
        """Run a further web process. Yield it and its statements."""
        with self.system.another_web(DATABASE_URL=self.system.database_url + _LOGGING) as web:
            yield web, Statements(self.postgres_log)


class Statements:
    """The statements that one web process sends, read from PostgreSQL's log.

    Only the connections of that process turn on the logging, so the statements of other processes are not in the log.
    """

    def __init__(self, postgres_log: Path) -> None:
        self._log = postgres_log
        self._read_to = 0

    def begin(self) -> None:
        self._read_to = self._log.stat().st_size

    def seen(self) -> list[str]:
        """Return the first word of each statement since `begin`, in capitals."""
        with self._log.open("rb") as log:
            log.seek(self._read_to)
            return [word.upper() for word in _STATEMENT.findall(log.read().decode("utf-8", "replace"))]


@contextmanager
def running_product(name: str, *kinds: str, **environment: str) -> Iterator[Product]:
    """Run the product with its AI worker, and with one more worker for each of `kinds`, such as `video_worker`."""
    try:
        with scratch_folder("benchmark") as folder, servers(folder / "servers") as group:
            prepare_migrated(group)
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
        forget_servers_of_tests()  # the import of harness.servers made a folder for them


def _end(worker: Worker) -> None:
    """End a worker, and the processes that it leaves behind, such as one that reads a workbook."""
    left = psutil.Process(worker.pid).children(recursive=True) if worker.pid else []
    worker.stop()
    for process in left:
        if process.is_running():  # False if another process has its pid now
            process.kill()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its running children have used so far."""
    process = psutil.Process(pid)
    times = [member.cpu_times() for member in (process, *process.children(recursive=True))]
    return float(sum(used.user + used.system for used in times))


def cores() -> int:
    return len(os.sched_getaffinity(0))
