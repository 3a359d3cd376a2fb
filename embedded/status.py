"""`script/up --status`: prints the state of each process."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from embedded import group, runfile
from embedded.plan import Web, Worker
from embedded.service import RUNS

if TYPE_CHECKING:
    from embedded.home import Home
    from embedded.service import Service

ALL_RUN, SOME_DOWN, NOTHING_RUNS = 0, 1, 3


def without_password(url: str) -> str:
    """Return the address without user and password, to print it."""
    return re.sub(r"//[^/@]*@", "//", url)


def _service(home: Home, name: str, entry: runfile.Entry) -> Service:
    """Return an object that can check whether the process with this name works. The object starts no process."""
    url = entry.get("address") or entry.get("url") or ""
    log_file = home.logs / f"{name}.log"
    if name in group.KINDS:
        kind = group.KINDS[name]
        ours = entry["pid"] is not None or entry.get("down", False)
        return kind(home.folder / name, urlsplit(url).port if ours else None, external=None if ours else url)
    if name == "web":
        web = Web(name, [], log_file, {})
        web.port = urlsplit(url).port or web.port
        return web
    return Worker(name, [], log_file, {}, home.ready_file(name))


def _state(home: Home, name: str, entry: runfile.Entry) -> str:
    if entry.get("down") or (entry["pid"] is not None and not runfile.still_runs(home, name)):
        return "does not run"
    return _service(home, name, entry).answer()


def _who(entry: runfile.Entry) -> str:
    if entry["pid"] is not None:
        return f"pid {entry['pid']}"
    return "no process" if entry.get("down") else "external"


def show(home: Home) -> int:
    """Check each process by its own protocol, and print a line for it. Return the exit code of `script/up --status`."""
    entries = runfile.read(home)
    if not entries:
        print(f"Nothing runs in {home.folder}.")
        return NOTHING_RUNS
    # Check them in parallel, because each one that hangs takes seconds.
    with ThreadPoolExecutor(max_workers=len(entries)) as pool:
        states = list(pool.map(lambda each: _state(home, *each), entries.items()))
    for (name, entry), state in zip(entries.items(), states, strict=True):
        who = _who(entry)
        url = entry.get("address") or entry.get("url") or ""
        print(f"{name:<16} {state:<15} {who:<13} {without_password(url)}".rstrip())
    if not runfile.anything_runs(home):
        return NOTHING_RUNS
    return ALL_RUN if all(state == RUNS for state in states) else SOME_DOWN
