"""Calls many connections at their times, with one timer of the event loop for all of them."""

import asyncio
import math
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

SLOT_SECONDS = 0.05
"""The length of a slot. All calls whose times are in one slot are made together, at its end."""
AT_ONCE = 256
"""How many calls are made before the event loop may run something else."""


class Timed(Protocol):
    """Something that has to be called at a certain time."""

    def on_time(self) -> None: ...


class TimerWheel:
    """The times at which objects are called. An entry needs less memory than a timer of asyncio."""

    def __init__(self) -> None:
        self._slots: dict[int, set[Timed]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf
        """The slot for which the timer is set."""

    def set(self, timed: Timed, at: float) -> int:
        """Call `timed.on_time` once, soon after this time of the event loop's clock. Return the slot, for `cancel`."""
        slot = math.floor(at / SLOT_SECONDS) + 1
        self._slots.setdefault(slot, set()).add(timed)
        if slot < self._next:
            self._set_timer(slot)
        return slot

    def cancel(self, timed: Timed, slot: int) -> None:
        """Do not call this object any more. Do nothing if it was called already."""
        waiting = self._slots.get(slot)
        if waiting is not None:
            waiting.discard(timed)
            if not waiting:
                del self._slots[slot]

    def _set_timer(self, slot: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = slot
        self._timer = asyncio.get_running_loop().call_at(slot * SLOT_SECONDS, self._turn)

    def _turn(self) -> None:
        """Call the objects whose time has come, at most `AT_ONCE`, and set the timer for the next ones."""
        self._timer, self._next = None, math.inf
        now = asyncio.get_running_loop().time() / SLOT_SECONDS
        left = AT_ONCE
        for slot in sorted(slot for slot in self._slots if slot <= now):
            # Look the slot up before each call, because a call may cancel others and set new ones.
            while left and (waiting := self._slots.get(slot)):
                left -= 1
                _call(waiting.pop())
            if self._slots.get(slot):
                break
            self._slots.pop(slot, None)
        if self._slots:
            first = min(self._slots)
            if first < self._next:
                self._set_timer(first)


def _call(timed: Timed) -> None:
    """Call one object. An error must not keep the others from being called."""
    try:
        timed.on_time()
    except Exception:
        log.exception("timer_failed")
