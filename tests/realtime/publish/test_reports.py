"""Tests of the reports of processes: which of them are read, and how processes learn that a client watches figures."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from realtime.publish import reports
from realtime.publish.reports import Reporter, read_memory, read_reports
from realtime.records.keys import Keys
from realtime.records.metrics import counts


@contextmanager
def another_process(redis: Redis, **about: object) -> Iterator[Reporter]:
    reporter = Reporter(redis, **about)  # type: ignore[arg-type]
    yield reporter
    reporter.withdraw()


def test_the_reports_of_all_processes_are_read_with_the_counters_of_each(redis: Redis) -> None:
    with another_process(redis, kind="web") as web, another_process(redis, kind="worker") as worker:
        counts.delivered += 3
        web.report({"watched": [7]})
        worker.report({"busy": 2})
        now, found = read_reports(redis)
        assert {report.fields["kind"] for report in found} == {"web", "worker"}
        assert all(0 <= now - report.at < reports.LIVE_SECONDS for report in found)
        by_kind = {report.fields["kind"]: report.fields for report in found}
        assert by_kind["web"]["delivered"] == counts.delivered
        assert by_kind["worker"]["busy"] == 2
    assert read_reports(redis)[1] == []


def test_a_process_that_died_is_forgotten(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    Reporter(redis).report({})
    assert len(read_reports(redis)[1]) == 1
    monkeypatch.setattr(reports, "LIVE_SECONDS", -1.0)
    assert read_reports(redis)[1] == []
    assert redis.hlen(Keys().reports()) == 0


def test_the_reports_of_processes_that_were_killed_do_not_pile_up_while_nobody_watches(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "LIVE_SECONDS", 0.05)
    for _ in range(5):
        Reporter(redis).report({})
    redis.hset(Keys().reports(), "odd", "no report")
    time.sleep(1.1)  # the script compares whole seconds
    redis.delete(Keys().memory_noted())  # a minute later
    last = Reporter(redis)
    last.report({})
    assert redis.hkeys(Keys().reports()) == [last.process.encode()]


def test_every_process_learns_that_a_client_of_one_of_them_watches(redis: Redis) -> None:
    first, second = Reporter(redis), Reporter(redis)
    assert not first.report({})
    assert second.report({}, watching=True)
    assert first.report({})
    assert 0 < redis.ttl(Keys().watched()) <= reports.WATCHED_SECONDS


def test_the_memory_of_redis_is_noted_once_a_minute_by_all_processes_together(redis: Redis) -> None:
    for _ in range(3):
        Reporter(redis).report({})
    ((_, used),) = read_memory(redis)
    assert used > 100_000
    redis.delete(Keys().memory_noted())
    Reporter(redis).report({})
    assert len(read_memory(redis)) == 2


def test_a_full_redis_does_not_refuse_reports(redis: Redis) -> None:
    before = redis.config_get("maxmemory")["maxmemory"] or "0"
    redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(ResponseError, match="command not allowed"):
            redis.set("any", 1)
        Reporter(redis).report({})
    finally:
        redis.config_set("maxmemory", before)
