"""Fixtures: a browser with empty tabs that import the client's modules, and a scripted server for its WebSockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Route, WebSocketRoute

from embedded.home import PROJECT
from harness.browser import new_context, running_chromium
from harness.system import PATIENCE_SECONDS

MODULES = PROJECT / "realtime" / "client"
ORIGIN = "http://localhost:9/"
"""Nothing serves this address: the tests answer each request. Browsers give Web Locks only to https and localhost."""
CONNECT = """async ({ share, details }) => {
  const { connect } = await import("/client.js");
  Object.assign(window, { seen: [], states: [], resolved: [], tickets: 0, share, hold: null });
  window.feed = connect({
    ticket: async () => ({
      ticket: `t${++tickets}`, expires_in: 60, share: window.share, websocket_url: "ws://localhost:9/ws/events/",
      events_url: "http://localhost:9/api/v1/events/", snapshot_url: "http://localhost:9/api/v1/realtime/snapshot/",
    }),
    resolve: async (topic) => { resolved.push(topic); return window.hold ?? details[topic] ?? null; },
  });
  feed.on("state", ({ state, code }) => states.push(`${state} ${code}`));
  feed.watch("*", (record) => seen.push(`${record.topic} ${record.status} ${record.offset}`));
}"""


def record(topic: str, status: str, offset: int, attempt: int = 1) -> dict[str, Any]:
    return {"offset": offset, "topic": topic, "attempt": attempt, "status": status}


class Connection:
    """The server's side of one connection of a tab."""

    def __init__(self, page: Page, socket: WebSocketRoute) -> None:
        self.page, self.socket = page, socket
        self.query = parse_qs(urlsplit(socket.url).query)
        self.closed = asyncio.Event()
        self._frames: asyncio.Queue[Any] = asyncio.Queue()
        socket.on_message(lambda text: self._frames.put_nowait(json.loads(text)))
        socket.on_close(lambda *_: self.closed.set())

    async def next_frame(self) -> Any:
        return await asyncio.wait_for(self._frames.get(), PATIENCE_SECONDS)

    def send(self, kind: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def greet(
        self, place: str, records: list[dict[str, Any]], *, recovered: bool = False, ping_seconds: float = 25
    ) -> None:
        self.send("welcome", connection="c-1", ping_seconds=ping_seconds, expires_in=3600)
        self.send("snapshot", id=None, place=place, recovered=recovered, more=False, records=records)


class Tabs:
    """Tabs of one browser, and the scripted server to which they connect."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.connections: asyncio.Queue[Connection] = asyncio.Queue()

    async def open(self) -> Page:
        """Open an empty tab whose WebSockets connect to this server."""
        page = await self.context.new_page()
        await page.route_web_socket(
            "**/ws/events/**", lambda socket: self.connections.put_nowait(Connection(page, socket))
        )
        await page.goto(ORIGIN)
        return page

    async def connected(self, share: str = "s1", details: dict[str, Any] | None = None) -> Page:
        """Open a tab, and let it call `connect()`."""
        page = await self.open()
        await self.connect(page, share, details)
        return page

    async def connect(self, page: Page, share: str = "s1", details: dict[str, Any] | None = None) -> None:
        """Call `connect()` in an empty tab."""
        await page.evaluate(CONNECT, {"share": share, "details": details or {}})

    async def next(self) -> Connection:
        """Return the next connection that a tab opens."""
        return await asyncio.wait_for(self.connections.get(), PATIENCE_SECONDS)


async def until(page: Page, condition: str) -> None:
    await page.wait_for_function(f"() => {condition}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with running_chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def tabs(browser: Browser) -> AsyncIterator[Tabs]:
    context = await new_context(browser)
    await context.route("**/*", _answer)
    yield Tabs(context)
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def module_page(browser: Browser) -> AsyncIterator[Page]:
    """Open an empty tab at `http://page.test`, with the client's modules. Without https, it shares no connection."""
    context = await new_context(browser)
    await context.route("**/*", _answer)
    page = await context.new_page()
    await page.goto("http://page.test/")
    yield page
    await context.close()


async def _answer(route: Route) -> None:
    name = urlsplit(route.request.url).path.removeprefix("/")
    if name.endswith(".js"):
        await route.fulfill(path=MODULES / name, content_type="text/javascript")
    elif name:
        await route.fulfill(status=404)
    else:
        await route.fulfill(body="<!doctype html><title>test</title>", content_type="text/html")
