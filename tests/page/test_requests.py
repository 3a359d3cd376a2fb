"""The requests of the page: it requests nothing twice when it loads, and nothing while its connection is live."""

from collections import Counter
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Request, expect

from harness.system import System
from tests.page.console import Console, is_live, job

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def academy(system: System) -> str:
    """Return an academy without jobs of other tests, which the page would request some seconds after it loads."""
    return system.add_academy()


def asked(page: Page) -> list[str]:
    """Return a list that collects the page's requests to the API from now on, each as method, path and query."""
    requests: list[str] = []

    def note(request: Request) -> None:
        address = urlsplit(request.url)
        if address.path.startswith(("/api/", "/media/")):
            requests.append(f"{request.method} {address.path}?{address.query}")

    page.on("request", note)
    return requests


@pytest.mark.parametrize(
    "path", ["/", "/students", "/students/import", "/lectures", "/videos", "/messages", "/messages/new"]
)
async def test_a_reloaded_page_asks_nothing_twice(console: Console, academy: str, path: str) -> None:
    page = await console.open(path, academy=academy)
    await is_live(page)
    await page.wait_for_load_state("networkidle")
    requests = asked(page)
    await page.reload()
    await is_live(page)
    console.publish("asked:1", "DONE", academy=academy, data={"title": "한 번만"})
    if path == "/":
        await expect(job(page, "한 번만")).to_be_visible()
    await page.wait_for_load_state("networkidle")
    twice = [request for request, count in Counter(requests).items() if count > 1]
    assert twice == []
    assert any("/auth/refresh/" in request for request in requests)


async def test_while_the_connection_is_live_the_page_asks_nothing(console: Console, academy: str) -> None:
    page = await console.open(academy=academy)
    await is_live(page)
    await page.wait_for_load_state("networkidle")
    requests = asked(page)
    for percent in range(0, 100, 10):
        console.publish("asked:2", "PROCESSING", academy=academy, data={"title": f"{percent}번째 일"})
        await expect(job(page, f"{percent}번째 일")).to_be_visible()
    console.publish("asked:2", "DONE", academy=academy, data={"title": "끝난 일"})
    await expect(job(page, "끝난 일")).to_have_attribute("data-status", "DONE")
    assert requests == []
