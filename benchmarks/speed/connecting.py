"""Measures what connections cost: the handshake, the memory, and the CPU time while nothing is published."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed import processes
from benchmarks.speed.catalogue import SERVERS
from benchmarks.speed.generator import Clients, connected

_SETTLE_SECONDS = 2.0
"""A server may still have work after the last handshake. Its memory is read after this time."""


@dataclass(frozen=True)
class Connecting:
    """The figures of one server. A handshake of the product includes the check of a ticket, and the first records."""

    server: str
    protocol: str
    connections: int
    at_once: int
    seconds: float
    """How long it took until all clients were connected."""
    refused: int
    handshake_cpu_us: float
    kb: float
    """The server's own memory for each connection."""
    kernel_kb: float
    """The kernel's memory for each connection, with the client's end."""
    idle_percent: float
    """The share of a core that the server takes while nothing is published."""

    @property
    def handshakes_a_core(self) -> float:
        """The handshakes a second that one core can make."""
        return 1e6 / self.handshake_cpu_us

    def __str__(self) -> str:
        made = f"{self.connections} in {self.seconds:.2f} s, {self.handshakes_a_core:.0f} handshakes/s a core"
        memory = f"{self.kb:.1f} KB each (the kernel {self.kernel_kb:.1f} KB, both ends)"
        refused = f"; {self.refused} REFUSED" if self.refused else ""
        return f"{made}{refused}; {memory}; idle {self.idle_percent:.2f} % of a core"

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "handshakes_a_core": round(self.handshakes_a_core)}


def measure(
    server: str,
    folder: Path,
    *,
    protocol: str,
    connections: int,
    tenants: int,
    at_once: int,
    idle_seconds: float,
    may_refuse: bool = False,
) -> Connecting:
    with SERVERS[server](folder, protocol, tenants) as target:
        clients = Clients(target.port, protocol, target.requests, connections, target.ready_text, at_once)
        cpu, memory, kernel = processes.cpu_us(target.pids), processes.memory_kb(target.pids), processes.kernel_kb()
        with connected(clients, folder, processes.cores()[1], may_refuse=may_refuse) as generator:
            handshakes = processes.cpu_us(target.pids) - cpu
            time.sleep(_SETTLE_SECONDS)
            more = processes.memory_kb(target.pids) - memory
            more_of_kernel = processes.kernel_kb() - kernel
            return Connecting(
                server=server,
                protocol=protocol,
                connections=connections,
                at_once=at_once,
                seconds=generator.handshakes["seconds"],
                refused=generator.handshakes["refused"],
                handshake_cpu_us=round(handshakes / connections, 1),
                kb=round(more / connections, 2),
                kernel_kb=round(more_of_kernel / connections, 2),
                idle_percent=round(_idle_percent(target.pids, idle_seconds), 3),
            )


def _idle_percent(pids: Sequence[int], seconds: float) -> float:
    before = processes.cpu_us(pids)
    time.sleep(seconds)
    return (processes.cpu_us(pids) - before) / seconds / 1e4
