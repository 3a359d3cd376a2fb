"""The client in React Native: it uses no locks, and has no connection while the application is in the background.

The tests bundle the client with the export condition `react-native`. They run it in a browser, in which they hide
everything that React Native does not have.
"""

from collections.abc import Callable

import pytest
from playwright.async_api import Page

from tests.realtime.client.conftest import Connection, Tabs, record, until
from tests.realtime.client.package.conftest import GRANTED

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
PAGE = """
import { connect } from "realtime-client";

const feed = connect({ ticket: async () => granted });
const seen = [];
feed.watch("*", ({ topic, status }) => seen.push(`${topic} ${status}`));
Object.assign(window, { feed, seen });
"""
MISSING = ["navigator.locks", "localStorage", "BroadcastChannel", "addEventListener", "document", "TextDecoderStream"]


async def started(tabs: Tabs, bundle: Callable[..., str]) -> tuple[Page, Connection]:
    """Start the application, and wait until it is live. Return its page and its connection."""
    page = await tabs.open()
    options = ["--conditions=react-native", "--alias:react-native=./react-native.mts"]
    # Replace by `undefined` what React Native does not have.
    options += [f"--define:{name}=undefined" for name in MISSING]
    options += [f"--define:globalThis.{name}=undefined" for name in MISSING]
    await page.evaluate("(granted) => Object.assign(window, { granted })", GRANTED)
    await page.add_script_tag(content=bundle(PAGE, *options), type="module")
    connection = await tabs.next()
    connection.greet("e.1.f", [record("job:a", "PROCESSING", 1)])
    await until(page, "feed.state === 'live'")
    return page, connection


async def test_in_the_background_there_is_no_connection_and_nothing_is_missed(
    tabs: Tabs, bundle: Callable[..., str]
) -> None:
    page, connection = await started(tabs, bundle)
    await page.evaluate("change('background')")
    await connection.closed.wait()
    await page.evaluate("change('active')")
    returned = await tabs.next()
    assert returned.query["since"] == ["e.1.f"]
    returned.greet("e.2.f", [record("job:a", "DONE", 2)], recovered=True)
    await until(page, "seen.length === 2")
    assert await page.evaluate("seen") == ["job:a PROCESSING", "job:a DONE"]


async def test_a_moment_of_inactivity_changes_nothing(tabs: Tabs, bundle: Callable[..., str]) -> None:
    page, connection = await started(tabs, bundle)
    await page.evaluate("change('inactive'); change('active')")
    connection.send("records", place="e.2.f", records=[record("job:a", "DONE", 2)])
    await until(page, "seen.length === 2")
    assert tabs.connections.empty()


async def test_closing_the_feed_stops_listening_to_the_application(tabs: Tabs, bundle: Callable[..., str]) -> None:
    page, _ = await started(tabs, bundle)
    await page.evaluate("feed.close()")
    assert await page.evaluate("listeners.size") == 0


async def test_nothing_is_shared_with_other_tabs(tabs: Tabs, bundle: Callable[..., str]) -> None:
    page, _ = await started(tabs, bundle)
    assert await page.evaluate("navigator.locks.query()") == {"held": [], "pending": []}
