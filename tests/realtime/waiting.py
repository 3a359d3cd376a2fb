"""Waits for conditions in a test's own event loop."""

import asyncio
from collections.abc import Callable

PATIENCE_SECONDS = 60.0


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.005)
