"""`script/up --status`."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from embedded import runfile

if TYPE_CHECKING:
    from embedded.home import Home

ALL_RUN, SOME_DOWN, NOTHING_RUNS = 0, 1, 3


def without_password(url: str) -> str:
    """The address without what stands before its @, for people's screens."""
    return re.sub(r"//[^/@]*@", "//", url)


def _accepts(url: str) -> bool:
    parts = urlsplit(url)
    usual = {"postgresql": 5432, "postgres": 5432, "redis": 6379, "rediss": 6379, "https": 443}
    try:
        port = parts.port or usual.get(parts.scheme, 80)
        socket.create_connection((parts.hostname or "127.0.0.1", port), timeout=2.0).close()
    except (OSError, ValueError):
        return False
    return True


def show(home: Home) -> int:
    """Print a line for each process; returns the exit code of `script/up --status`."""
    entries = runfile.read(home)
    if not entries:
        print(f"Nothing runs in {home.folder}.")
        return NOTHING_RUNS
    alive = 0
    for name, entry in entries.items():
        url = entry.get("address") or entry.get("url") or ""
        pid = entry["pid"]
        runs = _accepts(url) if pid is None else runfile.still_runs(home, name)
        alive += runs
        who = "external" if pid is None else f"pid {pid}"
        state = "runs" if runs else "does not run"
        print(f"{name:<16} {state:<13} {who:<13} {without_password(url)}".rstrip())
    if not runfile.anything_runs(home):
        return NOTHING_RUNS
    return ALL_RUN if alive == len(entries) else SOME_DOWN
