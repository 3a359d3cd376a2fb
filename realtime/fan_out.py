"""Handing one thing to many connections, some hundred at a time, so that the event loop is never held for long."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from realtime.subscriber import Subscriber

AT_ONCE = 256
"""Subscribers served before the loop runs something else: a few milliseconds."""

Deliver = Callable[[Subscriber], None]


class FanOut:
    """Of one feed. What is told first arrives first at every subscriber."""

    def __init__(self) -> None:
        self._queue: deque[tuple[Deliver, set[Subscriber]]] = deque()
        self._scheduled = False

    @property
    def busy(self) -> bool:
        """Whether somebody still has to be told something."""
        return bool(self._queue)

    def tell(self, deliver: Deliver, subscribers: Iterable[Subscriber]) -> None:
        """Calls `deliver` for each of them: at once for the first, the others when the loop comes round again."""
        self._queue.append((deliver, set(subscribers)))
        if not self._scheduled:
            self._work()

    def settle(self, subscriber: Subscriber) -> None:
        """Hands over at once what this one still has to be told, because something else must follow it."""
        for deliver, waiting in self._queue:
            if subscriber in waiting:
                waiting.discard(subscriber)
                deliver(subscriber)

    def forget(self, subscriber: Subscriber) -> None:
        """One that is gone need not be told."""
        for _deliver, waiting in self._queue:
            waiting.discard(subscriber)

    def clear(self) -> None:
        """What waits is overtaken by something that says it all."""
        self._queue.clear()

    def _work(self) -> None:
        self._scheduled = False
        left = AT_ONCE
        while self._queue and left:
            deliver, waiting = self._queue[0]
            while waiting and left:
                left -= 1
                deliver(waiting.pop())
            if not waiting:
                self._queue.popleft()
        if self._queue:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._work)
