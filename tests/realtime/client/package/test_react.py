"""Tests the React hooks of the client, in a browser, with a feed that the test controls."""

from collections.abc import Callable

import pytest
from playwright.async_api import Page, expect

from tests.realtime.client.conftest import Tabs

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
PAGE = """
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { FeedProvider, useFeed, useRecord, useRecords, useStatus } from "realtime-client/react";
import { fakeFeed } from "realtime-client/testing";

const feed = fakeFeed({ records: [{ topic: "job:1" }, { topic: "video:1" }] });
const counts = { lists: 0, rows: 0, opened: 0 };

function Row() {
  const [topic, choose] = useState("job:1");
  counts.rows += 1;
  const record = useRecord(topic);
  return <button id="row" onClick={() => choose("job:2")}>{topic} {record?.status ?? "nothing"}</button>;
}

function List() {
  counts.lists += 1;
  return <p id="list">{useRecords("job:*").map(({ topic }) => topic).join(" ")}</p>;
}

function State() {
  const connected = useFeed() !== null;
  return <p id="state">{useStatus().state} {String(connected)}</p>;
}

const App = ({ feed }) => <FeedProvider feed={feed}><Row /><List /><State /></FeedProvider>;
const feeds = [];
const open = () => { feeds.push(fakeFeed()); return feeds.at(-1); };
const root = createRoot(document.body.appendChild(document.createElement("main")));
Object.assign(window, {
  feed, feeds, counts,
  show: () => root.render(<App feed={feed} />),
  showConnecting: () => root.render(<StrictMode><App feed={open} /></StrictMode>),
  hide: () => root.unmount(),
});
"""
DEVELOPMENT = '--define:process.env.NODE_ENV="development"'


@pytest.fixture(scope="session")
def script(bundle: Callable[..., str]) -> str:
    return bundle(PAGE, DEVELOPMENT)


async def opened(tabs: Tabs, script: str, show: str) -> Page:
    page = await tabs.open()
    await page.add_script_tag(content=script, type="module")
    await page.wait_for_function("() => window.show")
    await page.evaluate(show)
    return page


async def test_a_component_shows_the_newest_record_of_its_topic(tabs: Tabs, script: str) -> None:
    page = await opened(tabs, script, "show()")
    await expect(page.locator("#row")).to_have_text("job:1 PROCESSING")
    await page.evaluate("feed.finish({ topic: 'job:1' })")
    await expect(page.locator("#row")).to_have_text("job:1 DONE")


async def test_a_component_can_change_its_topic_and_is_told_that_nobody_knows_it(tabs: Tabs, script: str) -> None:
    page = await opened(tabs, script, "show()")
    await page.click("#row")
    await expect(page.locator("#row")).to_have_text("job:2 nothing")
    await page.evaluate("feed.forget('job:2')")
    await expect(page.locator("#row")).to_have_text("job:2 UNKNOWN")
    await page.evaluate("feed.publish({ topic: 'job:2' })")
    await expect(page.locator("#row")).to_have_text("job:2 PROCESSING")


async def test_many_records_at_once_render_a_list_once_and_no_row_of_another_topic(tabs: Tabs, script: str) -> None:
    page = await opened(tabs, script, "show()")
    await expect(page.locator("#list")).to_have_text("job:1")
    before = await page.evaluate("counts")
    await page.evaluate("for (let number = 2; number < 102; number++) feed.publish({ topic: `job:${number}` })")
    await expect(page.locator("#list")).to_contain_text("job:101")
    after = await page.evaluate("counts")
    assert (after["lists"] - before["lists"], after["rows"] - before["rows"]) == (1, 0)


async def test_a_list_leaves_out_what_is_of_another_kind_or_gone(tabs: Tabs, script: str) -> None:
    page = await opened(tabs, script, "show()")
    await page.evaluate("feed.publish({ topic: 'job:2' }); feed.publish({ topic: 'video:2' })")
    await expect(page.locator("#list")).to_have_text("job:1 job:2")
    await page.evaluate("feed.forget('job:1')")
    await expect(page.locator("#list")).to_have_text("job:2")


async def test_the_records_of_a_user_are_gone_when_another_one_has_signed_in(tabs: Tabs, script: str) -> None:
    page = await opened(tabs, script, "show()")
    await page.evaluate("feed.forgetAll()")
    await expect(page.locator("#row")).to_have_text("job:1 nothing")
    await expect(page.locator("#list")).to_have_text("")
    await page.evaluate("feed.publish({ topic: 'job:1' })")
    await expect(page.locator("#row")).to_have_text("job:1 PROCESSING")


async def test_that_nobody_knows_a_topic_is_forgotten_too_because_the_other_user_may_know_it(
    tabs: Tabs, script: str
) -> None:
    page = await opened(tabs, script, "show()")
    await page.click("#row")
    await page.evaluate("feed.forget('job:2')")
    await expect(page.locator("#row")).to_have_text("job:2 UNKNOWN")
    await page.evaluate("feed.forgetAll()")
    await expect(page.locator("#row")).to_have_text("job:2 nothing")


async def test_a_component_shows_the_state_of_the_connection(tabs: Tabs, script: str) -> None:
    page = await opened(tabs, script, "show()")
    await expect(page.locator("#state")).to_have_text("live true")
    await page.evaluate("feed.setState('offline')")
    await expect(page.locator("#state")).to_have_text("offline true")


async def test_a_provider_connects_when_it_is_mounted_and_closes_what_it_has_connected(tabs: Tabs, script: str) -> None:
    page = await opened(tabs, script, "showConnecting()")
    await expect(page.locator("#state")).to_have_text("live true")
    # In development, React's strict mode mounts everything twice.
    assert await page.evaluate("feeds.map(({ state }) => state)") == ["stopped", "live"]
    await page.evaluate("hide()")
    await page.wait_for_function("() => feeds.every(({ state }) => state === 'stopped')")
