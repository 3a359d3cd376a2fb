"""Tests that each object is called once, soon after its time, however many there are."""

import asyncio
from collections.abc import Callable

from structlog.testing import capture_logs

from realtime.connect.timer_wheel import AT_ONCE, SLOT_SECONDS, TimerWheel


class Noted:
    """An object that notes when it is called. `then` runs at each call."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.called: list[float] = []
        self._then = then

    def on_time(self) -> None:
        self.called.append(asyncio.get_running_loop().time())
        self._then()


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0)


async def test_each_object_is_called_once_and_never_too_early() -> None:
    wheel, now = TimerWheel(), asyncio.get_running_loop().time()
    times = [now + SLOT_SECONDS * slots for slots in (3, 1, 2, 1, 0, -5)]
    timed = [Noted() for _ in times]
    for each, at in zip(timed, times, strict=True):
        wheel.set(each, at)
    await until(lambda: all(each.called for each in timed))
    assert [len(each.called) for each in timed] == [1] * len(timed)
    assert all(each.called[0] >= at for each, at in zip(timed, times, strict=True))
    first, last = timed[5].called[0], timed[0].called[0]
    assert first <= timed[1].called[0] <= timed[2].called[0] <= last


async def test_an_object_that_was_cancelled_is_not_called() -> None:
    wheel, now = TimerWheel(), asyncio.get_running_loop().time()
    cancelled, other = Noted(), Noted()
    wheel.cancel(cancelled, wheel.set(cancelled, now))
    wheel.set(other, now + SLOT_SECONDS)
    await until(lambda: other.called)
    assert not cancelled.called


async def test_cancelling_after_the_call_does_nothing() -> None:
    wheel = TimerWheel()
    timed = Noted()
    slot = wheel.set(timed, asyncio.get_running_loop().time())
    await until(lambda: timed.called)
    wheel.cancel(timed, slot)
    assert len(timed.called) == 1


async def test_an_object_can_be_set_again_while_it_is_called() -> None:
    wheel = TimerWheel()
    timed = Noted()
    timed._then = lambda: len(timed.called) < 3 and wheel.set(timed, timed.called[-1])
    wheel.set(timed, asyncio.get_running_loop().time())
    await until(lambda: len(timed.called) == 3)


async def test_an_earlier_time_than_those_before_is_kept() -> None:
    wheel, now = TimerWheel(), asyncio.get_running_loop().time()
    late, early = Noted(), Noted()
    wheel.set(late, now + 3600)
    wheel.set(early, now)
    await until(lambda: early.called)
    assert not late.called


async def test_other_work_goes_on_while_many_objects_are_called() -> None:
    wheel = TimerWheel()
    timed = [Noted() for _ in range(2 * AT_ONCE + 1)]
    at = asyncio.get_running_loop().time()
    for each in timed:
        wheel.set(each, at)
    await until(lambda: timed and any(each.called for each in timed))
    assert sum(bool(each.called) for each in timed) == AT_ONCE
    await until(lambda: all(each.called for each in timed))


async def test_an_error_of_one_object_does_not_stop_the_others() -> None:
    def fail() -> None:
        raise ValueError("a bug")

    wheel, now = TimerWheel(), asyncio.get_running_loop().time()
    failing, others = Noted(fail), [Noted(), Noted()]
    with capture_logs() as logs:
        for each in (failing, *others):
            wheel.set(each, now)
        await until(lambda: all(each.called for each in (failing, *others)))
    assert [line["event"] for line in logs] == ["timer_failed"]


async def test_a_call_may_cancel_the_only_object_of_another_slot_and_set_a_new_one() -> None:
    wheel, now = TimerWheel(), asyncio.get_running_loop().time()
    cancelled, new, last = Noted(), Noted(), Noted()

    def cancel_and_set() -> None:
        wheel.cancel(cancelled, slot)
        wheel.set(new, now - SLOT_SECONDS)

    with capture_logs() as logs:
        slot = wheel.set(cancelled, now - SLOT_SECONDS)
        wheel.set(Noted(cancel_and_set), now - 2 * SLOT_SECONDS)
        wheel.set(last, now)
        await until(lambda: new.called and last.called)
    assert not cancelled.called
    assert logs == []
