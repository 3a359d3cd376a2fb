"""Tests of the limits on signing in: what is counted, and that users can sign in during an outage of Redis."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from pytest_django import Settings
from redis import Redis
from rest_framework.exceptions import Throttled

from apps.core import throttling
from apps.core.throttling import Attempt, Counters, count_attempt, network_of
from embedded.redis import RedisServer


@pytest.fixture
def counted_in(own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """Empty a Redis, make the throttling keep its counters there, and yield a client of this Redis."""
    client: Redis = Redis.from_url(own_redis.url, socket_timeout=60)
    client.flushall()
    counters = Counters(client)
    monkeypatch.setattr(throttling, "_counters", lambda: counters)
    yield client
    client.close()


def attempt(address: str = "192.0.2.1", account: str = "kim", tenant: str = "hanbit") -> Attempt:
    return count_attempt("sign-in", address=address, tenant=tenant, account=account)


def count_until_refused(most: int = 10_000, **given: str) -> int:
    for number in range(most):
        try:
            attempt(**{name: value.format(number) for name, value in given.items()})
        except Throttled as refusal:
            assert 0 < vars(refusal)["wait"] <= 60
            return number
    return most


def test_an_account_has_ten_failures_a_minute_at_one_address(counted_in: Redis) -> None:
    assert count_until_refused() == 10
    attempt(account="lee")
    attempt(address="192.0.2.2")


def test_the_refusal_is_one_sentence_with_the_seconds_to_wait(counted_in: Redis) -> None:
    count_until_refused()
    with pytest.raises(Throttled) as refused:
        attempt()
    wait = vars(refused.value)["wait"]
    assert str(refused.value.detail) == f"Too many attempts to sign in: wait {wait} s, then try again."


def test_an_address_has_its_limit_over_all_accounts(counted_in: Redis, settings: Settings) -> None:
    settings.SIGN_IN_ADDRESS_LIMIT = 20
    assert count_until_refused(account="account {}", tenant="academy {}") == 20
    attempt(address="192.0.2.2")


def test_an_account_has_its_limit_over_all_addresses(counted_in: Redis, settings: Settings) -> None:
    settings.SIGN_IN_ACCOUNT_LIMIT = 15
    assert count_until_refused(address="192.0.2.{}") == 15
    attempt(account="lee")
    attempt(tenant="saebom")


def test_an_academy_has_its_limit_over_all_accounts(counted_in: Redis, settings: Settings) -> None:
    settings.SIGN_IN_TENANT_LIMIT = 25
    assert count_until_refused(address="192.0.2.{}", account="account {}") == 25
    attempt(tenant="saebom")


def test_successes_count_half(counted_in: Redis) -> None:
    for _ in range(19):
        attempt().succeeded()
    with pytest.raises(Throttled):
        attempt()


def test_refused_attempts_that_were_not_checked_do_not_count(counted_in: Redis) -> None:
    for _ in range(50):
        attempt().withdraw()


def test_a_stranger_elsewhere_does_not_lock_the_owner_out(counted_in: Redis, settings: Settings) -> None:
    settings.SIGN_IN_ACCOUNT_LIMIT = settings.SIGN_IN_TENANT_LIMIT = 12
    attempt(address="198.51.100.7").succeeded()
    count_until_refused(address="192.0.2.{}")
    with pytest.raises(Throttled):
        attempt(address="203.0.113.9")
    mine = attempt(address="198.51.100.7")
    assert mine.known
    assert count_until_refused(address="198.51.100.7") == 8  # attempts from the known address are limited, too


def test_a_refused_attempt_does_not_prolong_the_wait(counted_in: Redis) -> None:
    count_until_refused()
    before = {key: counted_in.get(key) for key in counted_in.scan_iter()}
    count_until_refused()
    assert {key: counted_in.get(key) for key in counted_in.scan_iter()} == before


def test_every_key_expires_and_names_no_account(counted_in: Redis) -> None:
    attempt(account="kim-minsu").succeeded()
    keys = [key.decode() for key in counted_in.scan_iter()]
    assert len(keys) == 5
    assert all(counted_in.ttl(key) > 0 for key in keys)
    assert not any("kim-minsu" in key for key in keys)


REFUSALS = {
    "its memory is full": {"maxmemory": "1", "maxmemory-policy": "noeviction"},
    "its replicas are gone": {"min-replicas-to-write": "1"},
}


@pytest.mark.parametrize("reason", [*REFUSALS, "it is a replica", "it is away"])
def test_the_limits_apply_while_redis_refuses_writes(counted_in: Redis, own_redis: RedisServer, reason: str) -> None:
    before = {name: str(counted_in.config_get(name)[name]) for changes in REFUSALS.values() for name in changes}
    account = str(uuid4())
    for _ in range(4):
        attempt(account=account)
    try:
        for name, value in REFUSALS.get(reason, {}).items():
            counted_in.config_set(name, value)
        if reason == "it is a replica":
            counted_in.slaveof("127.0.0.1", 1)
        if reason == "it is away":
            own_redis.stop()
        assert count_until_refused(account=account) == 6
    finally:
        if reason == "it is away":
            own_redis.start()
            own_redis.wait_ready()
        counted_in.slaveof()
        for name, value in before.items():
            counted_in.config_set(name, value)


def test_a_known_address_stays_known_while_redis_is_away(counted_in: Redis, settings: Settings) -> None:
    settings.SIGN_IN_ACCOUNT_LIMIT = 12
    attempt(address="198.51.100.7").succeeded()
    counted_in.config_set("min-replicas-to-write", "1")
    try:
        count_until_refused(address="192.0.2.{}")
        assert attempt(address="198.51.100.7").known
    finally:
        counted_in.config_set("min-replicas-to-write", "0")


def test_the_memory_of_a_process_is_bounded(counted_in: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "MAX_REMEMBERED", 40)
    counters = throttling.MemoryCounters()
    for number in range(1000):
        keys = [f"{name} {number}" for name in range(5)]
        counters.take(keys, [20] * 4)
        counters.give(keys, 1, 60)
    assert len(counters._units) == len(counters._known) == 40


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
    ],
)
def test_a_64_network_of_ipv6_counts_as_one_address(address: str, counted: str) -> None:
    assert network_of(address) == counted


def test_an_invalid_address_is_counted_too() -> None:
    assert network_of("") == network_of("")
    assert len(network_of("x" * 5000)) == 32
