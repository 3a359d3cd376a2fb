"""Runs the Chromium that tests drive."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

from embedded.chromium import CHROMIUM


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """Run a Chromium. Fail if none is installed: only a browser can show that the page works, so no test is skipped."""
    program = CHROMIUM.find()
    assert program is not None, "There is no Chromium: run script/test, which gets one, or name yours in $CHROMIUM."
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program)
        yield browser
        await browser.close()
