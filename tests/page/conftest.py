"""Fixtures: a browser, its signed-in pages, and a slow video worker."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from embedded.plan import Worker
from harness.browser import running_chromium
from harness.system import System
from harness.videos import slow_ffmpeg
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


@pytest.fixture(scope="module")
def worker(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """Run a video worker that encodes so slowly that a test can watch it."""
    slow = slow_ffmpeg(tmp_path_factory.mktemp("tools"))
    with system.running_worker("video_worker", FFMPEG=slow) as running:
        yield running
