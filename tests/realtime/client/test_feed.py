"""Tests of the client's feed in one tab, with a scripted server: watching topics, and waiting for the end of a job."""

from typing import Any

import pytest
from playwright.async_api import Page

from tests.realtime.client.conftest import Connection, Tabs, record, until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
FINISHED = """async (topic) => {
  window.ends = window.ends ?? {};
  const end = (text) => { ends[topic] = text; };
  feed.finished(topic).then((record) => end(record.status), (error) => end(`${error.name} ${error.code}`));
}"""


async def live(tabs: Tabs, *records: dict[str, Any], details: dict[str, Any] | None = None) -> tuple[Page, Connection]:
    page = await tabs.connected(details=details)
    connection = await tabs.next()
    connection.greet("e.1.f", list(records))
    await until(page, "feed.state === 'live'")
    return page, connection


async def test_a_kind_of_topics_can_be_watched(tabs: Tabs) -> None:
    page, connection = await live(tabs, record("job:a", "PROCESSING", 1), record("video:1", "PROCESSING", 1))
    await page.evaluate("""() => { window.videos = []; feed.watch("video:*", ({ topic }) => videos.push(topic)); }""")
    connection.send("records", place="e.3.f", records=[record("job:a", "DONE", 2), record("video:2", "PENDING", 3)])
    await until(page, "videos.length === 2")
    assert await page.evaluate("videos") == ["video:1", "video:2"]


async def test_a_listener_that_throws_stops_no_other_listener(tabs: Tabs) -> None:
    page, connection = await live(tabs)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(error.message))
    await page.evaluate("""() => {
      window.calls = 0;
      feed.watch("*", () => { throw new Error("a listener"); });
      feed.watch("*", () => { calls += 1; });
    }""")
    connection.send("records", place="e.2.f", records=[record("job:a", "PENDING", 2)])
    connection.send("records", place="e.3.f", records=[record("job:a", "DONE", 3)])
    await until(page, "calls === 2")
    assert set(errors) == {"a listener"}


async def test_a_state_listener_that_throws_does_not_end_the_feed(tabs: Tabs) -> None:
    page, connection = await live(tabs)
    await page.evaluate("() => { feed.on('state', () => { throw new Error('a listener'); }); }")
    await connection.socket.close(code=4001)
    second = await tabs.next()
    second.greet("e.5.f", [record("job:a", "DONE", 5)], recovered=True)
    await until(page, "feed.records.has('job:a')")


async def test_an_answer_for_an_earlier_user_is_not_taken(tabs: Tabs) -> None:
    """The detail endpoint is asked again, as the present user."""
    page, connection = await live(tabs)
    await page.evaluate("""() => {
      window.answers = [];
      window.release = null;
      feed.watch("job:x", ({ status }) => answers.push(status));
    }""")
    question = await connection.next_frame()
    await page.evaluate("() => { hold = new Promise((resolve) => { release = resolve; }); }")
    connection.send("subscribed", id=question["id"], place="e.1.f", records=[{"topic": "job:x", "status": "UNKNOWN"}])
    await until(page, "resolved.length === 1")
    await page.evaluate("share = 's2'")
    await connection.socket.close(code=4001)
    second = await tabs.next()
    second.greet("g.1.f", [])
    await until(page, "feed.state === 'live'")
    await page.evaluate("() => { release({ topic: 'job:x', status: 'DONE', attempt: 1, offset: 0 }); hold = null; }")
    await until(page, "resolved.length === 2")
    await until(page, "answers.length === 0 || answers[0] === 'UNKNOWN'")
    assert await page.evaluate("feed.records.has('job:x')") is False


async def test_after_a_change_of_user_a_page_is_told_and_what_is_watched_by_name_is_asked_for_again(
    tabs: Tabs,
) -> None:
    page, connection = await live(tabs, record("job:a", "PROCESSING", 1), record("job:b", "DONE", 1))
    await page.evaluate("""() => {
      window.forgotten = [];
      feed.on("forget", (topics) => forgotten.push(topics));
      for (const topic of ["job:a", "job:x"]) feed.watch(topic, () => undefined);
    }""")
    await page.evaluate(FINISHED, "job:a")
    assert (await connection.next_frame())["topics"] == ["job:x"]
    await page.evaluate("share = 's2'")
    await connection.socket.close(code=4001)
    second = await tabs.next()
    assert await page.evaluate("forgotten") == [["job:a", "job:b", "job:x"]]
    assert await page.evaluate("feed.records.size") == 0
    second.greet("g.1.f", [record("job:x", "PROCESSING", 1)])
    question = await second.next_frame()
    assert question["topics"] == ["job:a"]
    unknown = {"topic": "job:a", "status": "UNKNOWN"}
    second.send("subscribed", id=question["id"], place="g.1.f", records=[unknown])
    await until(page, "ends['job:a'] === 'FeedError unknown_topic'")
    assert await page.evaluate("[...feed.records.keys()]") == ["job:x"]


async def test_a_page_that_stays_open_keeps_a_thousand_ends_and_is_told_which_it_forgets(tabs: Tabs) -> None:
    page, connection = await live(tabs, record("job:running", "PROCESSING", 1), record("job:named", "DONE", 2))
    await page.evaluate("""() => {
      window.forgotten = [];
      feed.on("forget", (topics) => forgotten.push(...topics));
      feed.watch("job:named", () => undefined);
    }""")
    for start in range(3, 1203, 300):
        records = [record(f"job:{number}", "DONE", number) for number in range(start, start + 300)]
        connection.send("records", place=f"e.{start + 299}.f", records=records)
    await until(page, "feed.records.has('job:1202')")
    assert await page.evaluate("feed.records.size") == 1002
    assert await page.evaluate("forgotten") == [f"job:{number}" for number in range(3, 203)]
    await page.evaluate(FINISHED, "job:3")  # what was forgotten is asked for by name
    question = await connection.next_frame()
    assert question["topics"] == ["job:3"]
    connection.send("subscribed", id=question["id"], place="e.1202.f", records=[record("job:3", "DONE", 3)])
    await until(page, "ends['job:3'] === 'DONE'")


async def test_the_end_of_a_job_is_awaited_over_a_new_connection(tabs: Tabs) -> None:
    page, connection = await live(tabs, record("job:a", "PROCESSING", 1))
    await page.evaluate(FINISHED, "job:a")
    await connection.socket.close(code=4001)
    second = await tabs.next()
    second.greet("e.5.f", [record("job:a", "FAILED", 5)], recovered=True)
    await until(page, "ends['job:a'] === 'FAILED'")


async def test_a_job_that_ended_before_the_page_was_loaded_is_found_by_name(tabs: Tabs) -> None:
    details = {"job:older": record("job:older", "DONE", 0)}
    page, connection = await live(tabs, details=details)
    for topic in ("job:old", "job:older", "job:none"):
        await page.evaluate(FINISHED, topic)
        question = await connection.next_frame()
        assert question["topics"] == [topic]
        known = record(topic, "CANCELLED", 1) if topic == "job:old" else {"topic": topic, "status": "UNKNOWN"}
        connection.send("subscribed", id=question["id"], place="e.1.f", records=[known])
        assert (await connection.next_frame())["type"] == "unsubscribe"
    await until(page, "Object.keys(ends).length === 3")
    ends = {"job:old": "CANCELLED", "job:older": "DONE", "job:none": "FeedError unknown_topic"}
    assert await page.evaluate("ends") == ends
    assert await page.evaluate("resolved") == ["job:older", "job:none"]


async def test_waiting_ends_when_the_feed_ends(tabs: Tabs) -> None:
    page, connection = await live(tabs, record("job:a", "PROCESSING", 1))
    await page.evaluate(FINISHED, "job:a")
    await connection.socket.close(code=4403)
    await until(page, "ends['job:a'] === 'FeedError 4403'")
    await page.evaluate(FINISHED, "job:b")
    await until(page, "ends['job:b'] === 'FeedError 4403'")


async def test_reconnect_ends_a_wait_at_once(tabs: Tabs) -> None:
    page, connection = await live(tabs)
    connection.send("closing", code=1012, reason="server restart", retry_after_ms=600_000)
    await connection.socket.close(code=1012)
    await until(page, "feed.state === 'offline'")
    assert await page.evaluate("feed.status.nextAt - Date.now() > 500000")
    await page.evaluate("feed.reconnect()")
    assert (await tabs.next()).query == {"since": ["e.1.f"]}


async def test_a_follower_can_end_the_wait_of_the_owner(tabs: Tabs) -> None:
    _, connection = await live(tabs)
    other = await tabs.connected()
    await until(other, "feed.state === 'live'")
    connection.send("closing", code=1012, reason="server restart", retry_after_ms=600_000)
    await connection.socket.close(code=1012)
    await until(other, "feed.state === 'offline' && feed.status.reason === 'restart'")
    await other.evaluate("feed.reconnect()")
    await tabs.next()


async def test_the_signal_closes_the_feed(tabs: Tabs) -> None:
    page = await tabs.open()
    await page.evaluate("""async () => {
      const { connect } = await import("/client.js");
      window.controller = new AbortController();
      const never = new Promise(() => undefined);
      window.feed = connect({ ticket: () => never, signal: controller.signal });
      window.waiting = feed.finished("job:a").catch((error) => error.name);
      controller.abort();
    }""")
    assert await page.evaluate("feed.state") == "stopped"
    assert await page.evaluate("waiting") == "FeedError"


async def test_a_rung_that_worked_is_remembered(tabs: Tabs) -> None:
    """Rung 2 of the ladder is polling. A page that finds it in the storage does not try WebSockets first."""
    page = await tabs.open()
    await page.evaluate("""() => localStorage.setItem("realtime.rung", `2 ${Date.now()}`)""")
    polls: list[str] = []
    await page.route("**/api/v1/realtime/snapshot/**", lambda route: _poll(route, polls))
    await tabs.connect(page)
    await until(page, "feed.state === 'polling'")
    assert polls
    assert tabs.connections.empty()


async def _poll(route: Any, polls: list[str]) -> None:
    polls.append(route.request.url)
    snapshot: dict[str, Any] = {
        "type": "snapshot",
        "id": None,
        "place": "e.1.f",
        "recovered": False,
        "more": False,
        "records": [],
    }
    await route.fulfill(json=snapshot)
