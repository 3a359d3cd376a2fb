"""Tests that deliveries to many connections do not block the event loop."""

import asyncio
from typing import Any

import pytest

from realtime.feed.fan_out import AT_ONCE, FanOut

Who = Any  # stands for a subscriber: the fan-out only hands it on


@pytest.fixture
async def fan_out() -> FanOut:
    return FanOut()


async def until_idle(fan_out: FanOut) -> None:
    while fan_out.busy:
        await asyncio.sleep(0)


async def test_a_few_subscribers_are_served_at_once(fan_out: FanOut) -> None:
    told: list[Who] = []
    fan_out.queue(told.append, range(AT_ONCE))  # type: ignore[arg-type]
    assert sorted(told) == list(range(AT_ONCE))
    assert not fan_out.busy


async def test_with_many_subscribers_the_loop_runs_in_between(fan_out: FanOut) -> None:
    told: list[Who] = []
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(lambda: turns.append(len(told)))
    fan_out.queue(told.append, range(3 * AT_ONCE))  # type: ignore[arg-type]
    assert fan_out.busy
    await until_idle(fan_out)
    assert turns == [AT_ONCE]
    assert sorted(told) == list(range(3 * AT_ONCE))


async def test_many_small_deliveries_in_one_turn_do_not_block_the_loop_either(fan_out: FanOut) -> None:
    told: list[Who] = []
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(lambda: turns.append(len(told)))
    for who in range(2 * AT_ONCE):
        fan_out.queue(told.append, [who])  # type: ignore[list-item]
    await until_idle(fan_out)
    assert turns == [AT_ONCE]
    assert told == list(range(2 * AT_ONCE))


async def test_costly_deliveries_serve_fewer_subscribers_at_once(fan_out: FanOut) -> None:
    told: list[Who] = []

    def costly(who: Who) -> int:
        told.append(who)
        return 16

    fan_out.queue(costly, range(AT_ONCE))  # type: ignore[arg-type]
    assert len(told) == AT_ONCE // 16
    await until_idle(fan_out)
    assert len(told) == AT_ONCE


async def test_a_delivery_that_a_delivery_starts_comes_after_it(fan_out: FanOut) -> None:
    heard: list[str] = []

    def first(_who: Who) -> None:
        fan_out.queue(lambda _: heard.append("second"), [2])  # type: ignore[list-item]
        heard.append("first")

    fan_out.queue(first, [1])  # type: ignore[list-item]
    assert heard == ["first", "second"]


async def test_every_subscriber_gets_deliveries_in_order(fan_out: FanOut) -> None:
    heard: dict[Who, list[str]] = {}
    for what in "abc":
        fan_out.queue(lambda who, what=what: heard.setdefault(who, []).append(what), range(2 * AT_ONCE))  # type: ignore[misc,arg-type]
    await until_idle(fan_out)
    assert set(map(tuple, heard.values())) == {("a", "b", "c")}


async def test_a_subscriber_that_catches_up_gets_everything_once(fan_out: FanOut) -> None:
    heard: dict[Who, list[str]] = {}
    for what in "ab":
        fan_out.queue(lambda who, what=what: heard.setdefault(who, []).append(what), range(3 * AT_ONCE))  # type: ignore[misc,arg-type]
    last = next(who for who in range(3 * AT_ONCE) if who not in heard)
    fan_out.catch_up(last)  # type: ignore[arg-type]
    assert heard[last] == ["a", "b"]
    await until_idle(fan_out)
    assert heard[last] == ["a", "b"]


async def test_a_removed_subscriber_gets_nothing_more(fan_out: FanOut) -> None:
    told: list[Who] = []
    fan_out.queue(told.append, range(2 * AT_ONCE))  # type: ignore[arg-type]
    gone = next(who for who in range(2 * AT_ONCE) if who not in told)
    fan_out.forget(gone)  # type: ignore[arg-type]
    await until_idle(fan_out)
    assert gone not in told
    assert len(told) == 2 * AT_ONCE - 1


async def test_cleared_deliveries_reach_nobody_more(fan_out: FanOut) -> None:
    told: list[Who] = []
    fan_out.queue(told.append, range(2 * AT_ONCE))  # type: ignore[arg-type]
    fan_out.clear()
    await asyncio.sleep(0)
    assert len(told) == AT_ONCE
    assert not fan_out.busy


async def test_an_error_in_one_subscriber_does_not_stop_the_others(fan_out: FanOut) -> None:
    told: list[Who] = []

    def tell(who: Who) -> None:
        if who == 1:
            raise ValueError("a defect")
        told.append(who)

    fan_out.queue(tell, range(3))  # type: ignore[arg-type]
    fan_out.queue(told.append, [3])  # type: ignore[list-item]
    await until_idle(fan_out)
    assert sorted(told) == [0, 2, 3]
