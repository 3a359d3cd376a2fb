"""Measures what publishing costs: the CPU time of the publisher and of Redis, for records one by one and in batches."""

from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time
from typing import Any

from benchmarks.speed import processes
from benchmarks.speed.publisher import FIRST_TENANT, Records
from embedded.redis import RedisServer
from realtime.publish import Publisher

_TENANTS = 20
WAYS = {"one by one": 1, "in batches of 200": 200}


@dataclass(frozen=True)
class Publishing:
    how: str
    cpu_us: float
    """The publisher's CPU time for each record."""
    redis_cpu_us: float
    a_second: float

    def __str__(self) -> str:
        return f"{self.how}: {self.cpu_us:.0f} µs CPU a record, Redis {self.redis_cpu_us:.0f} µs; {self.a_second:.0f}/s"

    def json(self) -> dict[str, Any]:
        return asdict(self)


def measure(folder: Path, records: int) -> list[Publishing]:
    """Publish this many records in each way, with nobody connected."""
    with RedisServer(folder / "redis-publishing") as redis:
        assert redis.pid is not None  # noqa: S101 - for the type checker
        processes.pin(redis.pid, processes.cores()[1])
        publisher = Publisher.from_url(redis.url)
        publisher.publish_many([_addressed(0)])  # connect, and load the scripts
        return [_measure_one(publisher, redis.pid, how, batch, records) for how, batch in WAYS.items()]


def _addressed(number: int) -> Any:
    records = Records(_TENANTS)
    return FIRST_TENANT + records.tenant(number), records.draft(number, processes.now_us())


def _measure_one(publisher: Publisher, redis_pid: int, how: str, batch: int, records: int) -> Publishing:
    began, own, redis = processes.now_us(), process_time(), processes.cpu_us([redis_pid])
    for first in range(0, records, batch):
        publisher.publish_many([_addressed(number) for number in range(first, first + batch)])
    return Publishing(
        how,
        cpu_us=round(1e6 * (process_time() - own) / records, 1),
        redis_cpu_us=round((processes.cpu_us([redis_pid]) - redis) / records, 1),
        a_second=round(1e6 * records / (processes.now_us() - began)),
    )
