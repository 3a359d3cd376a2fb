"""Tests the JavaScript of the pages for front-end developers, in a browser, on a running system."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page

from academy.adapters.excel.sample import sample_workbook
from harness.browser import new_context, running_chromium
from harness.system import System, import_workbook
from tests.docs.pages import page as page_of_docs
from tests.docs.scripts import publishing_to_hanbit

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WATCH, ENDS = page_of_docs("docs/how-to/watch-from-a-browser.md").fenced("js")
_EVENT_SOURCE, FOLD, CLIENT = page_of_docs("docs/reference/realtime-protocol.md").fenced("js")
POLL, CONNECT, RESULT = page_of_docs("docs/how-to/replace-a-poller.md").fenced("js")


@pytest_asyncio.fixture
async def tab(system: System) -> AsyncIterator[Page]:
    """Open the product's page, as readers of the documentation do before they paste into the console."""
    async with running_chromium() as browser:
        tab = await (await new_context(browser)).new_page()
        await tab.goto(system.address)
        yield tab


class Lines:
    """The lines that a tab writes to its console."""

    def __init__(self, tab: Page) -> None:
        self.all: list[str] = []
        self._new: asyncio.Queue[str] = asyncio.Queue()
        tab.on("console", lambda message: self._new.put_nowait(message.text))

    async def until(self, words: str) -> None:
        """Wait for the next line that contains these words."""
        async with asyncio.timeout(60):
            while True:
                self.all.append(await self._new.get())
                if words in self.all[-1]:
                    return


async def paste(tab: Page, *texts: str) -> None:
    """Run these texts as one piece of JavaScript. As in the console, it may use `await`."""
    await tab.evaluate(f"(async () => {{ {' '.join(texts)} }})()")


async def test_the_console_shows_a_job_and_its_end(system: System, tab: Page) -> None:
    lines = Lines(tab)
    async with system.client() as client:
        await paste(tab, WATCH)
        await lines.until("connection: live")
        job_id = await import_workbook(client, sample_workbook(20, seed=71))
        end = await tab.evaluate(f"feed.finished('job:{job_id}').then(({{ status }}) => status)")
    assert end == "DONE"
    await lines.until(f"job:{job_id} DONE")
    assert lines.all[-1].startswith("job:")
    await paste(tab, WATCH, ENDS)
    while not lines.all[-1].startswith(f"{job_id} DONE"):
        await lines.until(f"{job_id} DONE")


async def test_a_poller_moves_over_in_three_steps(system: System, tab: Page) -> None:
    async with system.client() as client:
        job_id = await import_workbook(client, sample_workbook(20, seed=72))
    # The functions that `WATCH` defines, without the feed that it opens.
    shared = WATCH.partition("globalThis.feed")[0].partition(";\n")[2]
    draw = "window.drawn = []; function draw(id, status) { drawn.push([id, status]); }"
    call = f"window.result = await resultOf({json.dumps(job_id)}); await poll({json.dumps(job_id)});"
    await paste(tab, shared, draw, POLL, CONNECT, RESULT, call)
    assert await tab.evaluate("result.status") == "DONE"
    assert [job_id, "DONE"] in await tab.evaluate("drawn")


async def test_the_client_of_the_protocols_page_comes_through_a_restart_and_misses_nothing(
    system: System, tab: Page
) -> None:
    lines = Lines(tab)
    with system.another_web() as web, publishing_to_hanbit(system) as publish:
        await tab.goto(web.address)
        await paste(tab, FOLD, CLIENT)
        await lines.until("live: everything")
        publish("script:before", "PROCESSING")
        await lines.until("script:before PROCESSING")
        web.stop()  # ends gracefully
        await lines.until("because of 1012")
        publish("script:before", "DONE")
        publish("script:meanwhile", "DONE")
        web.start()
        await lines.until("live: what changed")
        web.kill()  # ends like a crash
        await lines.until("because of 1006")
        web.start()
        await lines.until("live: what changed")
        publish("script:after", "DONE")
        await lines.until("script:after DONE")
    told = [line for line in lines.all if line.startswith("script:")]
    assert told == ["script:before PROCESSING", "script:before DONE", "script:meanwhile DONE", "script:after DONE"]
