"""Reads what processes use, from the kernel, and chooses their cores."""

import os
import resource
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_CPU_CLOCK = 2
"""The clock of a process's CPU time, user and system, of all its threads: see clock_getcpuclockid(3)."""

MOST_FILES = 100_100


def cpu_us(pids: Sequence[int]) -> float:
    """Return the CPU time that these processes have used so far, in microseconds."""
    return sum(time.clock_gettime_ns((~pid << 3) | _CPU_CLOCK) for pid in pids) / 1000


def memory_kb(pids: Sequence[int]) -> int:
    """Return the memory of these processes in KB. Each page that several processes share counts for a share (PSS)."""
    return sum(_pss(pid) for pid in pids)


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "Pss":
            return int(value.split()[0])
    raise OSError(f"/proc/{pid}/smaps_rollup has no line Pss")


def kernel_kb() -> int:
    """Return the memory of the kernel's own objects (sockets among them) in KB, for the whole machine."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Slab:"))


def cores() -> tuple[list[int], list[int]]:
    """Return the core of the measured server, and the cores of all other processes (the same, if there is one)."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[:1], allowed[1:] or allowed


def pin(pid: int, chosen: Sequence[int]) -> None:
    """Let a process, with all its threads, run on these cores only."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # the thread has ended
            os.sched_setaffinity(int(task.name), chosen)


def allow_files(pid: int) -> None:
    """Raise a process's limit of open files: to MOST_FILES if we are root, else to the highest that it may have."""
    _soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (MOST_FILES, MOST_FILES))
    except (PermissionError, ValueError):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))


def most_files() -> int:
    """Return how many files a process can open here after `allow_files`. This raises the limit of our own process."""
    allow_files(os.getpid())
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def now_us() -> int:
    return time.time_ns() // 1000


def wait_until(moment_us: int) -> None:
    time.sleep(max(0, moment_us - now_us()) / 1e6)
