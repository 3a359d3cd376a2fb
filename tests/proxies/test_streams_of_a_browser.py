"""Over HTTP/1.1, a browser's six event streams block its other requests to the site. Over HTTP/2, twelve do not."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from harness.browser import new_context
from harness.system import PASSWORD, System
from tests.page.conftest import browser  # noqa: F401 - a fixture
from tests.page.test_event_source import SIGN_IN
from tests.proxies.conftest import Proxy

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

MOST_BY_HTTP_1 = 6
OPEN = """(count) => {
  const open = () => new EventSource("/api/v1/events/?tenant=hanbit&topics=native:*");
  window.sources = Array.from({ length: count }, open);
  return Promise.all(sources.map((source) => new Promise((resolve) => source.addEventListener("welcome", resolve))));
}"""
ASK = """() => { window.answered = false; window.asked = fetch("/healthz").then(() => { answered = true; }); }"""


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:  # noqa: F811 - the imported fixture
    context = await new_context(browser, ignore_https_errors=True)
    yield await context.new_page()
    await context.close()


async def open_streams(page: Page, address: str, count: int) -> None:
    await page.goto(f"{address}/healthz")
    await page.evaluate(SIGN_IN, {"tenant": "hanbit", "username": "owner", "password": PASSWORD})
    await asyncio.wait_for(page.evaluate(f"({OPEN})({count}).then(() => null)"), 60)


async def test_by_http_1_six_streams_block_all_other_requests_of_the_site(page: Page, system: System) -> None:
    await open_streams(page, system.address, MOST_BY_HTTP_1)
    await page.evaluate(ASK)
    async with httpx.AsyncClient(base_url=system.address) as elsewhere:
        for _ in range(20):
            assert (await elsewhere.get("/healthz")).status_code == 200
    assert await page.evaluate("answered") is False
    await page.evaluate("() => { sources[0].close(); return asked; }")
    assert await page.evaluate("answered") is True


async def test_by_http_2_through_a_proxy_twelve_streams_block_nothing(page: Page, proxy: Proxy) -> None:
    await open_streams(page, proxy.address, 2 * MOST_BY_HTTP_1)
    await page.evaluate(ASK)
    await asyncio.wait_for(page.evaluate("() => asked"), 60)
    assert await page.evaluate("performance.getEntriesByName(location.href)[0].nextHopProtocol") == "h2"
