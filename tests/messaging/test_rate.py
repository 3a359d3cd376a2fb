"""Tests each academy's limit of messages per minute.

All workers share it. While Redis is down, each process applies it by itself.
"""

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


def obey(per_minute: int, *rates: MessageRate) -> bool:
    """Take as many tokens as are added in two seconds. Return whether this took 0.9 to 1.1 seconds.

    The bucket is full at the beginning, so half of the tokens are there already. Pauses of a busy machine do not count
    towards the 1.1 seconds.
    """
    number = 2 * per_minute // 60
    since = last = time.monotonic()
    taken, paused = 0, 0.0
    while taken < number:
        taken += sum(one.take(7) == 0 for one in rates)
        now = time.monotonic()
        paused += now - last if now - last > 0.05 else 0.0
        last = now
    return last - since >= 0.9 and last - since - paused <= 1.1


def test_a_bucket_holds_the_messages_of_one_second(redis: Redis, prefix: str) -> None:
    one = rate(redis, prefix, 300)
    taken_at = time.monotonic()
    assert [one.take(7) for _ in range(5)] == [0.0] * 5
    wait = one.take(7)
    assert wait <= 0.2
    assert wait > 0 or time.monotonic() - taken_at >= 0.2  # the busy machine gave the bucket time for another token


def test_at_one_message_a_minute_the_first_leaves_at_once(redis: Redis, prefix: str) -> None:
    one = rate(redis, prefix, 1)
    taken_at = time.monotonic()
    assert one.take(7) == 0
    wait = one.take(7)
    assert 59 - (time.monotonic() - taken_at) <= wait <= 60


def test_two_workers_together_obey_the_rate(redis: Redis, prefix: str) -> None:
    assert obey(1200, rate(redis, prefix, 1200), rate(redis, prefix, 1200))


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
    rate(redis, prefix, 1).take(7)
    (key,) = redis.keys(f"{prefix}*")
    assert key == f"{prefix}worker:messaging:rate:7".encode()
    assert 0 < redis.pttl(key) <= 61_000


def test_a_process_without_redis_obeys_the_rate_by_itself(prefix: str) -> None:
    assert obey(1200, rate(NOWHERE, prefix, 1200))


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
    taken_at = time.monotonic()
    assert (buckets.take(7), buckets.take(8)) == (0.0, 0.0)
    wait = buckets.take(7)
    assert 9.9 - (time.monotonic() - taken_at) <= wait <= 10
