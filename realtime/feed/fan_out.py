"""Delivers something to many subscribers of a feed, a part of them in each turn that the feed gets."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import filterfalse, islice
from operator import length_hint

import structlog

from realtime.feed.rounds import Rounds
from realtime.feed.subscriber import Subscriber

log = structlog.get_logger(__name__)

Deliver = Callable[[Iterator[Subscriber]], int | None]
"""Delivers something to each of these subscribers.

If this cost more than delivering a frame to each subscriber, it returns the extra cost as a number of such deliveries.
After an error it is called again, with the subscribers that are left.
"""

BeginPass = Callable[[], Iterable[tuple[Deliver, Sequence[Subscriber]]]]
"""Returns what has to be delivered, and to which subscribers."""


class _Step:
    """One delivery to many subscribers, some of whom still wait for it."""

    def __init__(self, deliver: Deliver, subscribers: Sequence[Subscriber]) -> None:
        self._deliver = deliver
        self._subscribers = subscribers
        self._left = iter(subscribers)
        self._skipped: set[Subscriber] = set()
        self._numbers: dict[Subscriber, int] | None = None
        """The number of each subscriber in `_subscribers`. Made when it is first needed, which is rare."""

    @property
    def done(self) -> bool:
        return not length_hint(self._left)

    def run(self, limit: int) -> int:
        """Deliver to up to `limit` subscribers. Return the cost. An error at one of them must not affect the others."""
        before = length_hint(self._left)
        last = max(0, before - limit)
        extra = 0
        while (left := length_hint(self._left)) > last:
            try:
                extra += self._deliver(self._take(left - last)) or 0
            except Exception:
                log.exception("delivery_failed")
            if length_hint(self._left) == left:  # so that a function that takes no subscriber is not called for ever
                next(self._left)
        return before - left + extra

    def catch_up(self, subscriber: Subscriber) -> None:
        """Deliver to this subscriber now, if it still waits."""
        if self._numbers is None:
            self._numbers = {each: number for number, each in enumerate(self._subscribers)}
        served = len(self._subscribers) - length_hint(self._left)
        if self._numbers.get(subscriber, -1) >= served and subscriber not in self._skipped:
            self._skipped.add(subscriber)
            self._deliver(iter((subscriber,)))

    def skip(self, subscriber: Subscriber) -> None:
        """Do not deliver to this subscriber."""
        self._skipped.add(subscriber)

    def _take(self, number: int) -> Iterator[Subscriber]:
        return filterfalse(self._skipped.__contains__, islice(self._left, number))


class FanOut:
    """The deliveries of one feed. Each subscriber receives its deliveries in the order in which they were queued."""

    def __init__(self, rounds: Rounds, begin_pass: BeginPass = tuple) -> None:
        """`begin_pass` is called in a turn after `request`, as soon as nothing is queued."""
        self._rounds, self._begin_pass = rounds, begin_pass
        self._steps: deque[_Step] = deque()
        self._requested = self._urgently = False
        self._urgent_pass = False
        """Whether the deliveries that are queued belong to an urgent pass."""

    @property
    def busy(self) -> bool:
        """Whether a delivery is still queued."""
        return bool(self._steps)

    @property
    def waiting(self) -> bool:
        """Whether the feed needs another turn."""
        return self._requested or bool(self._steps)

    @property
    def urgent(self) -> bool:
        """Whether the present pass or the next one is urgent."""
        return self._urgently or self._urgent_pass

    def request(self, *, urgent: bool = False) -> None:
        """Begin a pass: now if the process is not busy with deliveries, else in a later turn.

        Requests that are made before the pass begins share it. It is urgent if one of them is.
        """
        self._requested = True
        self._urgently |= urgent
        self._rounds.request(self)

    def queue(self, deliver: Deliver, subscribers: Sequence[Subscriber]) -> None:
        """Deliver to these subscribers after what is already queued: now or in later turns."""
        self._steps.append(_Step(deliver, subscribers))
        self._rounds.request(self)

    def serve(self, limit: int) -> int:
        """Make up to about `limit` deliveries, and return their cost."""
        cost = 0
        if not self._steps:
            self._urgent_pass, self._urgently, self._requested = self._urgently, False, False
            self._steps.extend(_Step(*each) for each in self._begin_pass())
        while self._steps and cost < limit:
            step = self._steps[0]
            cost += step.run(limit - cost)
            if step.done and self._steps and self._steps[0] is step:
                self._steps.popleft()
        if not self._steps:
            self._urgent_pass = False
        return cost

    def catch_up(self, subscriber: Subscriber) -> None:
        """Deliver at once everything that is queued for this subscriber, so that the caller's next frame comes last."""
        for step in self._steps:
            step.catch_up(subscriber)

    def forget(self, subscriber: Subscriber) -> None:
        """Remove a subscriber, whose connection has ended, from all queued deliveries."""
        for step in self._steps:
            step.skip(subscriber)

    def clear(self) -> None:
        """Drop all queued deliveries: a newer snapshot replaces them."""
        self._steps.clear()
        self._urgent_pass = False

    def close(self) -> None:
        """Drop everything, and do not ask for another turn."""
        self.clear()
        self._requested = False
        self._rounds.remove(self)
