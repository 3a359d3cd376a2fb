"""The files that a run writes into its home for other programs.

`run.json` is for people and tests, and `environment.json` for `script/manage`. `processes.json` identifies the started
processes, so that the next run can end those that this run leaves behind.
"""

from __future__ import annotations

import json
import signal
import threading
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from embedded import process
from embedded.files import private_text
from embedded.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from embedded.home import Home
    from embedded.service import Service

_ADDRESS_KEY = {"web": "address", "sqs": "address", "postgres": "url", "redis": "url"}
# The order in which processes of an earlier run are ended: first those that use the others.
_ORDER = ("web", "ai_worker", "video_worker", "messaging_worker", "sqs", "redis", "postgres")


class Entry(TypedDict):
    """A process in run.json. `pid` is null for an external server, or, with `down`, for a process that does not run."""

    pid: int | None
    down: NotRequired[bool]
    address: NotRequired[str]
    url: NotRequired[str]


def read(home: Home) -> dict[str, Entry]:
    """Return the entries of run.json. There are none if nothing runs, or if the system is still starting."""
    return _read_json(home.run_file)


def _read_json(file: Any) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(home: Home, services: Iterable[Service], web_address: str) -> None:
    """Write run.json (0600) atomically."""
    entries: dict[str, Entry] = {}
    for service in services:
        entry: Entry = {"pid": service.pid}
        key = _ADDRESS_KEY.get(service.name)
        if key == "url" and isinstance(service, Server):
            entry["url"] = service.url
        elif key == "address":
            entry["address"] = service.url if isinstance(service, Server) else web_address
        if service.pid is None and service.external is None:
            entry["down"] = True  # the process ended by itself, and will be started again
        entries[service.name] = entry
    private_text(home.run_file, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")


def write_environment(home: Home, environment: Mapping[str, str]) -> None:
    """Write environment.json (0600, because it contains secrets)."""
    private_text(home.environment_file, json.dumps(environment, indent=1, ensure_ascii=False) + "\n")


def environment_of_running(home: Home) -> dict[str, str]:
    """Return the environment of the product's processes. It is empty if nothing runs, or the system is starting."""
    return _read_json(home.environment_file) if anything_runs(home) else {}


def anything_runs(home: Home) -> bool:
    """Return whether any process in `run.json` runs. External servers do not count."""
    return any(still_runs(home, name) for name, entry in read(home).items() if entry["pid"] is not None)


class Ledger:
    """Records each started process with its identity in `processes.json`. Any thread may call the methods."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Any]] = {}

    def record(self, service: Service) -> None:
        child = service.child
        if child is None:
            return
        with self._lock:
            entry = {"pid": child.pid, "identity": child.identity, "signal": int(child.order.end_signal)}
            self._known[service.name] = entry
            private_text(self._home.processes_file, json.dumps(self._known, indent=1))

    def clear(self) -> None:
        for file in (self._home.run_file, self._home.processes_file, self._home.environment_file):
            file.unlink(missing_ok=True)


def still_runs(home: Home, name: str) -> bool:
    """Return whether the process that was recorded under `name` still runs."""
    entry = _read_json(home.processes_file).get(name)
    return isinstance(entry, dict) and process.is_same(int(entry["pid"]), str(entry["identity"]))


def end_leftovers(home: Home, say: Callable[[str], None]) -> None:
    """End the processes that a run left behind after `kill -9`. Their identities prove that they are of that run."""
    recorded = _read_json(home.processes_file)
    for name in sorted(recorded, key=lambda each: _ORDER.index(each) if each in _ORDER else 0):
        entry = recorded[name]
        pid, known = int(entry["pid"]), str(entry["identity"])
        if known and process.is_same(pid, known):
            say(f"Ending {name} (pid {pid}), left over by an earlier run")
            process.end_proven(pid, known, int(entry.get("signal", signal.SIGTERM)))
    home.run_file.unlink(missing_ok=True)
    home.processes_file.unlink(missing_ok=True)
