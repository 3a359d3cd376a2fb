"""Reads from the database who was revoked, for the connections of one event loop, while Redis does not answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from realtime.connect.marks import KEPT_SECONDS
from realtime.records.errors import FeedUnavailableError, MarksUnreadableError

log = structlog.get_logger(__name__)

FRESH_SECONDS = 1.0
"""What was read within this time is not read again."""
READ_SECONDS = 3.0
"""How long one read may take."""
OVERLAP_SECONDS = 60.0
"""Each read goes this much further back than the last one: clocks of processes differ."""
UNKNOWN = "Whether this session still holds cannot be known at the moment."


class DatabaseMarks:
    """Shares one read a second between all who ask."""

    def __init__(self, read: Callable[[float], Awaitable[None]]) -> None:
        """`read` is `UnwrittenMarks.read_committed`, called without blocking the event loop."""
        self._read = read
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Redis has just stopped to answer: the next read is of all marks that still end something."""
        self._read_at = float("-inf")

    async def refresh(self) -> None:
        """Read the marks, unless that was done a moment ago. Raises FeedUnavailableError where they cannot be read."""
        if self._age() <= FRESH_SECONDS:
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read_once())
            self._reading.add_done_callback(log_failure)
        try:
            await asyncio.wait_for(asyncio.shield(self._reading), READ_SECONDS)
        except MarksUnreadableError as problem:
            raise FeedUnavailableError(str(problem)) from None
        except Exception:  # noqa: BLE001 - it took too long, or is a defect: nobody passes
            raise FeedUnavailableError(UNKNOWN) from None

    async def _read_once(self) -> None:
        started, age = asyncio.get_running_loop().time(), self._age()
        await self._read(min(age + OVERLAP_SECONDS, KEPT_SECONDS))
        self._read_at = started

    def _age(self) -> float:
        return asyncio.get_running_loop().time() - self._read_at


def log_failure(reading: asyncio.Task[Any]) -> None:
    """Take note of a read that failed after everybody had stopped waiting for it."""
    if not reading.cancelled() and (problem := reading.exception()) is not None:
        log.debug("marks_read_failed", error=str(problem))
