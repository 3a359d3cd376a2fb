"""Whether a feed is current, as far as this process can know, and telling the clients when that changes.

A ping says: you have everything up to this place. While Redis hangs, or cannot be reached, nobody knows that. So the
process asks the link that brings the messages for a sign of life every second. Its answer comes after all that was
published before. Where none comes, the clients are told `delayed`, and get no pings until the feed is current again.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from realtime.feed.reader import FeedReader

log = structlog.get_logger(__name__)

PULSE_SECONDS = 1.0
DELAYED_SECONDS = 5.0
"""A Redis that answers later than this, or a feed that could not be read for so long, is said to be delayed."""


class Watched(Protocol):
    """A feed, as far as its delay is concerned."""

    @property
    def in_doubt_since(self) -> float | None:
        """When the feed was last known to be current, by the loop's clock; None while it is."""

    def tell_delay(self, seconds: float | None) -> None:
        """Take note of how long the feed has been delayed (None: it is current), and tell the clients of a change."""


class Pulse:
    """Watches the link and all feeds of one process."""

    def __init__(self, reader: FeedReader, feeds: Callable[[], Iterable[Watched]]) -> None:
        self._reader, self._feeds = reader, feeds
        self._delayed = 0

    async def run(self) -> None:
        """Look every second, for ever. Ends by cancellation only."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(PULSE_SECONDS)
            try:
                # A process that was held up itself has not read the answers yet: it looks again in a second.
                if loop.time() - before < 2 * PULSE_SECONDS:
                    self.look(loop.time())
                await self._reader.ask_link()
            except Exception:
                log.exception("pulse_failed")

    def look(self, now: float) -> None:
        """Tell each feed how long it has been delayed."""
        delayed = 0
        for feed in list(self._feeds()):
            seconds = self._seconds(feed, now)
            delayed += seconds is not None
            feed.tell_delay(seconds)
        if bool(delayed) != bool(self._delayed):
            log.warning("feeds_delayed", tenants=delayed) if delayed else log.info("feeds_current")
        self._delayed = delayed

    def _seconds(self, feed: Watched, now: float) -> float | None:
        since = [at for at in (feed.in_doubt_since, self._reader.unanswered_since) if at is not None]
        seconds = now - min(since, default=now)
        return seconds if seconds > DELAYED_SECONDS else None
