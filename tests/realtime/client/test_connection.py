"""Tests of the client in one tab, with a scripted server: places, topics that are asked for by name, close codes."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, Route, WebSocketRoute

from harness.system import PATIENCE_SECONDS

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

START = """async (details) => {
  const { connect } = await import("/client.js");
  Object.assign(window, { seen: [], states: [], reasons: [], waits: [], resolved: [], tickets: 0, refusal: null });
  window.feed = connect({
    ticket: async () => {
      if (window.refusal) throw window.refusal;
      return {
        ticket: `t${++tickets}`, expires_in: 60, websocket_url: "ws://page.test/ws/events/",
        events_url: "http://page.test/api/v1/events/", snapshot_url: "http://page.test/api/v1/realtime/snapshot/",
      };
    },
    resolve: async (topic) => { resolved.push(topic); return details[topic] ?? null; },
  });
  // The first state is that of the constructor.
  for (const note of [({ state, code, reason, nextAt }) => {
    states.push(`${state} ${code}`);
    reasons.push(`${state} ${reason}`);
    waits.push(nextAt === null ? null : nextAt - Date.now());
  }]) {
    note(feed.status);
    feed.on("state", note);
  }
  feed.watch("*", (record) => seen.push(`${record.topic} ${record.status} ${record.offset}`));
}"""
WAIT = """async ([code, tries, retryAfter, random]) => {
  const { waitAfter } = await import("/waits.js");
  Math.random = () => random;
  return waitAfter(code, tries, retryAfter ?? undefined);
}"""


def record(topic: str, status: str, offset: int) -> dict[str, Any]:
    return {"offset": offset, "topic": topic, "attempt": 1, "status": status}


class Connection:
    """The server's end of one connection of the page."""

    def __init__(self, socket: WebSocketRoute) -> None:
        self.socket = socket
        self.query = parse_qs(urlsplit(socket.url).query)
        self._frames: asyncio.Queue[Any] = asyncio.Queue()
        socket.on_message(lambda text: self._frames.put_nowait(json.loads(text)))

    async def next_frame(self) -> Any:
        return await asyncio.wait_for(self._frames.get(), PATIENCE_SECONDS)

    def send(self, kind: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def greet(self, place: str, records: list[dict[str, Any]], *, recovered: bool = False) -> None:
        self.send("welcome", connection="c-1", ping_seconds=25, expires_in=3600)
        self.send("snapshot", id=None, place=place, recovered=recovered, more=False, records=records)


class Server:
    """A scripted server: it takes the page's connections, and reads the page's state."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._connections: asyncio.Queue[Connection] = asyncio.Queue()

    async def start(self, details: dict[str, Any] | None = None) -> Connection:
        await self.let_in()
        await self.page.evaluate(START, details or {})
        return await self.next()

    async def let_in(self) -> None:
        """Let WebSockets connect from now on. Before this call none can, as the host `page.test` does not exist."""
        await self.page.route_web_socket("**/ws/events/**", lambda ws: self._connections.put_nowait(Connection(ws)))

    async def start_blocked(self, details: dict[str, Any] | None = None) -> None:
        """Start the page as if behind a proxy that lets no WebSocket through."""
        await self.page.evaluate(START, details or {})

    async def answer(self, path: str, handle: Callable[[Route], Awaitable[None]]) -> None:
        await self.page.route(f"**{path}**", handle)

    async def stop_clock(self) -> None:
        """Stop the page's clock: its timers then run only by `page.clock.run_for`."""
        await self.page.clock.install(time=0)
        await self.page.clock.pause_at(1000)

    @property
    def called(self) -> bool:
        """Return whether the page has opened a connection that `next` has not returned yet."""
        return not self._connections.empty()

    async def next(self) -> Connection:
        return await asyncio.wait_for(self._connections.get(), PATIENCE_SECONDS)

    async def until(self, condition: str) -> None:
        await self.page.wait_for_function(f"() => {condition}")

    async def seen(self) -> list[str]:
        seen: list[str] = await self.page.evaluate("seen")
        return seen


@pytest.fixture
def server(module_page: Page) -> Server:
    return Server(module_page)


async def test_the_page_reconnects_with_its_place_and_a_new_ticket(server: Server) -> None:
    first = await server.start()
    assert first.query == {}
    first.greet("e.4.f", [record("job:a", "PENDING", 4)])
    first.send("records", place="e.5.f", records=[record("job:a", "PROCESSING", 5)])
    first.send("ping", place="e.6.f")
    assert await first.next_frame() == {"type": "pong"}
    await first.socket.close(code=4001, reason="no pong")
    second = await server.next()
    assert second.query == {"since": ["e.6.f"]}
    assert await server.page.evaluate("tickets") == 2
    second.greet("e.7.f", [record("job:a", "DONE", 7)], recovered=True)
    await server.until("seen.length === 3")
    assert await server.seen() == ["job:a PENDING 4", "job:a PROCESSING 5", "job:a DONE 7"]


async def test_a_snapshot_in_parts_is_treated_as_one(server: Server) -> None:
    connection = await server.start({})
    connection.greet("e.2.f", [record("job:a", "PROCESSING", 1), record("job:b", "PROCESSING", 2)])
    connection.send("snapshot", id=None, recovered=False, more=True, records=[record("job:a", "PROCESSING", 1)])
    connection.send(
        "snapshot", id=None, place="g.2.f", recovered=False, more=False, records=[record("job:c", "DONE", 2)]
    )
    assert (await connection.next_frame())["topics"] == ["job:b"]


async def test_topics_missing_in_a_new_epoch_are_asked_for_by_name_and_then_once_at_the_detail_endpoint(
    server: Server,
) -> None:
    connection = await server.start({"job:b": record("job:b", "DONE", 0)})
    connection.greet("e.3.f", [record(f"job:{name}", "PROCESSING", n) for n, name in enumerate("abc", 1)])
    connection.send("snapshot", id=None, place="g.0.f", recovered=False, more=False, records=[])
    asked = await connection.next_frame()
    assert (asked["type"], asked["topics"]) == ("subscribe", ["job:a", "job:b", "job:c"])
    assert await server.page.evaluate("feed.records.size") == 3
    unknown = [{"topic": topic, "status": "UNKNOWN"} for topic in ("job:b", "job:c")]
    connection.send("subscribed", id=asked["id"], place="g.0.x", records=[record("job:a", "DONE", 9), *unknown])
    assert (await connection.next_frame())["type"] == "unsubscribe"
    await server.until("seen.length === 6")
    assert await server.page.evaluate("resolved") == ["job:b", "job:c"]
    assert (await server.seen())[3:] == ["job:a DONE 9", "job:b DONE 0", "job:c UNKNOWN 0"]
    assert await server.page.evaluate("[...feed.records.keys()]") == ["job:a", "job:b"]


async def test_after_a_refused_question_the_detail_endpoint_is_asked(server: Server) -> None:
    connection = await server.start()
    connection.greet("e.1.f", [record("job:a", "PROCESSING", 1)])
    connection.send("snapshot", id=None, place="g.0.f", recovered=False, more=False, records=[])
    asked = await connection.next_frame()
    connection.send("error", id=asked["id"], code="forbidden_topic", message="no")
    await server.until("seen.at(-1) === 'job:a UNKNOWN 0'")
    assert await server.page.evaluate("resolved") == ["job:a"]


@pytest.mark.parametrize("code", [4400, 4401, 4403, 4410])
async def test_some_close_codes_stop_reconnecting(server: Server, code: int) -> None:
    connection = await server.start()
    connection.greet("e.1.f", [])
    await connection.socket.close(code=code, reason="stop")
    await server.until(f"states.at(-1) === 'stopped {code}'")


async def test_after_the_end_of_its_lifetime_a_connection_is_replaced_without_a_wait(server: Server) -> None:
    connection = await server.start()
    connection.greet("e.1.f", [])
    connection.send("closing", code=4100, reason="ticket or connection lifetime over")
    await connection.socket.close(code=4100, reason="lifetime")
    assert (await server.next()).query["since"] == ["e.1.f"]


async def test_a_connection_that_is_silent_for_two_pings_is_replaced(server: Server) -> None:
    await server.stop_clock()
    connection = await server.start()
    connection.greet("e.1.f", [])
    await server.until("states.at(-1) === 'live 0'")
    await server.page.clock.run_for(54_000)
    connection.send("ping", place="e.2.f")
    assert await connection.next_frame() == {"type": "pong"}
    await server.page.clock.run_for(29_000)
    assert await server.page.evaluate("states.at(-1)") == "live 0"
    await server.page.clock.run_for(2_000)  # a ping is overdue
    assert await server.page.evaluate("reasons.at(-1)") == "delayed silent"
    await server.page.clock.run_for(23_000)
    assert await server.page.evaluate("reasons.at(-1)") == "delayed silent"
    await server.page.clock.run_for(2_000)
    assert (await server.next()).query["since"] == ["e.2.f"]


async def test_an_online_event_ends_the_wait(server: Server) -> None:
    await server.stop_clock()
    connection = await server.start()
    await connection.socket.close(code=4002, reason="slow")
    await server.until("states.at(-1) === 'offline 4002'")
    await server.page.evaluate("dispatchEvent(new Event('online'))")
    await server.next()  # although the clock is stopped, so that the wait cannot run out


async def test_a_wait_requested_by_the_server_is_kept(server: Server) -> None:
    await server.stop_clock()
    connection = await server.start()
    connection.send("closing", code=4101, reason="too many connections", retry_after_ms=5000, limit="user")
    await connection.socket.close(code=4101, reason="too many connections")
    await server.until("states.at(-1) === 'refused 4101'")
    await server.page.evaluate("dispatchEvent(new Event('online'))")
    assert await server.page.evaluate("[tickets, reasons.at(-1), waits.at(-1)]") == [1, "refused too_many_user", 5000]
    await server.page.clock.run_for(5_001)
    await server.next()


async def test_without_a_network_the_feed_is_offline_at_once_and_reconnects_with_its_place(server: Server) -> None:
    connection = await server.start()
    connection.greet("e.1.f", [])
    await server.until("states.at(-1) === 'live 0'")
    assert await server.page.evaluate("(dispatchEvent(new Event('offline')), reasons.at(-1))") == "offline no_network"
    connection.send("ping", place="e.2.f")  # a frame that still arrives shows that the connection works
    await server.until("states.at(-1) === 'live 0'")
    await server.page.evaluate("dispatchEvent(new Event('offline'))")
    await server.page.evaluate("dispatchEvent(new Event('online'))")
    assert (await server.next()).query["since"] == ["e.2.f"]


async def test_a_feed_that_the_server_cannot_read_is_delayed_until_a_frame_has_a_place(server: Server) -> None:
    connection = await server.start()
    connection.greet("e.1.f", [])
    connection.send("delayed", seconds=6.2)
    await server.until("reasons.at(-1) === 'delayed server'")
    connection.send("ping", place="e.1.f")
    await server.until("states.at(-1) === 'live 0'")
    connection.send("delayed", seconds=5.1)
    await server.until("reasons.at(-1) === 'delayed server'")
    connection.send("records", place="e.2.f", records=[record("job:a", "DONE", 2)])
    await server.until("states.at(-1) === 'live 0'")


@pytest.mark.parametrize(
    ("status", "retry_after_ms", "reason"),
    [(503, 5000, "offline unavailable"), (429, 7000, "refused throttled"), (0, None, "offline lost")],
)
async def test_a_refused_ticket_is_not_shown_as_too_many_windows(
    server: Server, status: int, retry_after_ms: int | None, reason: str
) -> None:
    await server.stop_clock()
    connection = await server.start()
    await server.page.evaluate(
        "(refusal) => { window.refusal = refusal; }", {"status": status, "retryAfterMs": retry_after_ms}
    )
    await connection.socket.close(code=4100, reason="lifetime over")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await server.page.evaluate("reasons.at(-1)") != reason:  # the page learns of the close in real time
            await server.page.clock.run_for(1)
    assert await server.page.evaluate("waits.at(-1)") >= (retry_after_ms or 0)


def events(*frames: dict[str, Any]) -> str:
    return "".join(f"event: {frame['type']}\ndata: {json.dumps(frame)}\n\n" for frame in frames)


def snapshot(place: str, records: list[dict[str, Any]], *, recovered: bool = False) -> dict[str, Any]:
    return {"type": "snapshot", "id": None, "place": place, "recovered": recovered, "more": False, "records": records}


WELCOME = {"type": "welcome", "connection": "c-1", "ping_seconds": 25, "expires_in": 3600}


async def test_without_websockets_the_frames_come_as_server_sent_events(server: Server) -> None:
    asked: list[str] = []

    async def stream(route: Route) -> None:
        asked.append(route.request.url)
        assert route.request.headers["authorization"].startswith("Bearer t")
        if len(asked) > 1:
            await asyncio.Event().wait()
        body = events(WELCOME, snapshot("e.4.f", [record("job:a", "PENDING", 4)]), {"type": "ping", "place": "e.5.f"})
        await route.fulfill(body=body, content_type="text/event-stream")

    await server.answer("/api/v1/events/", stream)
    await server.start_blocked()
    await server.until("states.includes('live 0')")
    assert await server.page.evaluate("reasons.filter((reason) => reason === 'offline blocked').length") == 2
    assert await server.seen() == ["job:a PENDING 4"]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(asked) < 2:
            await asyncio.sleep(0.01)
    assert "since=e.5.f" in asked[1]


async def test_without_websockets_and_streams_the_page_polls_and_shows_it(server: Server) -> None:
    frames = [snapshot("e.4.f", [record("job:a", "PROCESSING", 4), record("job:b", "PROCESSING", 3)])]
    asked: list[dict[str, list[str]]] = []

    async def refuse(route: Route) -> None:
        await route.fulfill(status=502, body="Bad Gateway")

    async def poll(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        asked.append(query)
        if "topics" in query:  # a request for topics by name
            named = [record("job:b", "DONE", 9)] if query["topics"] == ["job:b"] else []
            await route.fulfill(json=snapshot("g.9.x", named))
        elif len(asked) == 1:
            await route.fulfill(json=frames[0])
        else:
            await route.fulfill(json=snapshot("g.8.f", [record("job:a", "DONE", 8)]))

    await server.answer("/api/v1/events/", refuse)
    await server.answer("/api/v1/realtime/snapshot/", poll)
    await server.start_blocked()
    await server.until("states.includes('polling 0')")
    assert not await server.page.evaluate("states.includes('live 0')")
    await server.until("seen.includes('job:b DONE 9')")
    assert await server.page.evaluate("resolved") == []
    assert {"since": ["e.4.f"]} in asked


async def test_polling_ends_as_soon_as_a_websocket_gets_through(server: Server) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=403, body="no")

    async def poll(route: Route) -> None:
        await route.fulfill(json=snapshot("e.4.f", []))

    await server.stop_clock()
    await server.answer("/api/v1/events/", refuse)
    await server.answer("/api/v1/realtime/snapshot/", poll)
    await server.start_blocked()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await server.page.evaluate("states.includes('polling 0')"):
            await server.page.clock.run_for(500)
    await server.let_in()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not server.called:  # on the page's clock, within a minute; its polls need real time
            await server.page.clock.run_for(250)
            await asyncio.sleep(0.01)
    connection = await server.next()
    assert connection.query["since"] == ["e.4.f"]
    assert await server.page.evaluate("states.at(-1)") == "polling 0"
    connection.greet("e.5.f", [record("job:a", "DONE", 5)], recovered=True)
    await server.until("states.at(-1) === 'live 0'")
    assert await server.seen() == ["job:a DONE 5"]


async def test_polls_are_rare_while_nothing_changes(module_page: Page) -> None:
    rhythm = (
        "async (cases) => { const { rhythm } = await import('/links.js'); return cases.map((one) => rhythm(...one)); }"
    )
    cases = [[0, True], [10_000, True], [60_000, True], [0, False]]
    assert await module_page.evaluate(rhythm, cases) == [1000, 2000, 5000, 5000]


async def test_the_ticket_is_renewed_before_it_ends(server: Server) -> None:
    connection = await server.start()
    connection.send("welcome", connection="c-1", ping_seconds=25, expires_in=1)
    assert await connection.next_frame() == {"type": "refresh", "ticket": "t2"}


@pytest.mark.parametrize(
    ("code", "tries", "retry_after", "random", "wait"),
    [
        (1012, 0, 1834, 0.9, 1834),  # not randomized: the server spreads its clients itself
        (1006, 0, None, 1, 500),
        (4002, 3, None, 0.5, 2000),
        (4102, 20, None, 1, 20_000),
        (4101, 0, 9000, 1, 9000),
        (4101, 6, 9000, 1, 20_000),
        (4100, 0, None, 1, 0),
        (4100, 2, None, 1, 2000),  # repeated 4100: no storm of reconnects
        (4499, 0, None, 1, None),
    ],
)
async def test_the_waits_between_tries(
    module_page: Page, code: int, tries: int, retry_after: int | None, random: float, wait: float | None
) -> None:
    assert await module_page.evaluate(WAIT, [code, tries, retry_after, random]) == wait
