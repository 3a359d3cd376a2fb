"""What the tests of the page's views share: pages that are signed in, and records that are published for them."""

import re
import time
from collections.abc import Iterable
from typing import Any

from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from harness.browser import new_context
from harness.system import PASSWORD, System, tenant_of
from realtime.publish import Publisher
from realtime.records.record import draft_record
from tests.page.test_imports import fill_in

WITHOUT_A_ROW = re.compile(r"/api/v1/jobs/(?![0-9a-f]{8}-)[^/?]+/$")
"""The addresses at which a page asks once, some seconds after it was loaded, for jobs that other tests have published
without a row in the database. Jobs with a row have a UUID."""


class Console:
    """Opens pages of a system, each in a browser context of its own: they share no cookies."""

    def __init__(self, browser: Browser, system: System) -> None:
        self._browser, self._system = browser, system
        self.address = system.address
        self.contexts: list[BrowserContext] = []

    async def open(self, path: str = "/", username: str = "owner", academy: str = "hanbit", **context: Any) -> Page:
        """Open an address and sign in there."""
        page = await self.open_signed_out(path, **context)
        await fill_in(page, academy, username, PASSWORD)
        return page

    async def open_signed_out(self, path: str = "/", **context: Any) -> Page:
        """Open an address in a new browser context, in which nobody is signed in."""
        self.contexts.append(await new_context(self._browser, **context))
        page = await self.contexts[-1].new_page()
        await page.goto(self.address + path)
        return page

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement in the product's database, and return its rows."""
        return self._system.query(statement)

    def publish(self, topic: str, status: str, *, attempt: int = 1, academy: str = "hanbit", **record: Any) -> None:
        """Publish the status of a job, as a worker does."""
        self.publish_at_once([{"topic": topic, "status": status, "attempt": attempt, **record}], academy=academy)

    def publish_at_once(self, records: Iterable[dict[str, Any]], academy: str = "hanbit") -> None:
        """Publish the statuses of several jobs, all at the same moment."""
        drafts = [draft_record(**({"attempt": 1, "published_at": time.time()} | record)) for record in records]
        tenant_id = tenant_of(self._system, academy)
        with Publisher.from_url(self._system.redis.url) as publisher:
            publisher.publish_many([(tenant_id, draft) for draft in drafts])


async def is_live(page: Page) -> None:
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")


def job(page: Page, name: str) -> Locator:
    """Return the card of a job in the list of all jobs."""
    return page.locator("#now-list > li").filter(has=page.get_by_role("link", name=name, exact=True))


async def shows(page: Page, view: str) -> None:
    """Wait until the page shows a view, and its heading has the focus."""
    await expect(page.locator(f"#{view}-title")).to_be_focused()
