"""So many messages a minute for each academy, over all workers, and the same while Redis is away."""

import time
from secrets import token_hex

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError  # noqa: A004 - as Redis calls it
from redis.retry import Retry

from academy.adapters.messages.rate import LocalBuckets, MessageRate

NOWHERE: Redis = Redis(port=1, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))


def rate(redis: Redis, prefix: str, per_minute: int) -> MessageRate:
    return MessageRate(redis, prefix, per_minute)


@pytest.fixture
def prefix() -> str:
    return f"{token_hex(6)}:"


def taken_within(seconds: float, *rates: MessageRate, tenant_id: int = 7) -> int:
    taken, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        for one in rates:
            wait = one.take(tenant_id)
            taken += wait == 0
    return taken


def test_a_bucket_holds_what_may_leave_in_a_second(redis: Redis, prefix: str) -> None:
    one = rate(redis, prefix, 300)
    assert [one.take(7) for _ in range(5)] == [0.0] * 5
    assert 0 < one.take(7) <= 0.2


def test_one_that_may_leave_each_minute_may_leave_at_once(redis: Redis, prefix: str) -> None:
    one = rate(redis, prefix, 1)
    assert one.take(7) == 0
    assert one.take(7) == pytest.approx(60, abs=1)


def test_two_workers_together_keep_to_the_rate(redis: Redis, prefix: str) -> None:
    taken = taken_within(1.0, rate(redis, prefix, 1200), rate(redis, prefix, 1200))
    assert 36 <= taken <= 42  # 20 at once, and 20 in the second


def test_after_the_seconds_that_were_told_there_is_one(redis: Redis, prefix: str) -> None:
    one = rate(redis, prefix, 600)
    while not (wait := one.take(7)):
        pass
    time.sleep(wait)
    assert one.take(7) == 0


def test_academies_do_not_take_from_each_other(redis: Redis, prefix: str) -> None:
    one = rate(redis, prefix, 1)
    assert [one.take(tenant_id) for tenant_id in (7, 8)] == [0.0, 0.0]


def test_a_bucket_that_is_full_again_is_forgotten(redis: Redis, prefix: str) -> None:
    rate(redis, prefix, 600).take(7)
    (key,) = redis.keys(f"{prefix}*")
    assert key == f"{prefix}worker:messaging:rate:7".encode()
    assert 0 < redis.pttl(key) <= 2000


def test_a_process_without_redis_keeps_to_the_rate_by_itself(prefix: str) -> None:
    taken = taken_within(1.0, rate(NOWHERE, prefix, 1200))
    assert 36 <= taken <= 42


def test_redis_that_is_away_is_not_asked_for_each_message(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    one = rate(NOWHERE, prefix, 60_000)

    def ask(*_words: object) -> float:
        asked.append(1)
        raise ConnectionError

    monkeypatch.setattr(one, "_script", ask)
    assert [one.take(7) for _ in range(50)] == [0.0] * 50
    assert asked == [1]


def test_buckets_of_a_process_are_each_academys_own() -> None:
    buckets = LocalBuckets(rate=0.1, most=1)
    assert (buckets.take(7), buckets.take(8)) == (0.0, 0.0)
    assert buckets.take(7) == pytest.approx(10, abs=0.1)
