"""A laptop sleeps for an hour: when it wakes up, the page shows the true states. Only Chromium can freeze a tab."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page

from harness.browser import new_context, running_chromium
from harness.system import System
from tests.realtime.client.faults.watching import ChromiumBrowser, Tab, Tabs

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


class ClockedBrowser(ChromiumBrowser):
    """Opens tabs whose clock and timers a test moves."""

    def __init__(self, page: Page) -> None:
        super().__init__(page.context)
        self.page = page

    async def open(self, address: str) -> Tab:
        await self.page.clock.install()
        await self.page.goto(address)
        return self.page


@pytest_asyncio.fixture(loop_scope="module")
async def clocked() -> AsyncIterator[ClockedBrowser]:
    async with running_chromium() as chromium:
        yield ClockedBrowser(await (await new_context(chromium)).new_page())


async def test_a_tab_that_was_frozen_for_an_hour_is_live_again_and_knows_what_has_ended(
    clocked: ClockedBrowser, damaged: System
) -> None:
    tabs = Tabs(clocked, damaged)
    tab = await tabs.watch()
    topic = await tab.begin()
    before = await tab.tickets()
    devtools = await clocked.page.context.new_cdp_session(clocked.page)
    await devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    await tab.publish(topic, "DONE")
    await devtools.send("Page.setWebLifecycleState", {"state": "active"})
    await clocked.page.clock.fast_forward("01:00:00")
    assert await tab.end_of(topic) == "DONE"
    await tab.is_in("live")
    assert await tab.tickets() - before <= 3, "it connects again, and does not try in vain"
