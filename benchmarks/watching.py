"""`python -m benchmarks.watching [--seconds 120] [--jobs 45]`: compares the costs of watching jobs by push and by poll.

The benchmark starts a complete product. `jobs` videos and imports run all the time, and some more wait for their turn.
They are submitted through one web process. Another web process only serves the clients that watch, one client for each
job, in two phases of `seconds` each:

A. each client has a WebSocket with a ticket for its job, and also polls `…/progress/` once a second, as old pages do;
B. each client only polls the job's detail once a second, which is read from the database.

The benchmark counts the requests, the records that were pushed, the statements of the second web process (from
PostgreSQL's log, see `Statements`), and the CPU time of that process (by psutil), which in phase A includes the pushes.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import httpx

from benchmarks.load import LOOK_SECONDS, Load, Material, look, running_load, signed_in
from benchmarks.product import Product, Statements, cores, cpu_seconds, running_product
from embedded.plan import Web
from harness.system import new_ticket
from harness.watcher import Watcher

MAX_SECONDS, MAX_JOBS = 140, 80
"""The load's access token is valid for 600 s. In this time the load starts, which may take 300 s, and both phases with
their warm-ups run. Each running job has a connection to PostgreSQL, which accepts 100."""
WARM_UP_SECONDS = 2.0


@dataclass
class Phase:
    """One way of watching jobs, and its results."""

    load: Load
    client: httpx.AsyncClient
    ends: float
    requests: int = 0
    put_off: int = 0
    """The number of requests that were answered with 503."""
    records: int = 0
    running: list[int] = field(default_factory=list)
    cpu: float = 0.0
    statements: list[str] = field(default_factory=list)

    @property
    def selects(self) -> int:
        return self.statements.count("SELECT")

    @property
    def cpu_of_a_request(self) -> float:
        """The average CPU time for a request, in microseconds."""
        return 1e6 * self.cpu / self.requests

    @property
    def cpu_of_an_answer(self) -> float:
        """The average CPU time for an answer, in microseconds. Pushed records count as answers."""
        return 1e6 * self.cpu / (self.requests + self.records)

    def goes_on(self) -> bool:
        return asyncio.get_running_loop().time() < self.ends

    async def push(self, place: int) -> None:
        """Watch the job at this place by a WebSocket, and then the next job at this place, until the phase ends."""
        while self.goes_on():
            topic = self.load.topics[place]
            ticket = await new_ticket(self.client, {"topics": [topic]})
            self.requests += 1
            async with await Watcher.connect(ticket["websocket_url"], ticket["ticket"]) as watcher:
                try:
                    async with asyncio.timeout_at(self.ends):
                        await watcher.until_terminal(topic)
                except TimeoutError:
                    if self.goes_on():  # the job, or its push, is stuck
                        raise
                self.records += len(watcher.history)
            while self.goes_on() and self.load.topics[place] == topic:
                await asyncio.sleep(LOOK_SECONDS)

    async def poll(self, place: int, suffix: str) -> None:
        """Poll the job at this place once a second, or less often if answers take longer.

        The first polls of all clients are spread evenly over a second.
        """
        loop = asyncio.get_running_loop()
        due = loop.time() + place / len(self.load.topics)
        while due < self.ends:
            await asyncio.sleep(due - loop.time())
            answered = await look(self.client, address_of(self.load.topics[place]) + suffix)
            self.requests += 1
            self.put_off += not answered
            due = max(due + 1.0, loop.time())

    async def count_running(self) -> None:
        while self.goes_on():
            self.running.append(self.load.running())
            await asyncio.sleep(LOOK_SECONDS)


Clients = Callable[[Phase, int], list[Coroutine[None, None, None]]]


def address_of(topic: str) -> str:
    kind, _, ident = topic.partition(":")
    return f"/media/videos/{ident}/" if kind == "video" else f"/api/v1/jobs/{ident}/"


def pushed_to(phase: Phase, place: int) -> list[Coroutine[None, None, None]]:
    return [phase.push(place), phase.poll(place, "progress/")]


def reading_details(phase: Phase, place: int) -> list[Coroutine[None, None, None]]:
    return [phase.poll(place, "")]


async def run_phase(load: Load, web: Web, statements: Statements, clients: Clients, seconds: float) -> Phase:
    assert web.pid is not None  # noqa: S101 - for the type checker
    async with signed_in(web.address) as client:
        # Warm up before the measurement: this opens the connections, and loads modules that the first requests need.
        await run_clients(load, client, clients, WARM_UP_SECONDS)
        statements.begin()
        before = cpu_seconds(web.pid)
        phase = await run_clients(load, client, clients, seconds)
        phase.cpu = cpu_seconds(web.pid) - before
        phase.statements = statements.seen()
    return phase


async def run_clients(load: Load, client: httpx.AsyncClient, clients: Clients, seconds: float) -> Phase:
    phase = Phase(load, client, asyncio.get_running_loop().time() + seconds)
    async with asyncio.TaskGroup() as group:
        group.create_task(phase.count_running())
        for place in range(len(load.topics)):
            for one in clients(phase, place):
                group.create_task(one)
    return phase


async def measure(product: Product, material: Material, jobs: int, seconds: float) -> tuple[Phase, Phase]:
    with product.watched_web() as (web, statements):
        async with running_load(product.system.address, material, jobs) as load:
            push = await run_phase(load, web, statements, pushed_to, seconds)
            details = await run_phase(load, web, statements, reading_details, seconds)
    return push, details


def table(push: Phase, details: Phase) -> list[str]:
    rows: list[tuple[str, float, float, str]] = [
        ("jobs that ran, on average", fmean(push.running), fmean(details.running), ".1f"),
        ("jobs that ran, at least", min(push.running), min(details.running), "d"),
        ("requests", push.requests, details.requests, "d"),
        ("answered with 503", push.put_off, details.put_off, "d"),
        ("records delivered by push", push.records, details.records, "d"),
        ("SELECTs of the web process", push.selects, details.selects, "d"),
        ("all its statements", len(push.statements), len(details.statements), "d"),
        ("SELECTs per request", push.selects / push.requests, details.selects / details.requests, ".2f"),
        ("CPU-µs of the web process per request", push.cpu_of_a_request, details.cpu_of_a_request, ".0f"),
        ("CPU-µs per request or record", push.cpu_of_an_answer, details.cpu_of_an_answer, ".0f"),
    ]
    head = f"{'':<40}{'A: push, progress':>20}{'B: details':>14}"
    lines = [f"{what:<40}{format(a, kind):>20}{format(b, kind):>14}" for what, a, b, kind in rows]
    ratios = [
        f"CPU per request, B : A = {details.cpu_of_a_request / push.cpu_of_a_request:.2f}",
        f"CPU per request or record, B : A = {details.cpu_of_an_answer / push.cpu_of_an_answer:.2f}",
    ]
    return [head, *lines, *ratios]


def number_to(most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or not 2 <= int(text) <= most:  # noqa: PLR2004 - one video and one import
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 2 to {most}")
        return int(text)

    return number


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watching", description="What watching jobs costs.")
    parser.add_argument("--seconds", type=number_to(MAX_SECONDS), default=120, metavar="N", help="of each phase")
    parser.add_argument("--jobs", type=number_to(MAX_JOBS), default=45, metavar="N", help="that run at the same time")
    chosen = parser.parse_args()
    imports = chosen.jobs // 2
    videos = chosen.jobs - imports
    print(f"{videos} videos and {imports} imports at once, {chosen.seconds} s a phase, {cores()} cores", flush=True)
    limits = {
        "AI_WORKER_MAX_CONCURRENCY": str(imports),
        "WORKER_RESERVED_SLOTS": "0",  # all jobs are of one academy
        "VIDEO_WORKER_MAX_CONCURRENCY": str(videos),
        "WORKER_POLL_SECONDS": "1",
        "WORKER_DRAIN_SECONDS": "0",
    }
    with tempfile.TemporaryDirectory() as folder:
        material = Material.make(Path(folder), chosen.jobs)
    with running_product("watching", "ai_worker", "video_worker", **limits) as product:
        push, details = asyncio.run(measure(product, material, chosen.jobs, float(chosen.seconds)))
    print("\n".join(table(push, details)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
