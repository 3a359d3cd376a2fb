"""A browser, and the page's own modules served into it without a server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, Page, Route, async_playwright

from embedded.chromium import CHROMIUM

MODULES = Path(__file__).parents[2] / "apps" / "page" / "static" / "page"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    program = CHROMIUM.find()
    # Never skipped: a page that nobody has seen move is not known to work.
    assert program is not None, "There is no Chromium: run script/test, which gets one, or name yours in $CHROMIUM."
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def module_page(browser: Browser) -> AsyncIterator[Page]:
    """An empty page of `http://page.test`, where `/fold.js` and the others are the real modules. Nothing leaves it."""

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
