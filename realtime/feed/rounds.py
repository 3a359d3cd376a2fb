"""Shares the event loop among the feeds of a process: those with something to deliver are served in turn."""

import asyncio
from collections import OrderedDict
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

AT_ONCE = 256
"""How many deliveries are made, in all feeds together, before the event loop may do something else. They take a few
milliseconds."""


class Served(Protocol):
    """Something that makes deliveries when its turn comes."""

    @property
    def waiting(self) -> bool:
        """Whether there is something to deliver."""

    @property
    def urgent(self) -> bool:
        """Whether it should be served before others."""

    def serve(self, limit: int) -> int:
        """Make up to about `limit` deliveries. Return the cost: how many usual deliveries take as long."""


class Rounds:
    """The feeds of one event loop that wait for their turn.

    A feed that cannot make all its deliveries in one turn gets another turn after the others. Urgent feeds do not wait
    for the others. But while others wait, every second turn is theirs, so that a tenant whose jobs end all the time
    cannot stop the other tenants.
    """

    def __init__(self) -> None:
        self._urgent: OrderedDict[Served, None] = OrderedDict()
        self._others: OrderedDict[Served, None] = OrderedDict()
        self._left = AT_ONCE
        self._last_was_urgent = self._serving = self._scheduled = False

    def request(self, feed: Served) -> None:
        """Serve the feed: now if the loop's present turn allows more deliveries, else when the feed's turn comes."""
        self._add(feed)
        if not self._serving:
            self._serve()

    def remove(self, feed: Served) -> None:
        """Forget a feed."""
        self._urgent.pop(feed, None)
        self._others.pop(feed, None)

    def _add(self, feed: Served) -> None:
        if not feed.urgent:
            self._others[feed] = None
        elif feed not in self._urgent:
            self._others.pop(feed, None)
            self._urgent[feed] = None

    def _serve(self) -> None:
        """Serve feeds until none waits, or until `AT_ONCE` deliveries were made in this turn of the event loop."""
        self._serving = True
        while self._left > 0 and (self._urgent or self._others):
            feed = self._next()
            try:
                self._left -= feed.serve(self._left)
            except Exception:  # an error in one feed must not stop the others
                log.exception("feed_failed")
            if feed.waiting:
                self._add(feed)
        self._serving = False
        if not self._scheduled and self._left < AT_ONCE:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._begin_turn)

    def _next(self) -> Served:
        self._last_was_urgent = bool(self._urgent) and not (self._last_was_urgent and self._others)
        feeds = self._urgent if self._last_was_urgent else self._others
        return feeds.popitem(last=False)[0]

    def _begin_turn(self) -> None:
        self._scheduled = False
        self._left = AT_ONCE
        if self._urgent or self._others:
            self._serve()
