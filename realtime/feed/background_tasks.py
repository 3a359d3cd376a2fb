"""Ends the background tasks of a process or of a hub."""

import asyncio
from collections.abc import Iterable

AGAIN_SECONDS = 0.5


async def end_tasks(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel these tasks, and return when all have ended.

    Before Python 3.12 `asyncio.wait_for`, which the Redis library uses, loses a cancellation that comes at the same
    moment as the awaited result. So a task that has not ended after half a second is cancelled again.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN_SECONDS)
