"""Runs all measurements, one after the other, and collects their figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.speed import connecting, fan_out, peers, polls, publishing
from benchmarks.speed.catalogue import SERVERS
from benchmarks.speed.servers import SSE, WEBSOCKET

Row = dict[str, Any]
QUICK_RATES = (10_000, 25_000, 50_000, 100_000, 150_000)
FULL_RATES = (*QUICK_RATES[:3], 75_000, *QUICK_RATES[3:], 200_000, 250_000)
SLOW_SERVERS = {"channels": 200, "ours-daphne": 10_000}
"""The lowest rate for servers that do not keep up with the others' lowest one. `channels` is measured with 200
connections."""
GROWTH_SOCKETS = (100, 1_000, 5_000, 10_000)
GROWTH_TENANTS = (1, 20, 200, 1_000, 5_000)
GROWTH_RATE = 10_000


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    runs: int
    seconds: float
    rates: Sequence[int]
    sse_rates: Sequence[int]
    connections: int
    idle_seconds: float
    growth: bool
    servers: Sequence[str] = tuple(SERVERS)


QUICK = Extent(
    runs=1,
    seconds=2.5,
    rates=QUICK_RATES,
    sse_rates=QUICK_RATES[:2],
    connections=2_000,
    idle_seconds=3,
    growth=False,
)
FULL = Extent(
    runs=3,
    seconds=5,
    rates=FULL_RATES,
    sse_rates=FULL_RATES,
    connections=10_000,
    idle_seconds=26,  # longer than the 25 s between two pings
    growth=True,
)
SMALLEST = Extent(
    runs=1,
    seconds=1,
    rates=(1_000,),
    sse_rates=(1_000,),
    connections=20,
    idle_seconds=0.5,
    growth=False,
    servers=("limit", "ours"),
)
FAN_OUT_CONNECTIONS, TENANTS, SLOW_CONNECTIONS = 2_000, 20, 200


@dataclass
class Suite:
    extent: Extent
    folder: Path
    say: Callable[[str], None]
    rows: list[Row] = field(default_factory=list)

    def run(self) -> list[Row]:
        """Measure everything. Return a row for each measurement; `measure` says which kind it is."""
        for run in range(1, self.extent.runs + 1):
            for protocol, rates in ((WEBSOCKET, self.extent.rates), (SSE, self.extent.sse_rates)):
                for server in self._servers(protocol):
                    self._fan_outs(run, server, protocol, rates)
            for protocol in (WEBSOCKET, SSE):
                for server in self._servers(protocol):
                    if server not in SLOW_SERVERS:
                        self._connecting(run, server, protocol)
            for polled in polls.measure(self._own_folder(), self.extent.seconds):
                self._add("polls", run, polled)
            for published in publishing.measure(self._own_folder(), 2_000):
                self._add("publishing", run, published)
        if self.extent.growth:
            self._growth()
        return self.rows

    def _servers(self, protocol: str) -> list[str]:
        absent = {*peers.missing(), *(peers.WEBSOCKET_ONLY if protocol == SSE else ())}
        return [server for server in self.extent.servers if server not in absent]

    def _own_folder(self) -> Path:
        """Return an empty folder, so that no server finds the data of an earlier one."""
        folder = self.folder / str(len(list(self.folder.iterdir())))
        folder.mkdir()
        return folder

    def _add(self, kind: str, run: int, found: Any) -> None:
        row = {"measure": kind, "run": run, **found.json()}
        self.rows.append(row)
        self.say(f"{kind}, {row.get('server', '')} {row.get('protocol', '')}: {found}")

    def _fan_outs(self, run: int, server: str, protocol: str, rates: Sequence[int]) -> None:
        """Measure a server at rising rates, up to the first with which it does not keep up."""
        slow = SLOW_SERVERS.get(server)
        if slow:
            rates = [slow]
        most = min(FAN_OUT_CONNECTIONS, self.extent.connections)
        connections = min(most, SLOW_CONNECTIONS) if server == "channels" else most
        with fan_out.running(
            server, self._own_folder(), protocol=protocol, connections=connections, tenants=min(TENANTS, connections)
        ) as (target, generator):
            for rate in rates:
                found = fan_out.measure(
                    target, generator, connections=connections, rate=rate, seconds=self.extent.seconds
                )
                self._add("fan-out", run, found)
                if not found.keeps_up:
                    break

    def _connecting(self, run: int, server: str, protocol: str) -> None:
        many = self.extent.connections
        found = connecting.measure(
            server,
            self._own_folder(),
            protocol=protocol,
            connections=many,
            tenants=min(50, many),
            at_once=min(200, many),
            idle_seconds=self.extent.idle_seconds,
        )
        self._add("connecting", run, found)

    def _growth(self) -> None:
        """Measure the product with ever more sockets, and with ever more tenants."""
        shapes = [(sockets, min(TENANTS, sockets), "sockets") for sockets in GROWTH_SOCKETS]
        shapes += [(max(GROWTH_TENANTS), tenants, "tenants") for tenants in GROWTH_TENANTS]
        for connections, tenants, grows in shapes:
            with fan_out.running(
                "ours", self._own_folder(), protocol=WEBSOCKET, connections=connections, tenants=tenants
            ) as (target, generator):
                found = fan_out.measure(
                    target, generator, connections=connections, rate=GROWTH_RATE, seconds=self.extent.seconds
                )
                self._add(f"growth of {grows}", 1, found)
