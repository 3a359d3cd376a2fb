"""The limit of messages per minute: for each academy over all workers, or in each process while Redis is down."""

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


def test_a_bucket_holds_the_messages_of_one_second(redis: Redis, prefix: str) -> None:
    one = rate(redis, prefix, 300)
    assert [one.take(7) for _ in range(5)] == [0.0] * 5
    assert 0 < one.take(7) <= 0.2


def test_at_one_message_a_minute_the_first_leaves_at_once(redis: Redis, prefix: str) -> None:
    one = rate(redis, prefix, 1)
    assert one.take(7) == 0
    assert one.take(7) == pytest.approx(60, abs=1)


def test_two_workers_together_obey_the_rate(redis: Redis, prefix: str) -> None:
    taken = taken_within(1.0, rate(redis, prefix, 1200), rate(redis, prefix, 1200))
    assert 36 <= taken <= 42  # 20 at once, and 20 more during the second


def test_after_the_returned_wait_a_message_may_leave(redis: Redis, prefix: str) -> None:
    one = rate(redis, prefix, 600)
    while not (wait := one.take(7)):
        pass
    time.sleep(wait)
    assert one.take(7) == 0


def test_each_academy_has_its_own_bucket(redis: Redis, prefix: str) -> None:
    one = rate(redis, prefix, 1)
    assert [one.take(tenant_id) for tenant_id in (7, 8)] == [0.0, 0.0]


def test_a_full_bucket_is_deleted_from_redis(redis: Redis, prefix: str) -> None:
    rate(redis, prefix, 600).take(7)
    (key,) = redis.keys(f"{prefix}*")
    assert key == f"{prefix}worker:messaging:rate:7".encode()
    assert 0 < redis.pttl(key) <= 2000


def test_a_process_without_redis_obeys_the_rate_by_itself(prefix: str) -> None:
    taken = taken_within(1.0, rate(NOWHERE, prefix, 1200))
    assert 36 <= taken <= 42


def test_an_unreachable_redis_is_not_called_for_each_message(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    one = rate(NOWHERE, prefix, 60_000)

    def fail(*_words: object) -> float:
        calls.append(1)
        raise ConnectionError

    monkeypatch.setattr(one, "_script", fail)
    assert [one.take(7) for _ in range(50)] == [0.0] * 50
    assert calls == [1]


def test_without_redis_each_academy_has_its_own_bucket() -> None:
    buckets = LocalBuckets(rate=0.1, most=1)
    assert (buckets.take(7), buckets.take(8)) == (0.0, 0.0)
    assert buckets.take(7) == pytest.approx(10, abs=0.1)
