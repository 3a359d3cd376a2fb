"""The metrics of this process for Prometheus: at `/metrics` of a web process, or at a separate port of a worker.

The values are collected at each scrape. Those from Redis and the database are read in threads. A scrape waits for
these threads for at most a second, so that it never hangs. Metrics whose values have not arrived by then are left out.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import structlog
from django.db import connection
from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector
from prometheus_client.utils import floatToGoString

from realtime import conf
from realtime.outbox.outbox import waiting
from realtime.protocol.close_codes import CloseCode
from realtime.protocol.refusals import REASONS
from realtime.records.metrics import LATENCY, Histogram, counts
from realtime.records.transitions import Verdict
from realtime.records.trial_write import takes_writes
from realtime.redis.refused_writes import CODES
from realtime.redis.server_info import RedisServer

__all__ = ["CONTENT_TYPE", "PATIENCE_SECONDS", "Question", "exposition", "serve_metrics"]

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 1.0
"""How long a scrape waits for the answers of Redis and the database."""
HOST = "127.0.0.1"

TRANSPORTS = ("websocket", "sse", "poll")
CLOSE_CODES = [str(int(code)) for code in CloseCode]
READ_CAUSES = ("confirmed", "gap", "epoch", "client_ahead", "behind", "probe")

GAUGES = {
    "realtime_outbox_age_seconds": "Age of the oldest unsent row of the outbox; 0 if all were sent.",
    "realtime_outbox_set_aside": "Rows of the outbox that can never be sent as they are.",
    "realtime_redis_memory_bytes": "Memory that Redis uses.",
    "realtime_redis_memory_limit_bytes": "Redis' maxmemory; 0 for none.",
    "realtime_redis_writable": "1 if Redis accepts writes, 0 if it refuses them.",
}

A = TypeVar("A", bound=Mapping[Any, Any])
Ask = Callable[[], dict[str, float]]
"""A function that returns the values of gauges by their names. It may raise any error."""


def _ask_database() -> dict[str, float]:
    try:
        found = waiting()
        return {
            "realtime_outbox_age_seconds": found.oldest_seconds,
            "realtime_outbox_set_aside": float(found.set_aside),
        }
    finally:
        connection.close()  # this thread's own connection; the thread ends here


def _ask_redis() -> dict[str, float]:
    redis = conf.redis()
    server = RedisServer.ask(redis)
    return {
        "realtime_redis_writable": float(takes_writes(redis, conf.key_prefix())),
        "realtime_redis_memory_bytes": float(server.memory_bytes),
        "realtime_redis_memory_limit_bytes": float(server.memory_limit),
    }


class Question(Generic[A]):
    """A query that runs in a thread. `start` does nothing while the query still runs."""

    def __init__(self, ask: Callable[[], A]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._answer: A | None = None

    def start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._answer = None
                self._thread = threading.Thread(target=self._work, name="scrape", daemon=True)
                self._thread.start()

    def answer(self, within_seconds: float) -> A | None:
        """Return the answer of the query. Return None if the query failed, or takes longer than `within_seconds`."""
        if self._thread is not None:
            self._thread.join(within_seconds)
        return self._answer

    def _work(self) -> None:
        try:
            self._answer = self._ask()
        except Exception as problem:  # noqa: BLE001 - an error must not hide the other metrics
            log.debug("metric_not_known", error=str(problem).strip())


class Exposed(Collector):
    """The collector of all metrics of the engine."""

    def __init__(self, questions: Iterable[Ask] = (_ask_database, _ask_redis)) -> None:
        self._questions = [Question(ask) for ask in questions]

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering the collector makes no query."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily("realtime_records_delivered", "Records handed to connections.", counts.delivered)
        yield CounterMetricFamily(
            "realtime_records_conflated", "Records skipped for a newer one of the same topic.", counts.conflated
        )
        yield _counter(
            "realtime_records_published", "Publishes, by Redis' verdict.", "verdict", counts.published, Verdict
        )
        yield _counter(
            "realtime_progress_dropped", "Progress that did not reach Redis.", "reason", conf.publisher().dropped
        )
        yield _counter(
            "realtime_connections_closed",
            "Connections this server closed, by code.",
            "code",
            counts.closed,
            CLOSE_CODES,
        )
        yield _counter("realtime_connections_refused", "Connections refused, by code.", "code", counts.refused)
        yield _counter(
            "realtime_redis_writes_refused",
            "Publishes and marks that Redis refused.",
            "code",
            counts.refused_writes,
            CODES,
        )
        yield _counter("realtime_refused", "Requests and frames refused.", "reason", counts.refusals, REASONS)
        yield _counter(
            "realtime_isolated_errors", "Errors in one tenant's data. No other is affected.", "where", counts.isolated
        )
        yield _counter("realtime_feed_reads", "Reads of a feed, by cause.", "cause", counts.reads, READ_CAUSES)
        yield _counter("realtime_sql_statements", "SQL statements, by view.", "view", counts.sql)
        connections = GaugeMetricFamily("realtime_connections", "Open connections.", labels=["transport"])
        for transport in TRANSPORTS:
            connections.add_metric([transport], counts.connections[transport])
        yield connections
        yield _histogram("realtime_publish_to_socket_seconds", LATENCY)
        for name, value in self._asked().items():
            yield GaugeMetricFamily(name, GAUGES[name], value)

    def _asked(self) -> dict[str, float]:
        for question in self._questions:
            question.start()
        until = time.monotonic() + PATIENCE_SECONDS
        answers: dict[str, float] = {}
        for question in self._questions:
            answers |= question.answer(max(0.0, until - time.monotonic())) or {}
        return answers


def _counter(name: str, documentation: str, label: str, values: Mapping[str, int], known: Iterable[str] = ()) -> Metric:
    """Return a counter. A label value in `known` that has no count is 0, so that an alert sees its first increase."""
    family = CounterMetricFamily(name, documentation, labels=[label])
    for key, number in sorted({**dict.fromkeys(known, 0), **values}.items()):
        family.add_metric([key], number)
    return family


def _histogram(name: str, histogram: Histogram) -> Metric:
    bounds = [*map(floatToGoString, histogram.bounds), "+Inf"]
    return HistogramMetricFamily(
        name,
        "From published_at of a record to the moment its frame is handed to the connections, once for each fan-out.",
        buckets=list(zip(bounds, histogram.cumulative(), strict=True)),
        sum_value=histogram.sum,
    )


def exposition() -> bytes:
    """Return all metrics of this process in Prometheus' text format (`CONTENT_TYPE`)."""
    return generate_latest()


def serve_metrics(port: int) -> None:
    """Serve the metrics of a process that is no web server, at this port of the loopback address.

    Do nothing if the port is 0. If another process already uses the port, only log a warning.
    """
    if not port:
        return
    try:
        start_http_server(port, HOST)
    except OSError as problem:
        log.warning("metrics_not_served", port=port, error=str(problem))


REGISTRY.register(Exposed())
