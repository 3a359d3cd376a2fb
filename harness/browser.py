"""Runs the Chromium that tests drive."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, BrowserContext, FileChooser, Page, async_playwright, expect

from embedded.chromium import CHROMIUM

PATIENCE_MS = 60_000
"""How long a step of a test waits for the page before it fails. Only a busy machine needs nearly as long."""

expect.set_options(timeout=PATIENCE_MS)


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """Run a Chromium. Fail if none is installed: only a browser can show that the page works, so no test is skipped."""
    program = CHROMIUM.find()
    assert program is not None, "There is no Chromium: run script/test, which gets one, or name yours in $CHROMIUM."
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program)
        yield browser
        await browser.close()


async def new_context(browser: Browser, **options: Any) -> BrowserContext:
    """Open a new profile of the browser. Actions on its pages wait as long as `expect` does."""
    context = await browser.new_context(**options)
    context.set_default_timeout(PATIENCE_MS)
    return context


async def next_file_chooser(page: Page) -> "asyncio.Future[FileChooser]":
    """Return a future of the next file chooser that the page opens.

    `page.expect_file_chooser` tells the browser to report file choosers, but does not wait for the browser's answer.
    A file chooser that opens before the answer may be cancelled. This function waits for the answer.
    """
    chooser: asyncio.Future[FileChooser] = asyncio.get_running_loop().create_future()
    page.once("filechooser", lambda opened: chooser.set_result(opened))  # noqa: PLW0108 - Playwright cannot wrap a bound method
    await page.evaluate("0")  # the browser answers this after the command to report file choosers
    return chooser
