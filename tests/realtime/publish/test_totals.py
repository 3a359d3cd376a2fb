"""Tests of adding up the reports of several processes, of percentiles, and of the forecast of memory."""

from typing import Any

import pytest

from realtime.publish.reports import Report
from realtime.publish.totals import FORECAST_ENTRIES, Totals, connections_of, forecast, percentiles
from realtime.records.metrics import LATENCY_SECONDS

NONE = [0] * (len(LATENCY_SECONDS) + 1)
MB = 1_000_000


def report(process: str, at: float, **fields: Any) -> Report:
    return Report(process, at, {"accepted": 0, "delivered": 0, "conflated": 0, "sql": 0, "latency": NONE, **fields})


def observed(*buckets: int) -> list[int]:
    """Return a cumulative histogram with one observation in each of these buckets."""
    return [sum(bucket <= bound for bucket in buckets) for bound in range(len(NONE))]


def test_the_rates_of_all_processes_are_added_up_each_by_its_own_clock() -> None:
    totals = Totals()
    first = totals.add([report("a", 10.0, delivered=100), report("b", 11.0, delivered=5000)])
    assert first["delivered"] is None  # one report tells no rate
    second = totals.add([report("a", 12.0, delivered=120, sql=4), report("b", 15.0, delivered=5100)])
    assert second["delivered"] == 10 + 25
    assert second["sql"] == 2
    assert totals.add([report("a", 12.0, delivered=120, sql=4), report("b", 17.0, delivered=5100)])["delivered"] == 10


def test_a_process_that_began_or_ended_does_not_disturb_the_rates() -> None:
    totals = Totals()
    totals.add([report("a", 10.0, delivered=100), report("b", 10.0, delivered=9000)])
    totals.add([report("a", 12.0, delivered=104), report("b", 12.0, delivered=9000)])
    assert totals.add([report("a", 14.0, delivered=108), report("new", 14.0, delivered=77)])["delivered"] == 2
    assert totals.add([report("a", 16.0, delivered=112), report("new", 16.0, delivered=79)])["delivered"] == 3


def test_the_latency_is_that_of_the_last_rounds_of_all_processes() -> None:
    totals = Totals()
    assert totals.add([report("a", 1.0), report("b", 1.0)])["latency"] is None
    latency = totals.add([report("a", 2.0, latency=observed(2, 2, 2)), report("b", 2.0, latency=observed(9))])[
        "latency"
    ]
    assert latency == {"median": LATENCY_SECONDS[2], "most": LATENCY_SECONDS[9]}
    for second in range(3, 9):
        latency = totals.add(
            [report("a", second, latency=observed(2, 2, 2)), report("b", second, latency=observed(9))]
        )["latency"]
    assert latency is None


def test_a_latency_beyond_the_last_bound_is_shown_as_that_bound() -> None:
    assert percentiles({len(LATENCY_SECONDS): 4}) == {"median": 60.0, "most": 60.0}


def test_the_connections_of_a_tenant_are_added_up_by_transport() -> None:
    reports = [
        report("a", 1.0, connections={"7": {"websocket": 3}, "8": {"sse": 1}}),
        report("b", 1.0, connections={"7": {"websocket": 2, "poll": 1}}),
        report("worker", 1.0),
    ]
    assert connections_of(reports) == {7: {"websocket": 5, "poll": 1}, 8: {"sse": 1}}


def growing(by: int, entries: int = 60) -> list[tuple[float, int]]:
    return [(1_800_000_000.0 + 60 * minute, 100 * MB + by * minute) for minute in range(entries)]


def test_the_forecast_says_when_memory_that_grows_evenly_reaches_its_limit() -> None:
    found = forecast(growing(MB), limit=279 * MB)
    assert found is not None
    assert found["bytes_an_hour"] == 60 * MB
    assert found["full_in_seconds"] == pytest.approx(120 * 60, rel=0.01)


@pytest.mark.parametrize(("by", "limit"), [(0, 200 * MB), (-MB // 100, 200 * MB), (MB, 0), (1, 10**12)])
def test_memory_that_does_not_grow_has_no_limit_or_lasts_for_years_has_no_forecast(by: int, limit: int) -> None:
    assert (forecast(growing(by), limit) or {})["full_in_seconds"] is None


def test_memory_beyond_its_limit_is_full_now_and_a_few_minutes_tell_nothing() -> None:
    assert (forecast(growing(MB), limit=100 * MB) or {})["full_in_seconds"] == 0
    assert forecast(growing(MB, FORECAST_ENTRIES - 1), limit=200 * MB) is None
