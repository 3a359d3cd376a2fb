"""Tests of the panel that shows developers the state, the records and the frames of a feed."""

from collections.abc import Callable

import pytest
from playwright.async_api import Page, expect

from tests.realtime.client.conftest import Tabs

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
PAGE = """
import { showDevtools } from "realtime-client/devtools";
import { fakeFeed } from "realtime-client/testing";

const feed = fakeFeed({ records: [{ topic: "job:1" }, { topic: "job:2" }] });
Object.assign(window, { feed, hide: showDevtools(feed), show: () => showDevtools(feed) });
"""


async def panel(tabs: Tabs, bundle: Callable[..., str]) -> Page:
    page = await tabs.open()
    await page.add_script_tag(content=bundle(PAGE), type="module")
    await page.wait_for_function("() => window.feed")
    return page


def row(name: str, text: str) -> str:
    """Return a selector for a row of the panel."""
    return f"realtime-devtools dt:text-is('{name}') + dd:text-is('{text}')"


async def test_it_shows_the_state_the_place_the_records_and_the_frames(tabs: Tabs, bundle: Callable[..., str]) -> None:
    page = await panel(tabs, bundle)
    await expect(page.locator(row("records", "2, 2 unfinished"))).to_be_visible()
    await page.evaluate("feed.finish({ topic: 'job:1' }); feed.setState('offline', { reason: 'lost', attempt: 3 })")
    await expect(page.locator(row("records", "2, 1 unfinished"))).to_be_visible()
    await expect(page.locator(row("received", "1 records in 1 frames"))).to_be_visible()
    await expect(page.locator(row("place", "fake.3.0"))).to_be_visible()
    await expect(page.locator(row("state", "offline, lost, attempt 3"))).to_be_visible()
    await expect(page.locator("realtime-devtools li")).to_contain_text("records 1 record")


async def test_it_counts_records_that_newer_ones_have_replaced_on_the_server(
    tabs: Tabs, bundle: Callable[..., str]
) -> None:
    page = await panel(tabs, bundle)
    await page.evaluate("feed.publish({ topic: 'job:1' }); feed.publish({ topic: 'job:1', offset: 8 })")
    await expect(page.locator(row("skipped", "4 offsets"))).to_be_visible()


async def test_it_can_reconnect_and_goes_away(tabs: Tabs, bundle: Callable[..., str]) -> None:
    page = await panel(tabs, bundle)
    await page.get_by_role("button", name="Reconnect now").click()
    assert await page.evaluate("feed.reconnects") == 1
    await page.evaluate("void hide()")
    await expect(page.locator("realtime-devtools")).to_have_count(0)
    await page.evaluate("void show()")
    await expect(page.locator("realtime-devtools")).to_have_count(1)
