"""Measures whether a server's memory grows while clients come and go: connect, get records for a moment, and leave."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed import fan_out, processes
from benchmarks.speed.catalogue import SERVERS
from benchmarks.speed.generator import Clients, connected

_RATE, _SECONDS = 5_000, 1.0


@dataclass(frozen=True)
class Round:
    """The state after some rounds: the clients that have come and gone so far, and the memory while none is there."""

    minutes: float
    clients: int
    memory_kb: int
    lost: int

    def __str__(self) -> str:
        return f"{self.minutes:.1f} minutes, {self.clients} clients: {self.memory_kb / 1000:.1f} MB; {self.lost} lost"

    def json(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    server: str, folder: Path, *, protocol: str, connections: int, tenants: int, minutes: float
) -> Iterator[Round]:
    """Begin new rounds for `minutes`, and yield the state after each."""
    with SERVERS[server](folder, protocol, tenants) as target:
        clients = Clients(target.port, protocol, target.requests, connections, target.ready_text)
        began, number, lost = time.monotonic(), 0, 0
        while (passed := (time.monotonic() - began) / 60) < minutes:
            with connected(clients, folder, processes.cores()[1]) as generator:
                found = fan_out.measure(target, generator, connections=connections, rate=_RATE, seconds=_SECONDS)
            number, lost = number + connections, lost + found.lost
            time.sleep(_SECONDS)  # the server notices that the clients have gone
            yield Round(round(passed, 2), number, processes.memory_kb(target.pids), lost)
