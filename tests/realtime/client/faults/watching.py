"""Tabs whose page watches all jobs of an academy with the client, and what the tests ask of them."""

import asyncio
import time
from collections.abc import Callable
from secrets import token_hex
from typing import Any, Protocol

from playwright.async_api import BrowserContext

from harness.system import System, tenant_of
from realtime.publish import Publisher
from realtime.records.record import Draft, draft_record

PATIENCE_SECONDS = 60.0
WATCH = """async (access) => {
  const { connect } = await import("/static/realtime/client.js");
  let waiting = [];
  const look = () => { waiting = waiting.filter(({ holds, resolve }) => !holds() || resolve()); };
  // `held` takes the place of the next ticket.
  Object.assign(window, { ends: {}, held: null, seen: [], states: [], tickets: 0 });
  window.until = (holds) => new Promise((resolve) => { waiting.push({ holds, resolve }); look(); });
  window.feed = connect({
    ticket: async () => {
      tickets += 1;
      const headers = { Authorization: `Bearer ${access}` };
      const answer = await fetch("/api/v1/realtime/ticket/", { method: "POST", headers });
      if (!answer.ok) throw Object.assign(new Error("No ticket"), { status: answer.status });
      const granted = await answer.json();
      const ticket = held ?? granted.ticket;
      held = null;
      return { ...granted, ticket };
    },
  });
  feed.on("state", (status) => { states.push(status); look(); });
  feed.watch("*", (record) => { seen.push(record); look(); });
}"""


class Tab(Protocol):
    """A tab of any browser. `evaluate` calls a JavaScript function, and returns its awaited result."""

    async def evaluate(self, function: str, argument: Any = None, /) -> Any: ...

    async def close(self) -> None: ...


class Browser(Protocol):
    """A running browser. All its tabs share their cookies and their storage."""

    async def open(self, address: str) -> Tab: ...


class ChromiumBrowser:
    def __init__(self, context: BrowserContext) -> None:
        self._context = context

    async def open(self, address: str) -> Tab:
        page = await self._context.new_page()
        await page.goto(address)
        return page


class Watching:
    """A tab that watches all jobs of an academy."""

    def __init__(self, tab: Tab, redis_url: str, tenant_id: int, closed: Callable[[Tab], None]) -> None:
        self.tab, self._closed = tab, closed
        self._redis_url, self._tenant_id = redis_url, tenant_id

    async def until(self, condition: str) -> None:
        """Wait until a condition in JavaScript holds. It is checked whenever a state or a record arrives."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.tab.evaluate(f"() => until(() => {condition})")
        except TimeoutError:
            states = await self.states()
            raise AssertionError(f"Waited in vain for {condition}. The states were: {states}") from None

    async def is_in(self, *states: str) -> None:
        """Wait until the connection is in one of these states."""
        await self.until(f"{list(states)}.includes(feed.state)")

    async def states(self) -> list[str]:
        """Return the states so far, each with its code and its reason."""
        told: list[str] = await self.tab.evaluate(
            "() => states.map(({ state, code, reason }) => [state, code, reason].filter(Boolean).join(' '))"
        )
        return told

    async def tickets(self) -> int:
        """Return how many tickets the client has asked for, which is how often it has tried to connect."""
        count: int = await self.tab.evaluate("() => tickets")
        return count

    async def begin(self) -> str:
        """Publish that a new job runs, and return its topic. The page begins to wait for the end of the job."""
        topic = f"job:{token_hex(4)}"
        await self.publish(topic, "PROCESSING")
        await self.until(f"feed.records.has('{topic}')")
        begin = "(topic) => { ends[topic] = feed.finished(topic).then(({ status }) => status); }"
        await self.tab.evaluate(begin, topic)
        return topic

    async def end_of(self, topic: str) -> str:
        """Wait until `finished` tells the end of a job that `begin` began, and return its status."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            status: str = await self.tab.evaluate("(topic) => ends[topic]", topic)
        return status

    async def publish(self, topic: str, status: str, **data: Any) -> None:
        """Publish the status of a job, as a worker does."""
        draft = draft_record(topic=topic, attempt=1, status=status, published_at=time.time(), data=data or None)
        await asyncio.to_thread(self._publish, draft)

    def _publish(self, draft: Draft) -> None:
        with Publisher.from_url(self._redis_url) as publisher:
            publisher.publish(self._tenant_id, draft)

    async def close(self) -> None:
        self._closed(self.tab)
        await self.tab.close()


class Tabs:
    """The tabs of one test. The test publishes jobs to the Redis at `redis_url`, which is by default the system's."""

    def __init__(self, browser: Browser, system: System, redis_url: str | None = None) -> None:
        self._browser, self._system, self._redis_url = browser, system, redis_url or system.redis.url
        self._opened: list[Tab] = []

    async def watch(self, address: str = "", academy: str = "hanbit", *, wait: bool = True) -> Watching:
        """Open a tab that watches the jobs of an academy. If `wait` is true, wait until its state is live or polling.

        `address` is by default the system's.
        """
        tab = await self._browser.open(f"{address or self._system.address}/")
        self._opened.append(tab)
        await tab.evaluate(WATCH, await asyncio.to_thread(self._system.access_token, academy, "owner"))
        watching = Watching(tab, self._redis_url, tenant_of(self._system, academy), self._opened.remove)
        if wait:
            await watching.is_in("live", "polling")
        return watching

    async def close(self) -> None:
        for tab in self._opened:
            await tab.close()
