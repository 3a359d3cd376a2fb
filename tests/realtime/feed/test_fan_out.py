"""Tests that deliveries to many connections do not block the event loop."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from realtime.feed.fan_out import Deliver, FanOut
from realtime.feed.rounds import AT_ONCE, Rounds

Who = Any  # stands for a subscriber: the fan-out only hands it on


@pytest.fixture
async def fan_out() -> FanOut:
    return FanOut(Rounds())


def each(tell: Callable[[Who], object]) -> Deliver:
    """Return a delivery that calls `tell` for each subscriber."""

    def deliver(subscribers: Iterator[Who]) -> None:
        for who in subscribers:
            tell(who)

    return deliver


def tell(heard: dict[Who, list[str]], what: str) -> Deliver:
    """Return a delivery that notes for each subscriber what it was told."""
    return each(lambda who: heard.setdefault(who, []).append(what))


def some(number: int) -> Sequence[Who]:
    return range(number)


def only(who: Who) -> Sequence[Who]:
    return [who]


async def until_idle(fan_out: FanOut) -> None:
    while fan_out.busy:
        await asyncio.sleep(0)


async def test_a_few_subscribers_are_served_at_once(fan_out: FanOut) -> None:
    told: list[Who] = []
    fan_out.queue(each(told.append), some(AT_ONCE))
    assert sorted(told) == list(range(AT_ONCE))
    assert not fan_out.busy


async def test_with_many_subscribers_the_loop_runs_in_between(fan_out: FanOut) -> None:
    told: list[Who] = []
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(lambda: turns.append(len(told)))
    fan_out.queue(each(told.append), some(3 * AT_ONCE))
    assert fan_out.busy
    await until_idle(fan_out)
    assert turns == [AT_ONCE]
    assert sorted(told) == list(range(3 * AT_ONCE))


async def test_many_small_deliveries_in_one_turn_do_not_block_the_loop_either(fan_out: FanOut) -> None:
    told: list[Who] = []
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(lambda: turns.append(len(told)))
    for who in range(2 * AT_ONCE):
        fan_out.queue(each(told.append), only(who))
    await until_idle(fan_out)
    assert turns == [AT_ONCE]
    assert told == list(range(2 * AT_ONCE))


async def test_costly_deliveries_serve_fewer_subscribers_at_once(fan_out: FanOut) -> None:
    told: list[Who] = []

    def costly(subscribers: Iterator[Who]) -> int:
        told.extend(subscribers)
        return 15

    for who in range(AT_ONCE):
        fan_out.queue(costly, only(who))
    assert len(told) == AT_ONCE // 16
    await until_idle(fan_out)
    assert len(told) == AT_ONCE


async def test_a_delivery_that_a_delivery_starts_comes_after_it(fan_out: FanOut) -> None:
    heard: list[str] = []

    def first(_who: Who) -> None:
        fan_out.queue(each(lambda _: heard.append("second")), only(2))
        heard.append("first")

    fan_out.queue(each(first), only(1))
    assert heard == ["first", "second"]


async def test_every_subscriber_gets_deliveries_in_order(fan_out: FanOut) -> None:
    heard: dict[Who, list[str]] = {}
    for what in "abc":
        fan_out.queue(tell(heard, what), some(2 * AT_ONCE))
    await until_idle(fan_out)
    assert set(map(tuple, heard.values())) == {("a", "b", "c")}


async def test_a_subscriber_that_catches_up_gets_everything_once(fan_out: FanOut) -> None:
    heard: dict[Who, list[str]] = {}
    for what in "ab":
        fan_out.queue(tell(heard, what), some(3 * AT_ONCE))
    last: Who = next(who for who in range(3 * AT_ONCE) if who not in heard)
    fan_out.catch_up(last)
    assert heard[last] == ["a", "b"]
    await until_idle(fan_out)
    assert heard[last] == ["a", "b"]


async def test_a_removed_subscriber_gets_nothing_more(fan_out: FanOut) -> None:
    told: list[Who] = []
    fan_out.queue(each(told.append), some(2 * AT_ONCE))
    gone: Who = next(who for who in range(2 * AT_ONCE) if who not in told)
    fan_out.forget(gone)
    await until_idle(fan_out)
    assert gone not in told
    assert len(told) == 2 * AT_ONCE - 1


async def test_cleared_deliveries_reach_nobody_more(fan_out: FanOut) -> None:
    told: list[Who] = []
    fan_out.queue(each(told.append), some(2 * AT_ONCE))
    fan_out.clear()
    await asyncio.sleep(0)
    assert len(told) == AT_ONCE
    assert not fan_out.busy


async def test_an_error_in_one_subscriber_does_not_stop_the_others(fan_out: FanOut) -> None:
    told: list[Who] = []

    def fail_at_one(who: Who) -> None:
        if who == 1:
            raise ValueError("a defect")
        told.append(who)

    fan_out.queue(each(fail_at_one), some(3))
    fan_out.queue(each(told.append), only(3))
    await until_idle(fan_out)
    assert sorted(told) == [0, 2, 3]


async def test_a_delivery_that_fails_before_its_first_subscriber_does_not_stop_the_others(fan_out: FanOut) -> None:
    told: list[Who] = []

    def broken(_subscribers: Iterator[Who]) -> None:
        raise ValueError("a defect")

    fan_out.queue(broken, some(3))
    fan_out.queue(each(told.append), only(3))
    assert told == [3]


async def test_a_subscriber_that_leaves_during_a_delivery_gets_nothing_more(fan_out: FanOut) -> None:
    told: list[Who] = []

    def leave(who: Who) -> None:
        told.append(who)
        fan_out.forget(who + 1)

    fan_out.queue(each(leave), some(6))
    assert told == [0, 2, 4]


async def test_what_is_requested_during_a_pass_begins_after_it() -> None:
    heard: list[str] = []
    fan_out = FanOut(Rounds(), lambda: [(each(lambda _: heard.append("pass")), only(1))])
    fan_out.queue(each(lambda _: heard.append("queued")), some(2 * AT_ONCE))
    for _ in range(3):
        fan_out.request()
    assert "pass" not in heard
    while fan_out.waiting:
        await asyncio.sleep(0)
    assert heard == [*["queued"] * 2 * AT_ONCE, "pass"]


async def test_a_pass_is_urgent_from_the_request_until_it_has_ended() -> None:
    fan_out = FanOut(Rounds(), lambda: [(each(lambda _: None), some(2 * AT_ONCE))])
    urgent: list[bool] = []
    for is_urgent in (False, True):
        fan_out.request(urgent=is_urgent)
        urgent.append(fan_out.urgent)
        while fan_out.waiting:
            await asyncio.sleep(0)
        urgent.append(fan_out.urgent)
    assert urgent == [False, False, True, False]


async def test_an_urgent_request_during_a_pass_makes_both_passes_urgent() -> None:
    fan_out = FanOut(Rounds(), lambda: [(each(lambda _: None), some(2 * AT_ONCE))])
    urgent: list[bool] = []
    fan_out.request()
    fan_out.request(urgent=True)
    while fan_out.waiting:
        urgent.append(fan_out.urgent)
        await asyncio.sleep(0)
    assert urgent
    assert all(urgent)
    assert not fan_out.urgent
