"""Adds up the reports of all processes, and computes rates from one round to the next. Uses no clock and no Redis.

A round is one call of `Totals.add`.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from realtime.publish.reports import Report
from realtime.records.metrics import LATENCY_SECONDS

RATES = ("accepted", "delivered", "conflated", "sql")
LATENCY_ROUNDS = 5
"""The latency is computed from this many rounds, because a single round may have few records."""
FORECAST_ENTRIES = 10
"""How many entries of `memory` a forecast needs. There is one entry a minute."""
MOST_FORECAST_SECONDS = 365 * 86_400.0


class Totals:
    """Adds up reports, and keeps the reports of the last round to compute rates."""

    def __init__(self) -> None:
        self._before: dict[str, Report] = {}
        self._rates: dict[str, Counter[str]] = {}
        self._latencies: deque[Counter[int]] = deque(maxlen=LATENCY_ROUNDS)

    def add(self, reports: Sequence[Report]) -> dict[str, Any]:
        """Return the rate a second of each counter, and the latency in seconds.

        A rate is None until a process has reported twice. A process that has not reported again since the last round
        keeps its rates.
        """
        observed: Counter[int] = Counter()
        for report in reports:
            before = self._before.get(report.process)
            if before is not None and report.at > before.at:
                seconds = report.at - before.at
                self._rates[report.process] = Counter(
                    {name: (report.fields[name] - before.fields[name]) / seconds for name in RATES}
                )
                observed.update(_increase(before.fields["latency"], report.fields["latency"]))
        live = {report.process: report for report in reports}
        self._rates = {process: rates for process, rates in self._rates.items() if process in live}
        self._before = live
        self._latencies.append(observed)
        known = bool(self._rates)
        rates = {name: round(sum(each[name] for each in self._rates.values()), 1) if known else None for name in RATES}
        return {**rates, "latency": percentiles(sum(self._latencies, Counter()))}


def _increase(before: Sequence[int], after: Sequence[int]) -> dict[int, int]:
    """Return how many observations each bucket of a cumulative histogram has gained. The keys are bucket numbers."""
    gained = [new - old for old, new in zip(before, after, strict=True)]
    return {number: more - less for number, (less, more) in enumerate(pairwise([0, *gained])) if more > less}


def percentiles(observed: Mapping[int, int]) -> dict[str, float] | None:
    """Return the median and the 99th percentile of a histogram, in seconds. Return None if nothing was observed.

    Each is the upper bound of its bucket. So the true value is at most this, unless it is above the highest bound.
    """
    number = sum(observed.values())
    if not number:
        return None
    return {"median": _bound(observed, number * 0.5), "most": _bound(observed, number * 0.99)}


def _bound(observed: Mapping[int, int], rank: float) -> float:
    seen = 0
    for bucket in sorted(observed):
        seen += observed[bucket]
        if seen >= rank:
            return LATENCY_SECONDS[min(bucket, len(LATENCY_SECONDS) - 1)]
    return LATENCY_SECONDS[-1]


def connections_of(reports: Iterable[Report]) -> dict[int, Counter[str]]:
    """Return how many connections each tenant has in all processes, by transport."""
    found: dict[int, Counter[str]] = {}
    for report in reports:
        for tenant_id, transports in report.fields.get("connections", {}).items():
            found.setdefault(int(tenant_id), Counter()).update(transports)
    return found


def forecast(memory: Sequence[tuple[float, int]], limit: int) -> dict[str, float | None] | None:
    """Return how fast the memory of Redis grows, in bytes an hour, and after how many seconds it reaches its limit.

    The straight line that fits the entries best gives the growth. The seconds are None if the memory does not grow, has
    no limit, or would reach it only after more than a year. Return None if there are too few entries.
    """
    if len(memory) < FORECAST_ENTRIES:
        return None
    first = memory[0][0]
    times, used = [at - first for at, _ in memory], [float(each) for _, each in memory]
    mean_time, mean_used = sum(times) / len(times), sum(used) / len(used)
    spread = sum((at - mean_time) ** 2 for at in times)
    if not spread:
        return None
    slope = sum((at - mean_time) * (each - mean_used) for at, each in zip(times, used, strict=True)) / spread
    seconds = max(0.0, (limit - used[-1]) / slope) if slope > 0 and limit else None
    if seconds is not None and seconds > MOST_FORECAST_SECONDS:
        seconds = None
    return {"bytes_an_hour": round(slope * 3600), "full_in_seconds": None if seconds is None else round(seconds)}
