"""Reads revocations from the database while Redis does not answer, for the connections of one event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from realtime.connect.revocation_marks import KEPT_SECONDS
from realtime.records.errors import FeedUnavailableError, MarksUnreadableError

log = structlog.get_logger(__name__)

FRESH_SECONDS = 1.0
"""For this long after a read, the marks are not read again."""
READ_SECONDS = 3.0
"""How long each caller waits for a read. The read itself may take longer."""
OVERLAP_SECONDS = 60.0
"""Each read also covers this many seconds before the previous read, because the clocks of processes differ."""
UNKNOWN = "It cannot be checked at the moment whether this session was revoked."


class DatabaseMarks:
    """Reads the marks at most once a second, for all connections together."""

    def __init__(self, read: Callable[[float], Awaitable[None]]) -> None:
        """`read` calls `UnwrittenMarks.read_committed` without blocking the event loop."""
        self._read = read
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Let the next read cover all marks that can still apply. Call this when Redis stops answering."""
        self._read_at = float("-inf")

    async def refresh(self) -> None:
        """Read the marks if the last read is over a second old. Raise FeedUnavailableError if they cannot be read."""
        if self._age() <= FRESH_SECONDS:
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read_once())
            self._reading.add_done_callback(log_failure)
        try:
            await asyncio.wait_for(asyncio.shield(self._reading), READ_SECONDS)
        except MarksUnreadableError as problem:
            raise FeedUnavailableError(str(problem)) from None
        except Exception:  # noqa: BLE001 - after a timeout or an unexpected error nobody is admitted
            raise FeedUnavailableError(UNKNOWN) from None

    async def _read_once(self) -> None:
        started, age = asyncio.get_running_loop().time(), self._age()
        await self._read(min(age + OVERLAP_SECONDS, KEPT_SECONDS))
        self._read_at = started

    def _age(self) -> float:
        return asyncio.get_running_loop().time() - self._read_at


def log_failure(reading: asyncio.Task[Any]) -> None:
    """Log the error of a read. If all callers have stopped waiting for the read, nobody else sees the error."""
    if not reading.cancelled() and (problem := reading.exception()) is not None:
        log.debug("marks_read_failed", error=str(problem))
