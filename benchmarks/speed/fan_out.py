"""Measures a fan-out: records that are published to tenants, and arrive at all connections of the tenant."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed import processes
from benchmarks.speed.catalogue import SERVERS
from benchmarks.speed.generator import Clients, Generator, connected
from benchmarks.speed.publisher import TOPICS
from benchmarks.speed.servers import Target
from embedded.home import PROJECT

START_SECONDS, WARM_UP_SECONDS = 1.5, 1.0
"""A publisher needs the first to start. Then it publishes for the second before the window begins."""
IN_TIME_MS = 200
"""A server keeps up with a rate if 99 % of the records arrive within this time, and none is lost."""

BUSY_PERCENT = 85
"""A server that uses more of its core has no time left. Its core also serves the kernel's interrupts."""


@dataclass(frozen=True)
class FanOut:
    """The figures of one window. `rate` is in deliveries a second: a record counts once for each of its clients."""

    server: str
    protocol: str
    connections: int
    tenants: int
    topics: int
    rate: float
    delivered_a_second: float
    lost: int
    cpu_us: float
    """The CPU time of the server for each record that it delivered."""
    redis_cpu_us: float
    """The CPU time of Redis for each record that was published."""
    publish_cpu_us: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    publisher_behind_ms: float
    busy_percent: float
    """The share of its core that the server used."""

    @property
    def keeps_up(self) -> bool:
        return self.p99_ms <= IN_TIME_MS and self.lost == 0 and self.delivered_a_second > 0.9 * self.rate

    @property
    def is_the_limit(self) -> bool:
        """Whether a server that does not keep up is itself the reason, and not its clients or its publisher."""
        return self.busy_percent > BUSY_PERCENT

    def __str__(self) -> str:
        cpu = f"{self.cpu_us:5.1f} µs CPU a record (Redis {self.redis_cpu_us:.0f} µs a publish)"
        times = f"p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, longest {self.max_ms:.1f} ms"
        late = "" if self.keeps_up or self.is_the_limit else " (the server waited: the other cores were the limit)"
        return f"{self.rate:.0f}/s due, {self.delivered_a_second:.0f}/s arrived: {cpu}; {times}; {self.lost} lost{late}"

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "keeps_up": self.keeps_up, "is_the_limit": self.is_the_limit}


@contextmanager
def running(
    server: str, folder: Path, *, protocol: str, connections: int, tenants: int
) -> Iterator[tuple[Target, Generator]]:
    """Start a server, and open connections that are spread over its tenants."""
    with SERVERS[server](folder, protocol, tenants) as target:
        clients = Clients(target.port, protocol, target.requests, connections, target.ready_text)
        with connected(clients, folder, processes.cores()[1]) as generator:
            yield target, generator


def measure(
    target: Target, generator: Generator, *, connections: int, rate: float, seconds: float, topics: int = TOPICS
) -> FanOut:
    """Publish records for `seconds`, with `rate` deliveries a second to all clients together, and measure."""
    tenants = len(target.requests)
    clients_of_a_record = connections / tenants
    begin = processes.now_us() + int(1e6 * (START_SECONDS + WARM_UP_SECONDS))
    end = begin + int(1e6 * seconds)
    publisher = _publisher(target, topics, rate / clients_of_a_record, begin, end)
    generator.announce(begin, end)
    processes.wait_until(begin)
    server_before, redis_before = processes.cpu_us(target.pids), processes.cpu_us(target.redis_pids)
    processes.wait_until(end)
    server_cpu = processes.cpu_us(target.pids) - server_before
    redis_cpu = processes.cpu_us(target.redis_pids) - redis_before
    said, _ = publisher.communicate(timeout=60)
    published, seen = json.loads(said), generator.result()
    return FanOut(
        server=target.name,
        protocol=target.protocol,
        connections=connections,
        tenants=tenants,
        topics=topics,
        rate=rate,
        delivered_a_second=round(seen["arrived"] / seconds, 1),
        lost=round(published["published"] * clients_of_a_record) - seen["received"],
        cpu_us=round(server_cpu / max(1, seen["arrived"]), 2),
        redis_cpu_us=round(redis_cpu / max(1, published["published"]), 2),
        publish_cpu_us=published["cpu_us"],
        p50_ms=seen["p50_us"] / 1000,
        p99_ms=seen["p99_us"] / 1000,
        max_ms=seen["max_us"] / 1000,
        publisher_behind_ms=published["behind_ms"],
        busy_percent=round(server_cpu / seconds / 1e4, 1),
    )


def _publisher(target: Target, topics: int, rate: float, begin: int, end: int) -> "subprocess.Popen[str]":
    _own, others = processes.cores()
    words: dict[str, object] = {
        "--to": target.publish_to,
        "--tenants": len(target.requests),
        "--rate": rate,
        "--topics": topics,
        "--begin": begin,
        "--end": end,
    }
    argv = ["taskset", "-c", ",".join(map(str, others)), sys.executable, "-m", "benchmarks.speed.publisher"]
    argv += [str(word) for option in words.items() for word in option]
    return subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
