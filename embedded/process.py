"""Identifies other processes, so that a signal never goes to a wrong process.

A pid alone does not identify a process, because the system reuses pids. A pid with the start time of its process does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

_PROC = Path("/proc")
_START_TIME = 19  # the index of the start time among the fields after the name
_POLL = 0.02  # seconds between two checks


def _stat_fields(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the third on. The name before them may have spaces and brackets."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def identity(pid: int) -> str | None:
    """Return a text with the start time of a process, or None if the process does not run.

    No two processes have both the same pid and the same text. A zombie (a process that has ended, but was not reaped by
    its parent) does not count as running.
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
    """Do the same as `identity` on systems without /proc (macOS, BSD), but count a zombie as running."""
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def is_same(pid: int, known: str) -> bool:
    """Return whether `pid` is still the process for which `identity` returned `known`."""
    return identity(pid) == known


def command_line(pid: int) -> list[str]:
    """Return the arguments of a process, or an empty list if the system does not show them."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return raw.decode("utf-8", "surrogateescape").split("\0")


def children(pid: int) -> dict[int, str]:
    """Return `{pid: identity}` of the direct children of `pid`. It is empty if the system does not show them."""
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
    """Wait up to `timeout` seconds until none of `{pid: identity}` runs. Return False if some still do."""
    deadline = time.monotonic() + timeout
    while any(is_same(pid, known) for pid, known in processes.items()):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def end_proven(pid: int, known: str, number: int = signal.SIGTERM) -> bool:
    """End a process that is not our child: send signal `number`, and SIGKILL if it still runs after five seconds.

    When it has ended, wait up to five seconds until its children have ended too. Return whether the process itself has
    ended. If `pid` is no longer the process with the identity `known`, do nothing and return False.
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
