"""Reports: the counters of each process, kept in Redis, so that one process can add them up over all processes.

A process reports every few seconds. A worker deletes its report when it ends. The report of a web process, or of a
worker that was killed, stays until another process finds that it is older than `LIVE_SECONDS`, and deletes it.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, cast

import orjson
from redis import Redis

from realtime.records import scripts
from realtime.records.keys import Keys
from realtime.records.metrics import LATENCY, counts
from realtime.redis.clock import seconds_of

WATCHED_REPORT_SECONDS = 2.0
"""The time between two reports of a process while somebody watches figures."""
REPORT_SECONDS = 5.0
"""The time between two reports of a process while nobody watches figures."""
LIVE_SECONDS = 15.0
"""A process whose last report is older than this counts as ended."""
WATCHED_SECONDS = 10
"""How long figures count as watched after a process reported that one of its clients watches them."""
MEMORY_PAUSE_SECONDS = 60
MOST_MEMORY_ENTRIES = 360
FORGOTTEN_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Report:
    """The last report of one process. `at` is when it was made, by the clock of Redis."""

    process: str
    at: float
    fields: dict[str, Any]


class Reporter:
    """Writes the reports of one process."""

    def __init__(self, redis: Redis, *, key_prefix: str = "", **about: object) -> None:
        """`about` are fields that every report of this process has, such as its `kind`."""
        self._redis, self._keys = redis, Keys(key_prefix)
        self._script = redis.register_script(scripts.source("report"))
        self._about = {"host": socket.gethostname()[:60], "pid": os.getpid(), **about}
        self.process = token_hex(8)

    def report(self, fields: Mapping[str, object], *, watching: bool = False) -> bool:
        """Report the counters of this process and these fields. Return whether a client of any process watches figures.

        `watching` says whether a client of this process watches figures. Raise RedisError if Redis cannot be reached.
        """
        text = orjson.dumps({**self._about, **counters(), **fields}, option=orjson.OPT_NON_STR_KEYS)
        keys = self._keys
        names = [keys.reports(), keys.watched(), keys.memory(), keys.memory_noted()]
        watched = WATCHED_SECONDS if watching else 0
        limits = [MEMORY_PAUSE_SECONDS, MOST_MEMORY_ENTRIES, FORGOTTEN_SECONDS, LIVE_SECONDS]
        return bool(self._script(names, [self.process, text, watched, *limits]))

    def withdraw(self) -> None:
        """Remove the report, because the process ends. Raise RedisError if Redis cannot be reached."""
        self._redis.hdel(self._keys.reports(), self.process)


def counters() -> dict[str, object]:
    """Return the counters of this process that are added up over all processes."""
    return {
        "accepted": counts.published["accepted"],
        "delivered": counts.delivered,
        "conflated": counts.conflated,
        "sql": sum(counts.sql.values()),
        "latency": LATENCY.cumulative(),
    }


def read_reports(redis: Redis, key_prefix: str = "") -> tuple[float, list[Report]]:
    """Return the time of Redis, and the last report of each process that has not ended.

    Delete the reports of ended processes. Raise RedisError if Redis cannot be reached.
    """
    key = Keys(key_prefix).reports()
    with redis.pipeline(transaction=False) as pipeline:
        pipeline.time()
        pipeline.hgetall(key)
        time, found = pipeline.execute()
    now = seconds_of(time)
    reports, ended = [], []
    for process, text in cast("dict[bytes, bytes]", found).items():
        at, _, fields = text.partition(b" ")
        if now - float(at) > LIVE_SECONDS:
            ended.append(process)
        else:
            reports.append(Report(process.decode(), float(at), orjson.loads(fields)))
    if ended:
        redis.hdel(key, *ended)
    return now, sorted(reports, key=lambda report: report.process)


def read_memory(redis: Redis, key_prefix: str = "") -> list[tuple[float, int]]:
    """Return how many bytes Redis used in each of the last minutes, as (time, bytes), the oldest first.

    Raise RedisError if Redis cannot be reached.
    """
    entries = cast("list[bytes]", redis.lrange(Keys(key_prefix).memory(), 0, -1))
    return [(float(at), int(used)) for at, used in map(bytes.split, entries)]
