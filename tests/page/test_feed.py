"""The connection of the page, against scripted frames of section 7: places, questions by name, close codes."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, WebSocketRoute

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

START = """async (details) => {
  const { connect } = await import("/feed.js");
  Object.assign(window, { seen: [], states: [], resolved: [], tickets: 0 });
  window.feed = connect({
    ticket: async () => ({ ticket: `t${++tickets}`, websocket_url: "ws://page.test/ws/events/" }),
    resolve: async (topic) => { resolved.push(topic); return details[topic] ?? null; },
    onState: (state, code) => states.push(`${state} ${code}`),
  });
  feed.watch("*", (record) => seen.push(`${record.topic} ${record.status} ${record.offset}`));
}"""
WAIT = """async ([code, tries, retryAfter, random]) => {
  const { waitAfter } = await import("/feed.js");
  return waitAfter(code, tries, retryAfter ?? undefined, () => random);
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
        return await asyncio.wait_for(self._frames.get(), 10)

    def send(self, kind: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def greet(self, place: str, records: list[dict[str, Any]], *, recovered: bool = False) -> None:
        self.send("welcome", connection="c-1", ping_seconds=25, expires_in=3600)
        self.send("snapshot", id=None, place=place, recovered=recovered, more=False, records=records)


class Server:
    """Takes the page's connections, and says what the page knows."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._connections: asyncio.Queue[Connection] = asyncio.Queue()

    async def start(self, details: dict[str, Any] | None = None) -> Connection:
        await self.page.route_web_socket("**/ws/events/**", lambda ws: self._connections.put_nowait(Connection(ws)))
        await self.page.evaluate(START, details or {})
        return await self.next()

    async def stop_clock(self) -> None:
        """From here on the page's timers run only by `page.clock.run_for`."""
        await self.page.clock.install(time=0)
        await self.page.clock.pause_at(1000)

    async def next(self) -> Connection:
        return await asyncio.wait_for(self._connections.get(), 10)

    async def until(self, condition: str) -> None:
        await self.page.wait_for_function(f"() => {condition}", timeout=10_000)

    async def seen(self) -> list[str]:
        seen: list[str] = await self.page.evaluate("seen")
        return seen


@pytest.fixture
def server(module_page: Page) -> Server:
    return Server(module_page)


async def test_it_comes_back_with_its_place_and_a_new_ticket(server: Server) -> None:
    first = await server.start()
    assert first.query == {"topics": ["*"]}
    first.greet("e.4.f", [record("job:a", "PENDING", 4)])
    first.send("records", place="e.5.f", records=[record("job:a", "PROCESSING", 5)])
    first.send("ping", place="e.6.f")
    assert await first.next_frame() == {"type": "pong"}
    await first.socket.close(code=4001, reason="no pong")
    second = await server.next()
    assert second.query == {"topics": ["*"], "since": ["e.6.f"]}
    assert await server.page.evaluate("tickets") == 2
    second.greet("e.7.f", [record("job:a", "DONE", 7)], recovered=True)
    await server.until("seen.length === 3")
    assert await server.seen() == ["job:a PENDING 4", "job:a PROCESSING 5", "job:a DONE 7"]


async def test_a_snapshot_in_parts_counts_as_one(server: Server) -> None:
    connection = await server.start({})
    connection.greet("e.2.f", [record("job:a", "PROCESSING", 1), record("job:b", "PROCESSING", 2)])
    connection.send("snapshot", id=None, recovered=False, more=True, records=[record("job:a", "PROCESSING", 1)])
    connection.send(
        "snapshot", id=None, place="g.2.f", recovered=False, more=False, records=[record("job:c", "DONE", 2)]
    )
    assert (await connection.next_frame())["topics"] == ["job:b"]


async def test_what_a_new_epoch_lost_is_asked_for_by_name_and_then_of_the_detail_endpoint_once(server: Server) -> None:
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


async def test_a_refused_question_goes_to_the_detail_endpoint(server: Server) -> None:
    connection = await server.start()
    connection.greet("e.1.f", [record("job:a", "PROCESSING", 1)])
    connection.send("snapshot", id=None, place="g.0.f", recovered=False, more=False, records=[])
    asked = await connection.next_frame()
    connection.send("error", id=asked["id"], code="forbidden_topic", message="no")
    await server.until("seen.at(-1) === 'job:a UNKNOWN 0'")
    assert await server.page.evaluate("resolved") == ["job:a"]


@pytest.mark.parametrize("code", [4400, 4401, 4403, 4410])
async def test_codes_that_stop(server: Server, code: int) -> None:
    connection = await server.start()
    connection.greet("e.1.f", [])
    await connection.socket.close(code=code, reason="stop")
    await server.until(f"states.at(-1) === 'stopped {code}'")


async def test_a_lifetime_that_is_over_costs_no_wait(server: Server) -> None:
    connection = await server.start()
    connection.greet("e.1.f", [])
    connection.send("closing", code=4100, reason="ticket or connection lifetime over")
    await connection.socket.close(code=4100, reason="lifetime")
    assert (await server.next()).query["since"] == ["e.1.f"]


async def test_a_link_that_falls_silent_for_two_pings_is_replaced(server: Server) -> None:
    await server.stop_clock()
    connection = await server.start()
    connection.greet("e.1.f", [])
    await server.until("states.at(-1) === 'live 0'")
    await server.page.clock.run_for(54_000)
    connection.send("ping", place="e.2.f")
    assert await connection.next_frame() == {"type": "pong"}
    await server.page.clock.run_for(54_000)
    assert await server.page.evaluate("states.at(-1)") == "live 0"
    await server.page.clock.run_for(2_000)
    assert (await server.next()).query["since"] == ["e.2.f"]


async def test_coming_back_online_ends_the_wait(server: Server) -> None:
    await server.stop_clock()
    connection = await server.start()
    await connection.socket.close(code=4002, reason="slow")
    await server.until("states.at(-1) === 'offline 4002'")
    await server.page.evaluate("dispatchEvent(new Event('online'))")
    await server.next()  # though the clock, which alone would end the wait, stands still


async def test_a_wait_that_the_server_asked_for_is_kept(server: Server) -> None:
    await server.stop_clock()
    connection = await server.start()
    connection.send("closing", code=4101, reason="too many connections", retry_after_ms=5000)
    await connection.socket.close(code=4101, reason="too many connections")
    await server.until("states.at(-1) === 'offline 4101'")
    await server.page.evaluate("dispatchEvent(new Event('online'))")
    assert await server.page.evaluate("tickets") == 1
    await server.page.clock.run_for(5_001)
    await server.next()


async def test_the_ticket_is_renewed_before_it_ends(server: Server) -> None:
    connection = await server.start()
    connection.send("welcome", connection="c-1", ping_seconds=25, expires_in=1)
    assert await connection.next_frame() == {"type": "refresh", "ticket": "t2"}


@pytest.mark.parametrize(
    ("code", "tries", "retry_after", "random", "wait"),
    [
        (1012, 0, 1834, 0.9, 1834),  # the server spreads its clients itself
        (1006, 0, None, 1, 500),
        (4002, 3, None, 0.5, 2000),
        (4102, 20, None, 1, 20_000),
        (4101, 0, 9000, 1, 9000),
        (4101, 6, 9000, 1, 20_000),
        (4100, 0, None, 1, 0),
        (4100, 2, None, 1, 2000),  # a server that says so again and again gets no storm
        (4499, 0, None, 1, None),
    ],
)
async def test_waits(
    module_page: Page, code: int, tries: int, retry_after: int | None, random: float, wait: float | None
) -> None:
    assert await module_page.evaluate(WAIT, [code, tries, retry_after, random]) == wait
