"""Handing one thing to many connections, some hundred at a time, so that the event loop is never held for long."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

import structlog

from realtime.feed.subscriber import Subscriber

log = structlog.get_logger(__name__)

AT_ONCE = 256
"""Subscribers served before the loop runs something else: a few milliseconds."""

Deliver = Callable[[Subscriber], int | None]
"""Hands something over, and may say that this cost as much as telling so many subscribers."""


class FanOut:
    """Of one feed. What is told first arrives first at every subscriber."""

    def __init__(self, on_done: Callable[[], None] = lambda: None) -> None:
        """`on_done` is called each time when everybody was told everything."""
        self._on_done = on_done
        self._queue: deque[tuple[Deliver, set[Subscriber]]] = deque()
        self._left = AT_ONCE
        self._working = self._scheduled = False

    @property
    def busy(self) -> bool:
        """Whether somebody still has to be told something."""
        return bool(self._queue)

    def tell(self, deliver: Deliver, subscribers: Iterable[Subscriber]) -> None:
        """Calls `deliver` for each of them: at once for the first, the others when the loop comes round again."""
        self._queue.append((deliver, set(subscribers)))
        self._work()

    def catch_up(self, subscriber: Subscriber) -> None:
        """Deliver to this subscriber at once whatever is queued for it, because something else must follow."""
        for deliver, waiting in self._queue:
            if subscriber in waiting:
                waiting.discard(subscriber)
                deliver(subscriber)

    def forget(self, subscriber: Subscriber) -> None:
        """One that is gone need not be told."""
        for _deliver, waiting in self._queue:
            waiting.discard(subscriber)

    def clear(self) -> None:
        """Drop queued work: a newer snapshot replaces it."""
        self._queue.clear()

    def _work(self) -> None:
        """As much as is left for this turn of the loop, however many things are told in it."""
        if self._working:  # told by one who is being told something: in its turn
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
    """What it cost, in subscribers. A defect at one of them must not keep it from all others."""
    try:
        return deliver(subscriber) or 1
    except Exception:
        log.exception("delivery_failed")
        return 1
