"""The packed client in applications as its users write them: each is built and then driven in a browser."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.realtime.client.conftest import Connection, Tabs
from tests.realtime.client.package.conftest import run

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
Serve = Callable[[Path], AbstractContextManager[str]]


def record(status: str, offset: int, **fields: Any) -> dict[str, Any]:
    return {"offset": offset, "topic": "job:a", "attempt": 1, "status": status, **fields}


async def visit(tabs: Tabs, address: str) -> Page:
    page = await tabs.context.new_page()
    await page.route_web_socket("**/ws/events/**", lambda socket: tabs.connections.put_nowait(Connection(page, socket)))
    await page.route("**/*", lambda route: route.continue_())  # to the server, instead of the answers of `tabs`
    await page.goto(address)
    return page


async def see_a_job_end(tabs: Tabs, address: str) -> None:
    """Open an application that shows a job in its `<output>`. End the job, and check what the page shows."""
    page = await visit(tabs, address)
    connection = await tabs.next()
    connection.greet("e.1.f", [record("PROCESSING", 1, progress={"percent": 40})])
    await expect(page.locator("output")).to_have_text("job:a PROCESSING 40")
    connection.send("records", place="e.2.f", records=[record("DONE", 2, data={"rows": 312})])
    await expect(page.locator("output")).to_have_text("job:a has 312 rows")


async def test_a_strict_typescript_project_compiles_and_sees_a_job_end(
    tabs: Tabs, workshop: Path, serve: Serve
) -> None:
    run("tsc", "--project", "typescript", folder=workshop)
    with serve(workshop) as address:
        await see_a_job_end(tabs, f"{address}typescript/")


async def test_a_plain_page_imports_the_client_from_the_static_files(tabs: Tabs, workshop: Path, serve: Serve) -> None:
    with serve(workshop / "plain") as address:
        await see_a_job_end(tabs, address)


async def test_a_react_application_that_vite_builds_sees_a_job_end(tabs: Tabs, workshop: Path, serve: Serve) -> None:
    run("tsc", "--project", "react", folder=workshop)
    run("vite", "build", "react", "--logLevel", "warn", folder=workshop)
    with serve(workshop / "react" / "dist") as address:
        page = await visit(tabs, address)
        connection = await tabs.next()
        await expect(page.locator("#job")).to_have_text("nothing yet")
        connection.greet("e.1.f", [record("PROCESSING", 1, progress={"percent": 40})])
        await expect(page.locator("#job")).to_have_text("job:a 40 %")
        await expect(page.locator("#summary")).to_have_text("live, 1 jobs")
        connection.send("records", place="e.2.f", records=[record("DONE", 2)])
        await expect(page.locator("#job")).to_have_text("job:a has ended: DONE")
        await expect(page.locator("#ended")).to_have_text("1 ended")
        await expect(page.locator("realtime-devtools")).to_contain_text("live")
