"""The page shows the true state of its connection: without network or Redis, with too many windows, behind a proxy."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from embedded.ports import HOST
from harness.browser import new_context
from harness.proxy import Proxy
from harness.system import PASSWORD, System, tenant_of
from realtime.publish import Publisher
from tests.contract.test_hung_redis import hanging
from tests.page.test_imports import fill_in

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


class Pages:
    """Opens pages of an academy, each in a browser context of its own: they share no cookies."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    async def open(self, address: str, username: str = "owner") -> Page:
        context = await new_context(self._browser)
        page = await context.new_page()
        await page.goto(address)
        await fill_in(page, "hanbit", username, PASSWORD)
        return page


@pytest_asyncio.fixture(loop_scope="module")
async def pages(browser: Browser) -> AsyncIterator[Pages]:
    before = set(browser.contexts)
    yield Pages(browser)
    for context in set(browser.contexts) - before:
        await context.close()


async def expect_state(page: Page, state: str, reason: str = "") -> None:
    line = page.locator("#connection")
    await expect(line).to_have_attribute("data-state", state)
    await expect(line).to_have_attribute("data-reason", reason)


async def expect_new_record_shown(page: Page, system: System, topic: str) -> None:
    """Publish a record, and wait until the page shows it. At the end, publish that the job was cancelled."""
    with Publisher.from_url(system.redis.url) as publisher:
        publisher.status(
            tenant_id=tenant_of(system, "hanbit"),
            topic=topic,
            attempt=1,
            status="PENDING",
            data={"job_type": "excel_parsing", "file_name": f"{topic}.csv"},
        )
    await expect(page.get_by_role("heading", name=f"{topic}.csv")).to_be_visible()
    with Publisher.from_url(system.redis.url) as publisher:
        publisher.status(tenant_id=tenant_of(system, "hanbit"), topic=topic, attempt=1, status="CANCELLED")


async def test_without_a_network_the_page_is_offline_at_once_and_live_again_afterwards(
    pages: Pages, system: System
) -> None:
    page = await pages.open(system.address)
    await expect_state(page, "live")
    # Note each reason instead of waiting for a state: Chromium's offline mode may leave the WebSocket open, and the
    # next frame would make the page live again.
    await page.locator("#connection").evaluate(
        """(line) => {
          window.reasons = [];
          new MutationObserver(() => reasons.push(line.dataset.reason)).observe(line, { attributes: true });
        }"""
    )
    await page.context.set_offline(True)
    await page.wait_for_function("() => reasons.length > 0")
    assert await page.evaluate("reasons[0]") == "no_network"
    await page.context.set_offline(False)
    await expect_state(page, "live")
    await expect_new_record_shown(page, system, "job:back-online")


async def test_while_redis_hangs_the_page_is_not_live_and_a_screen_reader_hears_it_once(
    pages: Pages, own_system: System
) -> None:
    page = await pages.open(own_system.address)
    await expect_state(page, "live")
    spoken = page.locator("#connection-spoken")
    with hanging(own_system):
        await expect_state(page, "delayed", "server")
        await expect(page.locator("#connection-text")).to_have_text(re.compile("읽지 못하고"))
        await expect(spoken).to_have_text(re.compile("읽지 못하고"))
        await page.locator("#language").click()
        await expect(page.locator("#connection-text")).to_have_text("Delayed · the server cannot read what is new")
    await expect_state(page, "live")
    await expect(spoken).to_have_text("Live")
    await expect_new_record_shown(page, own_system, "job:after-the-hang")


async def test_one_window_too_many_shows_the_seconds_to_its_next_try_and_connects_when_another_closes(
    pages: Pages, system: System
) -> None:
    with system.another_web(REALTIME_MAX_CONNECTIONS_PER_USER="1") as web:
        first = await pages.open(web.address)
        await expect_state(first, "live")
        second = await pages.open(web.address)
        await expect_state(second, "refused", "too_many_user")
        await expect(second.locator("#connection-text")).to_have_text(
            "열린 창이 너무 많습니다 · 다른 창을 닫아 주십시오"
        )
        await expect(second.locator("#connection-next")).to_have_text(re.compile(r"^· \d+초 후 다시 시도$"))
        assert await second.locator("#connection-next").get_attribute("aria-hidden") == "true"
        await first.context.close()
        await expect_state(second, "live")


async def test_reconnect_now_does_not_wait_for_the_next_try_and_is_there_only_while_it_can_help(
    pages: Pages, system: System
) -> None:
    with system.another_web(REALTIME_MAX_CONNECTIONS_PER_USER="1") as web:
        first = await pages.open(web.address)
        await expect_state(first, "live")
        await expect(first.get_by_role("button", name="지금 다시 연결")).to_be_hidden()
        second = await pages.open(web.address)
        await expect_state(second, "refused", "too_many_user")
        button = second.get_by_role("button", name="지금 다시 연결")
        # The next try is not so near that it could come before the button is pressed.
        await expect(second.locator("#connection-next")).to_have_text(re.compile(r"([7-9]|\d\d)초 후 다시 시도"))
        await first.context.close()
        async with second.expect_websocket() as opened:
            await button.press("Enter")
        assert "/ws/events/" in (await opened.value).url
        await expect(second.locator("#connection")).to_be_focused()
        await expect_state(second, "live")
        await expect(button).to_be_hidden()


async def test_behind_a_proxy_that_refuses_websockets_the_page_uses_another_transport(
    pages: Pages, system: System
) -> None:
    async with Proxy(system.web.port) as proxy:
        proxy.refuses_upgrades = True
        page = await pages.open(f"http://{HOST}:{proxy.port}")
        await expect_state(page, "live")
        await expect_new_record_shown(page, system, "job:by-events")


async def test_if_only_plain_requests_get_through_the_page_polls_and_shows_it(pages: Pages, system: System) -> None:
    async def hold_back(route: Route) -> None:
        await route.fulfill(status=502, body="Bad Gateway")

    async with Proxy(system.web.port) as proxy:
        proxy.refuses_upgrades = True
        address = f"http://{HOST}:{proxy.port}"
        page = await pages.open(address)
        await expect_state(page, "live")
        await page.route("**/api/v1/events/**", hold_back)
        await page.reload()
        await expect_state(page, "polling")
        await expect_new_record_shown(page, system, "job:by-poll")
