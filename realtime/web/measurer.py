"""Measures the whole system, and publishes the figures that are watched: those of the system and those of tenants.

Only one process does this at a time, and only while a client watches. It asks the database, the queues and Redis' INFO
in a separate thread, so that a slow answer delays nothing.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from heapq import nlargest
from typing import Any

import structlog
from django.db import connection
from redis import Redis

from realtime import conf
from realtime.publish.reports import Report, read_memory, read_reports
from realtime.publish.totals import Totals, connections_of, forecast
from realtime.records.keys import SYSTEM_TENANT, Keys
from realtime.records.record import Draft, draft_record
from realtime.records.script_batches import answers_of, batched
from realtime.records.topics import STATS
from realtime.records.transitions import Verdict
from realtime.redis.server_info import RedisServer

log = structlog.get_logger(__name__)

HELD_SECONDS = 6
"""A measurer that has not measured for this long loses its role to another process."""
SLOW_SECONDS = 10.0
"""The interval, in seconds, at which the database, the queues and Redis' INFO are asked."""
HISTORY = 90
"""How many points a chart has."""
MOST_TENANTS = 100
"""The figures of the whole system list at most this many tenants."""
MOST_PROCESSES = 100
SQL_OF_A_POLL = 1
"""How many SQL statements a poll of a job's detail costs. The figure `polling_sql` shows what all connections would
cost if each polled once a second instead."""


class Measurer:
    """Publishes figures if no other process does. Only one thread may use it."""

    def __init__(self, redis: Redis, process: str) -> None:
        """`process` is the name of this process in its reports."""
        self._redis, self._process = redis, process
        self._keys = Keys(conf.key_prefix())
        self._attempt = 0
        """The attempt of the figures. It begins as the time at which this process became the measurer (Unix seconds).

        So the figures of a later measurer outrank those of an earlier one. 0 while another process is the measurer.
        """
        self._totals = Totals()
        self._offsets: dict[int, tuple[float, int]] = {}
        self._charts: dict[int, dict[str, deque[float | None]]] = {}
        self._listed: set[int] = set()
        """The tenants that the last figures of the system listed."""
        self._slow = Periodically(ask_slowly, SLOW_SECONDS)

    def measure(self) -> None:
        """Measure and publish once, unless another process is the measurer. Raise RedisError if Redis fails."""
        if not self._hold():
            return
        now, reports = read_reports(self._redis, conf.key_prefix())
        self._attempt = self._attempt or int(now)
        watched = {tenant_id for report in reports for tenant_id in report.fields.get("watched", ())}
        connections = connections_of(reports)
        connections.pop(SYSTEM_TENANT, None)  # those of operators who watch
        slow = self._slow.answer(sorted(watched | self._to_be_listed(watched, connections)))
        rates = self._rates(now, connections.keys() | set(slow.get("all_tenants", ())) | watched - {SYSTEM_TENANT})
        totals = self._totals.add(reports)
        figures: dict[int, dict[str, Any]] = {
            tenant_id: _tenant_figures(tenant_id, connections, rates, slow) for tenant_id in watched - {SYSTEM_TENANT}
        }
        if SYSTEM_TENANT in watched:
            figures[SYSTEM_TENANT] = _system_figures(reports, totals, connections, rates, slow)
            self._listed = {tenant["id"] for tenant in figures[SYSTEM_TENANT]["tenants"]}
        self._charts = {tenant_id: chart for tenant_id, chart in self._charts.items() if tenant_id in watched}
        for tenant_id, data in figures.items():
            self._draw(tenant_id, data)
        self._publish(now, figures)

    def _to_be_listed(self, watched: set[int], connections: Mapping[int, Counter[str]]) -> set[int]:
        """Return the tenants that the next figures of the system will list, as far as is known now.

        Return an empty set if nobody watches the figures of the system.
        """
        if SYSTEM_TENANT not in watched:
            return set()
        return self._listed | set(nlargest(MOST_TENANTS, connections, key=lambda each: connections[each].total()))

    def wait(self) -> None:
        """Wait until the thread that asks the database, the queues and INFO has ended, if it runs. For tests."""
        self._slow.wait()

    def _hold(self) -> bool:
        """Return whether this process is the measurer. If no process is, make this one the measurer."""
        key = self._keys.measurer()
        if self._redis.set(key, self._process, nx=True, ex=HELD_SECONDS):
            self._attempt = 0
            return True
        if self._redis.get(key) != self._process.encode():
            self._attempt = 0
            return False
        self._redis.expire(key, HELD_SECONDS)
        return True

    def _rates(self, now: float, tenant_ids: Iterable[int]) -> dict[int, float]:
        """Return how many records a second were published to each feed since the last call."""
        before, self._offsets = self._offsets, {}
        rates: dict[int, float] = {}
        for batch in batched(sorted(tenant_ids)):
            with self._redis.pipeline(transaction=False) as pipeline:
                for tenant_id in batch:
                    pipeline.hget(self._keys.feed(tenant_id), "offset")
                answers = answers_of(pipeline, "figures")
            for tenant_id, answer in zip(batch, answers, strict=True):
                offset = int(answer or 0)
                self._offsets[tenant_id] = now, offset
                at, old = before.get(tenant_id, (now, offset))
                rates[tenant_id] = round(max(0, offset - old) / (now - at), 1) if now > at else 0.0
        return rates

    def _draw(self, tenant_id: int, data: dict[str, Any]) -> None:
        """Add a point for these figures to each chart of the tenant. Then set `data["history"]` to the charts."""
        points: dict[str, float | None] = {
            "records": data["records"],
            "connections": sum(data["connections"].values()),
        }
        if tenant_id == SYSTEM_TENANT:
            latency = data["latency"]
            points |= {"latency": latency and latency["most"], "sql": data["sql"], "polling_sql": data["polling_sql"]}
        chart = self._charts.setdefault(tenant_id, {name: deque(maxlen=HISTORY) for name in points})
        for name, value in points.items():
            chart[name].append(value)
        data["history"] = {name: list(values) for name, values in chart.items()}

    def _publish(self, now: float, figures: Mapping[int, dict[str, Any]]) -> None:
        drafts = [(tenant_id, self._draft(now, data)) for tenant_id, data in figures.items()]
        answers = conf.publisher().publish_each(drafts, at_the_limit=True)
        for (tenant_id, _draft), answer in zip(drafts, answers, strict=True):
            if isinstance(answer, Exception):
                continue
            if answer.verdict is Verdict.ACCEPTED:
                if tenant_id in self._offsets:  # figures do not count themselves
                    self._offsets[tenant_id] = now, self._offsets[tenant_id][1] + 1
            else:
                # The clock of Redis was set back, or the sweeper has ended the topic. The next figures must outrank the
                # record that Redis has.
                record = conf.publisher().record(tenant_id, STATS)
                self._attempt = max(self._attempt, record.attempt if record else 0) + 1

    def _draft(self, now: float, data: dict[str, Any]) -> Draft:
        return draft_record(topic=STATS, attempt=self._attempt, status="PROCESSING", published_at=now, data=data)


def _tenant_figures(
    tenant_id: int, connections: Mapping[int, Counter[str]], rates: Mapping[int, float], slow: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        **slow.get("figures", {}).get(tenant_id, {}),
        "connections": _transports(connections.get(tenant_id, Counter())),
        "records": rates.get(tenant_id, 0.0),
    }


def _system_figures(
    reports: list[Report],
    totals: Mapping[str, Any],
    connections: Mapping[int, Counter[str]],
    rates: Mapping[int, float],
    slow: Mapping[str, Any],
) -> dict[str, Any]:
    all_connections = _transports(sum(connections.values(), Counter()))
    polls = sum(all_connections.values()) * SQL_OF_A_POLL
    tenants: list[dict[str, Any]] = [
        {"id": tenant_id, **_tenant_figures(tenant_id, connections, rates, slow)}
        for tenant_id in rates.keys() | slow.get("figures", {}).keys() - {SYSTEM_TENANT}
    ]
    tenants.sort(key=_weight, reverse=True)
    return {
        **slow.get("figures", {}).get(SYSTEM_TENANT, {}),
        "connections": all_connections,
        "records": round(sum(rates.values()), 1),
        "delivered": totals["delivered"],
        "conflated": totals["conflated"],
        "latency": totals["latency"],
        "sql": totals["sql"],
        "polling_sql": polls,
        "feeds": len(connections),
        "processes": [_process(report) for report in reports[:MOST_PROCESSES]],
        "tenants": [
            {name: value for name, value in each.items() if name != "queues"} for each in tenants[:MOST_TENANTS]
        ],
        "tenants_in_all": len(tenants),
        **{name: slow[name] for name in ("redis", "outbox") if name in slow},
    }


def _weight(tenant: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the sort key of a tenant: its stalled jobs, connections, unfinished jobs, and records a second.

    The order is descending. So of idle tenants the oldest come first, as `ask_slowly` chooses them.
    """
    busy = tenant.get("running", 0) + tenant.get("waiting", 0)
    return tenant.get("stalled", 0), sum(tenant["connections"].values()), busy, tenant["records"], -tenant["id"]


def _transports(found: Counter[str]) -> dict[str, int]:
    return {transport: found[transport] for transport in ("websocket", "sse", "poll")}


def _process(report: Report) -> dict[str, Any]:
    fields = report.fields
    shown: dict[str, Any] = {
        name: fields[name] for name in ("kind", "host", "pid", "queue", "slots", "busy") if name in fields
    }
    if "connections" in fields:
        shown["connections"] = sum(sum(each.values()) for each in fields["connections"].values())
    return shown


def ask_slowly(watched: list[int]) -> dict[str, Any]:
    """Ask the database, Redis' INFO and the project's own figures, and return the answers. Leave out what fails.

    `watched` are the tenants to ask about. If `SYSTEM_TENANT` is one of them, also ask about the oldest of the other
    tenants, up to `MOST_TENANTS` in all.
    """
    answers: dict[str, Any] = {}

    def ask_figures() -> dict[int, dict[str, Any]]:
        figures = conf.figures()
        shown = [tenant_id for tenant_id in watched if tenant_id != SYSTEM_TENANT]
        if SYSTEM_TENANT in watched:
            idle = sorted(set(answers.get("all_tenants", ())) - set(shown))
            shown += idle[: max(0, MOST_TENANTS - len(shown))]
        return figures(shown) if figures else {}

    parts: dict[str, Callable[[], Any]] = {
        "all_tenants": lambda: conf.source().tenants(),  # before the figures, which need them
        "outbox": _ask_outbox,
        "redis": _ask_redis,
        "figures": ask_figures,
    }
    try:
        for name, ask in parts.items():
            try:
                answers[name] = ask()
            except Exception as problem:  # noqa: BLE001 - one part must not hide the others
                log.debug("figure_not_known", part=name, error=str(problem).strip())
    finally:
        connection.close()  # this thread's own; the thread ends here
    return answers


def _ask_outbox() -> dict[str, float]:
    from realtime.outbox.outbox import waiting  # noqa: PLC0415 - servers import this module before the models

    found = waiting()
    return {"age": round(found.oldest_seconds, 1), "set_aside": found.set_aside}


def _ask_redis() -> dict[str, Any]:
    server = RedisServer.ask(conf.redis())
    memory = read_memory(conf.redis(), conf.key_prefix())
    return {
        "used": server.memory_bytes,
        "limit": server.memory_limit,
        "memory": [used for _at, used in memory[-HISTORY:]],
        "forecast": forecast(memory, server.memory_limit),
    }


class Periodically:
    """Calls `ask` in a thread, at most once every `seconds`, and keeps the last answer. One call runs at a time."""

    def __init__(self, ask: Callable[[list[int]], dict[str, Any]], seconds: float) -> None:
        self._ask, self._seconds = ask, seconds
        self._thread: threading.Thread | None = None
        self._asked_at = float("-inf")
        self._answer: dict[str, Any] = {}

    def answer(self, watched: list[int]) -> dict[str, Any]:
        """Return the last answer, or an empty dict if there is none yet.

        If no call runs and the last one began at least `seconds` ago, start another.
        """
        now = time.monotonic()
        running = self._thread is not None and self._thread.is_alive()
        if not running and now - self._asked_at >= self._seconds:
            self._asked_at = now
            self._thread = threading.Thread(target=self._work, args=[watched], name="figures", daemon=True)
            self._thread.start()
        return self._answer

    def wait(self) -> None:
        """Wait until the call of `ask` has returned, if one runs."""
        if self._thread is not None:
            self._thread.join()

    def _work(self, watched: list[int]) -> None:
        self._answer = self._ask(watched)
