"""Tests of coroutines that run until their first wait, and then continue in a task."""

import asyncio

import pytest

from realtime.web.eager_start import start


async def test_a_coroutine_that_does_not_wait_ends_at_once() -> None:
    done: list[int] = []

    async def quick() -> None:
        done.append(1)

    assert start(quick()) is None
    assert done == [1]


async def test_a_coroutine_that_waits_continues_in_a_task_through_any_number_of_waits() -> None:
    steps: list[int] = []
    gates = [asyncio.Event() for _ in range(3)]

    async def slow() -> None:
        for number, gate in enumerate(gates):
            await gate.wait()
            steps.append(number)
            await asyncio.sleep(0)

    gates[0].set()
    rest = start(slow())
    assert rest is not None
    assert steps == [0]
    task = asyncio.ensure_future(rest)
    for gate in gates:
        gate.set()
    await task
    assert steps == [0, 1, 2]


async def test_errors_before_and_after_the_first_wait_reach_the_caller() -> None:
    async def wrong(gate: asyncio.Event) -> None:
        await gate.wait()
        raise ValueError("wrong")

    open_gate, gate = asyncio.Event(), asyncio.Event()
    open_gate.set()
    with pytest.raises(ValueError, match="wrong"):
        start(wrong(open_gate))
    rest = start(wrong(gate))
    assert rest is not None
    gate.set()
    with pytest.raises(ValueError, match="wrong"):
        await rest


async def test_cancelling_the_task_cancels_the_coroutine() -> None:
    cleaned: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("cleaned")

    rest = start(waits())
    assert rest is not None
    task = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == ["cleaned"]
