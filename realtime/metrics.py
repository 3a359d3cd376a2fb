"""What this process counts, and how Prometheus reads it (`/metrics`).

Counting stands in the hottest paths, so it is plain addition; names and labels are made when somebody asks.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

LATENCY = Histogram(
    "realtime_publish_to_socket_seconds",
    "From a record's published_at to the moment its frame was handed to the server, once for each frame.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60),
)


class Counts:
    """Counters since the process began, and the gauges that others keep (`gauges`: name → what to ask)."""

    def __init__(self) -> None:
        self.delivered = 0
        self.conflated = 0
        self.published: Counter[str] = Counter()
        self.connections: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.reads: Counter[str] = Counter()
        self.sql: Counter[str] = Counter()
        self.gauges: dict[str, tuple[str, Callable[[], float | None]]] = {}


counts = Counts()


class _Counted(Collector):
    def collect(self) -> Iterator[Metric]:
        yield _counter("realtime_records_delivered", "Records handed to connections.", counts.delivered)
        yield _counter(
            "realtime_records_conflated", "Records skipped: a newer one of the topic came.", counts.conflated
        )
        yield _labelled("realtime_records_published", "Publishes by Redis' verdict.", "verdict", counts.published)
        yield _labelled(
            "realtime_connections_closed", "Connections this server closed, by code.", "code", counts.closed
        )
        yield _labelled("realtime_connections_refused", "Connections refused, by code.", "code", counts.refused)
        yield _labelled("realtime_feed_reads", "Reads of a feed, by cause.", "cause", counts.reads)
        yield _labelled("realtime_sql_statements", "SQL statements, by view.", "view", counts.sql)
        gauge = GaugeMetricFamily("realtime_connections", "Open connections.", labels=["transport"])
        for transport, number in counts.connections.items():
            gauge.add_metric([transport], number)
        yield gauge
        yield from _gauges()


def _gauges() -> Iterator[Metric]:
    for name, (documentation, ask) in counts.gauges.items():
        value = ask()
        if value is not None:  # what cannot be known at the moment is left out, and its absence can be alerted on
            yield GaugeMetricFamily(name, documentation, value)


def _counter(name: str, documentation: str, value: float) -> Metric:
    return CounterMetricFamily(name, documentation, value)


def _labelled(name: str, documentation: str, label: str, values: Counter[str]) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=[label])
    for key, number in sorted(values.items()):
        family.add_metric([key], number)
    return family


REGISTRY.register(_Counted())
