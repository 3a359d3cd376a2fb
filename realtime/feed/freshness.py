"""Finds out whether feeds are current, and tells the clients when that changes.

The server sends pings to clients. Such a ping says that the client has every record up to a place in the feed. While
Redis hangs or cannot be reached, the server cannot be sure of that. So the process pings Redis every second over the
pub/sub connection, and Redis answers after it has sent everything that was published before. If Redis does not answer,
clients receive `delayed` frames instead of pings until the feed is current again.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from realtime.feed.pubsub_link import PubSubLink

log = structlog.get_logger(__name__)

PULSE_SECONDS = 1.0
DELAYED_SECONDS = 5.0
"""A feed is delayed if Redis did not answer, or the feed could not be read, for this long."""


class Watched(Protocol):
    """The part of a feed that `Pulse` uses."""

    @property
    def in_doubt_since(self) -> float | None:
        """When the feed was last known to be current, by the loop's clock; None while it is current."""

    def tell_delay(self, seconds: float | None) -> None:
        """Store how long the feed has been delayed (None: not delayed). Tell clients when a delay begins or ends."""


class Pulse:
    """Watches the pub/sub connection and all feeds of one process."""

    def __init__(self, link: PubSubLink, feeds: Callable[[], Iterable[Watched]]) -> None:
        self._link, self._feeds = link, feeds
        self._delayed = 0

    async def run(self) -> None:
        """Call `look` and ping Redis every second, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(PULSE_SECONDS)
            try:
                # If the event loop was blocked, answers of Redis may still be unread, and feeds would wrongly seem
                # delayed. In this case do not look before the next round, a second later.
                if loop.time() - before < 2 * PULSE_SECONDS:
                    self.look(loop.time())
                await self._link.ping()
            except Exception:
                log.exception("pulse_failed")

    def look(self, now: float) -> None:
        """Tell each feed for how long it has been delayed at the time `now` of the loop's clock."""
        delayed = 0
        for feed in list(self._feeds()):
            seconds = self._seconds(feed, now)
            delayed += seconds is not None
            feed.tell_delay(seconds)
        if bool(delayed) != bool(self._delayed):
            log.warning("feeds_delayed", tenants=delayed) if delayed else log.info("feeds_current")
        self._delayed = delayed

    def _seconds(self, feed: Watched, now: float) -> float | None:
        since = [at for at in (feed.in_doubt_since, self._link.unanswered_since) if at is not None]
        seconds = now - min(since, default=now)
        return seconds if seconds > DELAYED_SECONDS else None
