"""Fixtures: a browser, and an empty page that can import the product's page modules without a server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, Page, Route, async_playwright

from embedded.chromium import CHROMIUM

MODULES = Path(__file__).parents[2] / "apps" / "page" / "static" / "page"


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
async def module_page(browser: Browser) -> AsyncIterator[Page]:
    """Open an empty page at `http://page.test`, with the real modules at `/fold.js` etc. It reaches no network."""

    async def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if name:
            await route.fulfill(path=MODULES / name, content_type="text/javascript")
        else:
            await route.fulfill(body="<!doctype html><title>test</title>", content_type="text/html")

    context = await browser.new_context()
    await context.route("**/*", answer)
    page = await context.new_page()
    await page.goto("http://page.test/")
    yield page
    await context.close()
