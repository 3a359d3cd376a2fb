"""Other processes as the kernel sees them: whether a pid is still the process that we mean.

A pid alone proves nothing, because numbers are given again. A pid together with the moment of its start does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

_PROC = Path("/proc")
_START_TIME = 19  # its place among the fields after the name
_POLL = 0.02  # seconds between two looks


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on; the name before them may hold blanks and brackets."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def identity(pid: int) -> str | None:
    """When this process started, in words that never repeat on this machine; None if no such process runs.

    A process that ended and was only not yet collected by its parent (a zombie) counts as ended.
    """
    if not _PROC.joinpath("self").exists():
        return _identity_by_ps(pid)
    fields = _stat_fields(pid)
    if len(fields) <= _START_TIME or fields[0] in "ZX":
        return None
    boot = _PROC.joinpath("sys/kernel/random/boot_id")
    try:
        return f"{boot.read_text(encoding='ascii').strip()}:{fields[_START_TIME]}"
    except OSError:
        return fields[_START_TIME]


def _identity_by_ps(pid: int) -> str | None:
    """For systems without /proc (macOS, BSD)."""
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def is_same(pid: int, known: str) -> bool:
    """Whether `pid` is still the process of which `identity` said `known`."""
    return identity(pid) == known


def command_line(pid: int) -> list[str]:
    """The words that the process was started with; empty where the system cannot say."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return raw.decode("utf-8", "surrogateescape").split("\0")


def children(pid: int) -> dict[int, str]:
    """The direct children of `pid` and their identities; empty where the system cannot say."""
    found: dict[int, str] = {}
    if not _PROC.joinpath("self").exists():
        return found
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        fields = _stat_fields(int(entry.name))
        if len(fields) > 1 and fields[1] == str(pid):
            known = identity(int(entry.name))
            if known is not None:
                found[int(entry.name)] = known
    return found


def wait_gone(processes: dict[int, str], timeout: float) -> bool:
    """Wait up to `timeout` seconds until none of `{pid: identity}` runs; False if some still do."""
    deadline = time.monotonic() + timeout
    while any(is_same(pid, known) for pid, known in processes.items()):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def end_proven(pid: int, known: str, number: int = signal.SIGTERM) -> bool:
    """End a process that is not our child: `number` first, SIGKILL after five seconds.

    Does nothing if `pid` is no longer the process that `known` describes. True if it was there and is gone now.
    """
    if not is_same(pid, known):
        return False
    kids = children(pid)
    for sent in (number, signal.SIGKILL):
        if is_same(pid, known):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, sent)
        if wait_gone({pid: known}, 5.0):
            wait_gone(kids, 5.0)
            return True
    return False
