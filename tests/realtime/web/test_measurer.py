"""Tests of the figures of many tenants: which tenants the record lists, how large it is, and who may publish it."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from pytest_django.fixtures import Settings
from redis import Redis

from embedded.group import Servers
from realtime import conf
from realtime.publish.reports import Reporter
from realtime.records.keys import SYSTEM_TENANT, Keys
from realtime.records.record import draft_record
from realtime.records.topics import STATS
from realtime.web.measurer import MOST_TENANTS, Measurer

TENANTS = range(1, 1001)


class ManyTenants:
    def tenants(self) -> list[int]:
        return list(TENANTS)


def figures_of_jobs(shown: list[int]) -> dict[int, dict[str, Any]]:
    queues = {queue: {"waiting": 0, "running": 1} for queue in ("ai", "video", "messaging")}
    jobs = {"code": "c" * 40, "stalled": 0, "waiting": 0, "running": 1, "oldest_waiting": None, "queues": queues}
    return {tenant: {**jobs, "stalled": int(tenant == 999)} for tenant in TENANTS} | {SYSTEM_TENANT: {"seen": shown}}


@pytest.fixture
def measurer(
    servers: Servers,
    redis: Redis,
    settings: Settings,
    forget_clients: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Measurer]:
    settings.REALTIME_REDIS_URL = servers.redis.url
    settings.REALTIME_SOURCE = f"{__name__}.ManyTenants"
    settings.REALTIME_FIGURES = f"{__name__}.figures_of_jobs"
    forget_clients()
    monkeypatch.setattr("realtime.web.measurer._ask_outbox", lambda: {"age": 0.0, "set_aside": 0})
    measurer = Measurer(redis, "this")
    yield measurer
    measurer.wait()


def report(redis: Redis, *watched: int, **connections: int) -> None:
    by_tenant = {tenant: {"websocket": 1} for tenant in TENANTS} | {42: {"websocket": 7}}
    Reporter(redis, kind="web").report({"watched": watched, "connections": by_tenant, **connections}, watching=True)


def measured(measurer: Measurer, redis: Redis, tenant_id: int = SYSTEM_TENANT) -> dict[str, Any]:
    """Measure twice. Return the data of the second record: only it has the answers of the database and the project."""
    measurer.measure()
    measurer.wait()
    measurer.measure()
    text = redis.get(Keys().status(tenant_id, STATS))
    assert isinstance(text, bytes)
    assert len(text) < 65_536
    data: dict[str, Any] = orjson.loads(text)["data"]
    return data


def test_of_a_thousand_tenants_those_that_need_a_look_are_listed_first(measurer: Measurer, redis: Redis) -> None:
    report(redis, SYSTEM_TENANT)
    data = measured(measurer, redis)
    assert (len(data["tenants"]), data["tenants_in_all"], data["feeds"]) == (MOST_TENANTS, 1000, 1000)
    assert [tenant["id"] for tenant in data["tenants"][:2]] == [999, 42]
    assert data["connections"] == {"websocket": 1006, "sse": 0, "poll": 0}
    assert data["polling_sql"] == 1006


def test_only_those_whose_figures_are_watched_get_a_record(measurer: Measurer, redis: Redis) -> None:
    report(redis, 42)
    data = measured(measurer, redis, 42)
    assert data["connections"]["websocket"] == 7
    assert data["history"]["connections"] == [7, 7]
    assert not redis.exists(Keys().feed(SYSTEM_TENANT), Keys().feed(43))


def test_the_project_is_asked_for_those_that_are_shown(measurer: Measurer, redis: Redis) -> None:
    for _ in range(20):
        report(redis, 7)
    report(redis, 8, SYSTEM_TENANT)
    asked = measured(measurer, redis)["seen"]
    assert {7, 8, 42} <= set(asked)
    assert len(asked) <= MOST_TENANTS + 2


def test_the_project_is_asked_for_idle_tenants_too_before_they_are_listed(measurer: Measurer, redis: Redis) -> None:
    fields = {"watched": [SYSTEM_TENANT], "connections": {42: {"websocket": 1}}}
    Reporter(redis, kind="web").report(fields, watching=True)
    assert measured(measurer, redis)["seen"] == [42, *range(1, 42), *range(43, 101)]


def test_a_measurer_outranks_a_record_of_the_future_and_one_that_was_ended(measurer: Measurer, redis: Redis) -> None:
    conf.publisher().publish(
        SYSTEM_TENANT, draft_record(topic=STATS, attempt=10**12, status="CANCELLED", published_at=1.0)
    )
    report(redis, SYSTEM_TENANT)
    assert measured(measurer, redis)["feeds"] == 1000
    record = conf.publisher().record(SYSTEM_TENANT, STATS)
    assert record is not None
    assert (record.attempt, record.status) == (10**12 + 1, "PROCESSING")


def test_one_process_measures_until_it_is_gone(measurer: Measurer, redis: Redis) -> None:
    report(redis, SYSTEM_TENANT)
    measured(measurer, redis)
    other = Measurer(redis, "other")
    offset = redis.hget(Keys().feed(SYSTEM_TENANT), "offset")
    other.measure()
    assert redis.hget(Keys().feed(SYSTEM_TENANT), "offset") == offset
    redis.delete(Keys().measurer())
    other.measure()
    assert redis.hget(Keys().feed(SYSTEM_TENANT), "offset") != offset
    other.wait()


def test_the_rate_of_a_tenant_counts_its_records_but_not_its_figures(measurer: Measurer, redis: Redis) -> None:
    report(redis, 42)
    assert measured(measurer, redis, 42)["records"] == 0
    conf.publisher().status(tenant_id=42, topic="job:a", attempt=1, status="PROCESSING")
    assert measured(measurer, redis, 42)["history"]["records"][-2] > 0
    assert measured(measurer, redis, 42)["history"]["records"][-2:] == [0, 0]
