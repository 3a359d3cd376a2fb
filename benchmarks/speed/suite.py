"""Runs all measurements, one after the other, and collects their figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed import connecting, fan_out, importing, peers, polls, processes, publishing
from benchmarks.speed.catalogue import SERVERS
from benchmarks.speed.generator import BenchmarkError
from benchmarks.speed.publisher import TOPICS
from benchmarks.speed.servers import SSE, WEBSOCKET
from embedded.errors import EmbeddedError

Row = dict[str, Any]
QUICK_RATES = (10_000, 25_000, 50_000, 100_000, 150_000)
FULL_RATES = (*QUICK_RATES, 200_000)
SLOW_SERVERS: dict[str, Sequence[int]] = {
    "channels": (200, 1_000),
    "ours-portable": (10_000, 50_000),
    "ours-daphne": (10_000, 18_000),
}
"""Servers that are measured at these rates only, and `channels` with 200 connections only."""


@dataclass(frozen=True)
class Shape:
    """A fan-out with other numbers than the usual ones."""

    kind: str
    server: str
    connections: int
    tenants: int
    topics: int = TOPICS
    rate: int = 10_000


SHAPES = [
    *(Shape("growth of connections", "ours", sockets, min(20, sockets)) for sockets in (100, 1_000, 5_000, 10_000)),
    *(Shape("growth of tenants", "ours", 5_000, tenants) for tenants in (1, 20, 200, 1_000, 5_000)),
    *(Shape("growth of topics", "ours", 2_000, 20, topics) for topics in (5, 50, 1_000)),
    *(Shape("10,000 clients", server, 10_000, 50, rate=9_000) for server in ("limit", "nchan", "ours", "ours-two")),
]

IDLE_SIZES = (5_000, 10_000, 19_000, 30_000, 60_000)


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
    imports: Sequence[int]
    """The numbers of rows of the lists that are imported."""
    servers: Sequence[str] = tuple(server for server in SERVERS if server != "ours-two")


QUICK = Extent(
    runs=1,
    seconds=2.5,
    rates=QUICK_RATES,
    sse_rates=QUICK_RATES[:2],
    connections=2_000,
    idle_seconds=3,
    growth=False,
    imports=(100, 1_000),
)
FULL = Extent(
    runs=3,
    seconds=4,
    rates=FULL_RATES,
    sse_rates=FULL_RATES,
    connections=10_000,
    idle_seconds=26,  # longer than the 25 s between two pings; the others send none
    growth=True,
    imports=(100, 1_000, 10_000, 50_000),
)
SMALLEST = Extent(
    runs=1,
    seconds=1,
    rates=(1_000,),
    sse_rates=(1_000,),
    connections=20,
    idle_seconds=0.5,
    growth=False,
    imports=(50,),
    servers=("limit", "ours"),
)
FAN_OUT_CONNECTIONS, TENANTS, SLOW_CONNECTIONS = 2_000, 20, 200


@dataclass
class Suite:
    extent: Extent
    folder: Path
    say: Callable[[str], None]
    rows: list[Row] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """What could not be measured, and why."""

    def run(self) -> list[Row]:
        """Measure everything. Return a row for each measurement; `measure` says which kind it is.

        If a measurement fails, go on with the next one.
        """
        for run in range(1, self.extent.runs + 1):
            for protocol, rates in ((WEBSOCKET, self.extent.rates), (SSE, self.extent.sse_rates)):
                for server in self._servers(protocol):
                    self._try(self._fan_outs, run, server, protocol, rates)
            for protocol in (WEBSOCKET, SSE):
                for server in self._servers(protocol):
                    if server not in SLOW_SERVERS:
                        self._try(self._connecting, run, server, protocol)
            self._try(self._requests, run)
        if self.extent.growth:
            for shape in SHAPES:
                self._try(self._shape, shape)
            self._try(self._coming_back)
            self._try(self._idle)
        return self.rows

    def _try(self, work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        except (BenchmarkError, EmbeddedError) as problem:
            self.failures.append(str(problem))
            self.say(f"FAILED: {problem}")

    def _requests(self, run: int) -> None:
        for polled in polls.measure(self._own_folder(), self.extent.seconds):
            self._add("polls", run, polled)
        for published in publishing.measure(self._own_folder(), 2_000):
            self._add("publishing", run, published)
        for imported in importing.measure(self._own_folder(), self.extent.imports):
            self._add("importing", run, imported)

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
        """Measure a server at rising rates, up to the first with which it does not keep up.

        If a server does not keep up although it had time left, measure that rate a second time.
        """
        rates = SLOW_SERVERS.get(server, rates)
        most = min(FAN_OUT_CONNECTIONS, self.extent.connections)
        connections = min(most, SLOW_CONNECTIONS) if server == "channels" else most
        with fan_out.running(
            server, self._own_folder(), protocol=protocol, connections=connections, tenants=min(TENANTS, connections)
        ) as (target, generator):
            for rate in rates:
                measured = partial(
                    fan_out.measure, target, generator, connections=connections, rate=rate, seconds=self.extent.seconds
                )
                found = measured()
                if not found.keeps_up and not found.is_the_limit:
                    found = measured()  # other work on the machine was in the way
                self._add("fan-out", run, found)
                if not found.keeps_up:
                    break

    def _connecting(
        self,
        run: int,
        server: str,
        protocol: str,
        *,
        at_once: int = 200,
        kind: str = "connecting",
        connections: int = 0,
        may_refuse: bool = False,
    ) -> None:
        many = connections or self.extent.connections
        found = connecting.measure(
            server,
            self._own_folder(),
            protocol=protocol,
            connections=many,
            tenants=min(50, many),
            at_once=min(at_once, many),
            may_refuse=may_refuse,
            idle_seconds=self.extent.idle_seconds if server.startswith("ours") else min(5, self.extent.idle_seconds),
        )
        self._add(kind, run, found)

    def _shape(self, shape: Shape) -> None:
        if shape.server in peers.missing():
            return
        with fan_out.running(
            shape.server,
            self._own_folder(),
            protocol=WEBSOCKET,
            connections=shape.connections,
            tenants=shape.tenants,
        ) as (target, generator):
            found = fan_out.measure(
                target,
                generator,
                connections=shape.connections,
                rate=shape.rate,
                seconds=self.extent.seconds,
                topics=shape.topics,
            )
            self._add(shape.kind, 1, found)

    def _coming_back(self) -> None:
        """Let all clients connect at once, as they do after a restart."""
        for server in self._servers(WEBSOCKET):
            if server in {"nchan", "node-ws", "ours"}:
                self._connecting(
                    1, server, WEBSOCKET, at_once=self.extent.connections, kind="coming back at once", may_refuse=True
                )

    def _idle(self) -> None:
        """Measure idle connections of the product: as many as processes may have open files, up to 60,000."""
        for connections in IDLE_SIZES:
            if connections < processes.most_files():
                for protocol in (WEBSOCKET, SSE):
                    self._connecting(1, "ours", protocol, kind="idle", connections=connections)
