"""Tests of the slots of a fleet: they limit the jobs of all processes together, even if processes die."""

import threading
from secrets import token_hex
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from apps.worker.fleet import LAST_ATTEMPTS, FleetSlots

LONG = 600.0


@pytest.fixture
def key() -> str:
    return f"slots-{token_hex(6)}"


def fleet(redis: Redis, key: str, *, most: int = 2, seconds: float = LONG) -> FleetSlots:
    return FleetSlots(redis, key, most, seconds)


def test_two_processes_together_never_hold_more_slots_than_the_fleet_has(redis: Redis, key: str) -> None:
    one, two = fleet(redis, key), fleet(redis, key)
    first, second = one.take(), two.take()
    assert first
    assert second
    assert one.take() is None
    assert two.take() is None
    one.give(first)
    assert two.take() is not None
    assert one.take() is None


def test_of_many_requests_at_once_exactly_as_many_get_slots_as_there_are(redis: Redis, key: str) -> None:
    granted: list[str] = []
    start = threading.Barrier(10)

    def take_slot() -> None:
        slots = fleet(redis, key, most=3)
        start.wait()
        if token := slots.take():
            granted.append(token)

    threads = [threading.Thread(target=take_slot) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 3


def test_the_slot_of_a_process_that_died_is_free_when_its_lease_is_over(redis: Redis, key: str) -> None:
    dead, alive = fleet(redis, key, most=1, seconds=0.05), fleet(redis, key, most=1)
    assert dead.take()
    while alive.take() is None:
        assert redis.zcard(key) <= 1
    assert redis.zcard(key) == 1


def test_a_renewed_slot_outlives_its_first_lease_and_a_lost_one_is_counted_again(redis: Redis, key: str) -> None:
    slots = fleet(redis, key, most=1)
    token = slots.take()
    redis.delete(key)  # as if Redis had lost its data
    slots.renew()
    assert fleet(redis, key, most=1).take() is None
    assert token is not None
    slots.give(token)
    assert redis.zcard(key) == 0


def test_a_process_that_ends_gives_all_its_slots_back_and_no_others(redis: Redis, key: str) -> None:
    ending, other = fleet(redis, key, most=3), fleet(redis, key, most=3)
    assert all([ending.take(), ending.take(), other.take()])
    ending.give_all()
    assert redis.zcard(key) == 1


def test_a_slot_that_is_given_back_while_the_leases_are_renewed_is_free(
    redis: Redis, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = fleet(redis, key, most=1)
    token = slots.take()
    assert token is not None
    script = slots._renew_script

    def give_it_back_and_renew(*arguments: Any) -> Any:
        slots.give(token)
        return script(*arguments)

    monkeypatch.setattr(slots, "_renew_script", give_it_back_and_renew)
    slots.renew()
    assert redis.zcard(key) == 0


def test_a_slot_that_is_taken_while_the_process_ends_is_free(
    redis: Redis, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = fleet(redis, key)
    script = slots._take_script

    def take_it_and_end(*arguments: Any) -> Any:
        granted = script(*arguments)
        slots.give_all()
        return granted

    monkeypatch.setattr(slots, "_take_script", take_it_and_end)
    assert slots.take() is None
    assert redis.zcard(key) == 0


def away(redis: Redis, monkeypatch: pytest.MonkeyPatch, answers: int) -> None:
    """Let the first `answers` commands that give a slot back fail, as if Redis answered too late."""
    zrem, failures = redis.zrem, iter(range(answers))

    def answer_late(*arguments: Any) -> Any:
        if next(failures, None) is not None:
            raise RedisTimeoutError("Timeout reading from socket")
        return zrem(*arguments)

    monkeypatch.setattr(redis, "zrem", answer_late)


def test_a_slot_that_could_not_be_given_back_is_given_back_at_the_next_renewal(
    redis: Redis, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = fleet(redis, key)
    kept, given = slots.take(), slots.take()
    assert kept
    assert given
    away(redis, monkeypatch, 1)
    slots.give(given)
    assert redis.zcard(key) == 2
    slots.renew()
    assert redis.zrange(key, 0, -1) == [kept.encode()]


def test_a_process_that_ends_while_redis_answers_late_tries_again(
    redis: Redis, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = fleet(redis, key)
    assert slots.take()
    away(redis, monkeypatch, LAST_ATTEMPTS - 1)
    slots.give_all()
    assert redis.zcard(key) == 0


def test_a_process_that_ends_gives_up_when_redis_does_not_answer(
    redis: Redis, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = fleet(redis, key)
    assert slots.take()
    away(redis, monkeypatch, LAST_ATTEMPTS)
    slots.give_all()
    assert redis.zcard(key) == 1


def test_while_redis_is_away_work_continues() -> None:
    nowhere: Redis = Redis(port=1, socket_connect_timeout=0.2)
    slots = fleet(nowhere, "slots")
    token = slots.take()
    assert token is not None
    slots.renew()
    slots.give(token)
