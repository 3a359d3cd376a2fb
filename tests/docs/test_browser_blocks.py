"""Tests the JavaScript of the pages for front-end developers, in a browser, on a running system."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page

from academy.adapters.excel.sample import sample_workbook
from harness.browser import running_chromium
from harness.system import System, import_workbook
from tests.docs.pages import page as page_of_docs

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WATCH, ENDS = page_of_docs("docs/how-to/watch-from-a-browser.md").fenced("js")
POLL, CONNECT, RESULT = page_of_docs("docs/how-to/replace-a-poller.md").fenced("js")


@pytest_asyncio.fixture
async def tab(system: System) -> AsyncIterator[Page]:
    """Open the product's page, as a reader does before pasting into the console."""
    async with running_chromium() as browser:
        tab = await browser.new_page()
        await tab.goto(system.address)
        yield tab


async def paste(tab: Page, *texts: str) -> None:
    """Run JavaScript as the console does: with `await`, and with what earlier texts have defined."""
    await tab.evaluate(f"(async () => {{ {' '.join(texts)} }})()")


async def test_the_console_shows_a_job_and_its_end(system: System, tab: Page) -> None:
    lines: list[str] = []
    tab.on("console", lambda message: lines.append(message.text))
    async with system.client() as client:
        await paste(tab, WATCH)
        job_id = await import_workbook(client, sample_workbook(20, seed=71))
        end = await tab.evaluate(f"feed.finished('job:{job_id}').then(({{ status }}) => status)")
    assert end == "DONE"
    assert "connection: live" in " ".join(lines)
    assert any(line.startswith(f"job:{job_id} DONE") for line in lines)
    lines.clear()
    await paste(tab, WATCH, ENDS)
    assert any(line.startswith(f"{job_id} DONE") for line in lines)


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
