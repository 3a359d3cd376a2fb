"""Fixtures: a browser."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from embedded.chromium import CHROMIUM
from harness.system import System
from tests.page.console import Console


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    program = CHROMIUM.find()
    # The tests fail without a browser, and are never skipped: only a browser can show that the page works.
    assert program is not None, "There is no Chromium: run script/test, which gets one, or name yours in $CHROMIUM."
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def console(browser: Browser, system: System) -> AsyncIterator[Console]:
    console = Console(browser, system)
    yield console
    for context in console.contexts:
        await context.close()
