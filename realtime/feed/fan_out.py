"""Delivers something to many connections, at most 256 at a time, so that the event loop is never blocked for long."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

import structlog

from realtime.feed.subscriber import Subscriber

log = structlog.get_logger(__name__)

AT_ONCE = 256
"""How many subscribers are served before the event loop may run something else. Serving them takes a few ms."""

Deliver = Callable[[Subscriber], int | None]
"""Delivers something to one subscriber. May return the cost: how many usual deliveries take as long (None: 1)."""


class FanOut:
    """The deliveries of one feed. Each subscriber receives its deliveries in the order in which they were queued."""

    def __init__(self, on_done: Callable[[], None] = lambda: None) -> None:
        """`on_done` is called each time the queue becomes empty."""
        self._on_done = on_done
        self._queue: deque[tuple[Deliver, set[Subscriber]]] = deque()
        self._left = AT_ONCE
        self._working = self._scheduled = False

    @property
    def busy(self) -> bool:
        """Whether a delivery is still queued."""
        return bool(self._queue)

    def queue(self, deliver: Deliver, subscribers: Iterable[Subscriber]) -> None:
        """Call `deliver` for each subscriber: for some of them now, for the rest in later turns of the event loop."""
        self._queue.append((deliver, set(subscribers)))
        self._work()

    def catch_up(self, subscriber: Subscriber) -> None:
        """Deliver at once everything that is queued for this subscriber, so that the caller's next frame comes last."""
        for deliver, waiting in self._queue:
            if subscriber in waiting:
                waiting.discard(subscriber)
                deliver(subscriber)

    def forget(self, subscriber: Subscriber) -> None:
        """Remove a subscriber, whose connection has ended, from all queued deliveries."""
        for _deliver, waiting in self._queue:
            waiting.discard(subscriber)

    def clear(self) -> None:
        """Drop all queued deliveries: a newer snapshot replaces them."""
        self._queue.clear()

    def _work(self) -> None:
        """Deliver until the queue is empty, or `AT_ONCE` subscribers were served in this turn of the event loop."""
        if self._working:  # called from within a delivery: the loop below is running and will continue with the queue
            return
        self._working = True
        while self._queue and self._left > 0:
            deliver, waiting = self._queue[0]
            while waiting and self._left > 0:
                self._left -= _hand_over(deliver, waiting.pop())
            if not waiting and self._queue and self._queue[0][1] is waiting:
                self._queue.popleft()
        self._working = False
        if not self._queue:
            self._on_done()
        if not self._scheduled and self._left < AT_ONCE:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self._left = AT_ONCE
        if self._queue:
            self._work()


def _hand_over(deliver: Deliver, subscriber: Subscriber) -> int:
    """Deliver to one subscriber, and return the cost. An error at one subscriber must not affect the others."""
    try:
        return deliver(subscriber) or 1
    except Exception:
        log.exception("delivery_failed")
        return 1
