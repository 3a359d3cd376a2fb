"""Fixtures: a browser."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from harness.browser import running_chromium
from harness.system import System
from tests.page.console import Console


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with running_chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def console(browser: Browser, system: System) -> AsyncIterator[Console]:
    console = Console(browser, system)
    yield console
    for context in console.contexts:
        await context.close()
