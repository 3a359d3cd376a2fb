"""Gauges of waiting and running jobs for Prometheus, labelled by queue. Tenants are not a label: there are too many."""

from collections.abc import Iterator

from django.db import connection
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

from academy import dispatch
from academy.adapters.db.django.repositories_turns import Load
from academy.adapters.queue.sqs import QUEUES
from realtime.operate.exposition import PATIENCE_SECONDS, Question


def _ask_database() -> dict[str, Load]:
    try:
        return {queue: dispatch.load_of(queue) for queue in QUEUES}
    finally:
        connection.close()  # this thread's own connection, because the thread ends


class Jobs(Collector):
    """Counts the unfinished jobs of each queue at each scrape. If the database does not answer, there are no gauges."""

    def __init__(self) -> None:
        self._question = Question(_ask_database)

    def describe(self) -> list[Metric]:
        """Return an empty list, so that registering the collector makes no query."""
        return []

    def collect(self) -> Iterator[Metric]:
        self._question.start()
        loads = self._question.answer(PATIENCE_SECONDS)
        if loads is None:
            return
        waiting = GaugeMetricFamily("academy_jobs_waiting", "Jobs that nobody has begun.", labels=["queue"])
        running = GaugeMetricFamily("academy_jobs_running", "Jobs that run.", labels=["queue"])
        oldest = GaugeMetricFamily(
            "academy_jobs_oldest_waiting_seconds", "For how long the oldest job has waited.", labels=["queue"]
        )
        now = timezone.now()
        for queue, load in loads.items():
            waiting.add_metric([queue], load.waiting)
            running.add_metric([queue], load.running)
            seconds = (now - load.oldest).total_seconds() if load.oldest else 0.0
            oldest.add_metric([queue], max(0.0, seconds))
        yield from (waiting, running, oldest)


def register() -> None:
    REGISTRY.register(Jobs())
