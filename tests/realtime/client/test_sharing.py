"""The client in several tabs: they share one connection, and hand it over without losing or repeating a record."""

import asyncio

import pytest
from playwright.async_api import Page

from harness.system import PATIENCE_SECONDS
from tests.realtime.client.conftest import Connection, Tabs, record, until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def live(tabs: Tabs, count: int) -> tuple[list[Page], Connection]:
    """Open tabs that share a connection. Return them and the connection, which the first tab owns."""
    pages = [await tabs.connected()]
    connection = await tabs.next()
    connection.greet("e.1.f", [record("job:a", "PROCESSING", 1)])
    await until(pages[0], "feed.state === 'live'")
    pages += [await tabs.connected() for _ in range(count - 1)]
    for page in pages:
        await until(page, "feed.state === 'live' && feed.records.size === 1")
    return pages, connection


async def test_seven_tabs_hold_one_connection_and_all_see_each_record_once(tabs: Tabs) -> None:
    pages, connection = await live(tabs, 7)
    connection.send("records", place="e.2.f", records=[record("job:a", "DONE", 2)])
    for page in pages:
        await until(page, "feed.records.get('job:a').status === 'DONE'")
        assert await page.evaluate("seen") == ["job:a PROCESSING 1", "job:a DONE 2"]
    assert tabs.connections.empty()


async def test_tabs_of_two_users_share_nothing(tabs: Tabs) -> None:
    first, second = await tabs.connected("s1"), await tabs.connected("s2")
    for page, topic in ((first, "job:a"), (second, "job:b")):
        connection = await tabs.next()
        assert connection.page is page
        connection.greet("e.1.f", [record(topic, "PROCESSING", 1)])
        await until(page, "seen.length === 1")
    assert await first.evaluate("seen") == ["job:a PROCESSING 1"]
    assert await second.evaluate("seen") == ["job:b PROCESSING 1"]


async def test_when_the_owner_is_closed_another_tab_continues_at_the_same_place(tabs: Tabs) -> None:
    (owner, *others), connection = await live(tabs, 3)
    connection.send("records", place="e.2.f", records=[record("job:b", "PROCESSING", 2)])
    for page in others:
        await until(page, "seen.length === 2")
    await owner.close()
    successor = await tabs.next()
    assert successor.query["since"] == ["e.2.f"]
    successor.greet("e.3.f", [record("job:b", "DONE", 3)], recovered=True)
    for page in others:
        await until(page, "seen.length === 3")
        assert await page.evaluate("seen") == ["job:a PROCESSING 1", "job:b PROCESSING 2", "job:b DONE 3"]
    assert tabs.connections.empty()


async def test_a_counting_topic_never_goes_back_or_repeats_over_handovers(tabs: Tabs) -> None:
    pages, connection = await live(tabs, 4)
    survivor = pages[-1]
    count = 1
    for _ in range(3):
        for _ in range(200):
            count += 1
            connection.send("records", place=f"e.{count}.f", records=[record("job:a", "PROCESSING", count)])
        await pages.pop(0).close()
        connection = await tabs.next()
        # Answer the next tab as a server that has published one more record meanwhile.
        place = connection.query["since"][0]
        count += 1
        assert int(place.split(".")[1]) < count
        connection.greet(f"e.{count}.f", [record("job:a", "PROCESSING", count)], recovered=True)
        for page in pages:
            await until(page, f"feed.records.get('job:a').offset === {count}")
    offsets = [int(line.split()[-1]) for line in await survivor.evaluate("seen")]
    assert offsets == sorted(set(offsets))
    assert offsets[-1] == count


async def test_a_tab_that_missed_a_frame_gets_a_snapshot_from_the_owner(tabs: Tabs) -> None:
    (owner, other), connection = await live(tabs, 2)
    await owner.evaluate("""() => {
      const post = BroadcastChannel.prototype.postMessage;
      BroadcastChannel.prototype.postMessage = function (message) {
        BroadcastChannel.prototype.postMessage = post; // loses one message
      };
    }""")
    connection.send("records", place="e.2.f", records=[record("job:b", "PROCESSING", 2)])
    await until(owner, "seen.length === 2")
    connection.send("records", place="e.3.f", records=[record("job:c", "PROCESSING", 3)])
    await until(other, "feed.records.size === 3")
    assert await other.evaluate("seen") == ["job:a PROCESSING 1", "job:b PROCESSING 2", "job:c PROCESSING 3"]


async def test_a_topic_that_another_tab_watches_by_name_is_asked_for_once(tabs: Tabs) -> None:
    (_, other, _), connection = await live(tabs, 3)
    for page in (other, other):
        await page.evaluate("""() => { feed.watch("job:old", (record) => seen.push(`watched ${record.status}`)); }""")
    question = await connection.next_frame()
    assert (question["type"], question["topics"]) == ("subscribe", ["job:old"])
    connection.send("subscribed", id=question["id"], place="e.1.f.n", records=[record("job:old", "DONE", 0)])
    await until(other, "seen.includes('watched DONE')")
    assert (await connection.next_frame())["type"] == "unsubscribe"


# A frozen tab keeps its lock, and sends nothing to the other tabs.
FREEZE = """() => {
  window.post = BroadcastChannel.prototype.postMessage;
  BroadcastChannel.prototype.postMessage = () => undefined;
}"""
# Collects the kind of each message that tabs send to each other.
OVERHEAR = """() => {
  window.heard = [];
  window.ear = new BroadcastChannel("realtime.s1");
  ear.onmessage = ({ data }) => heard.push(data.kind ?? (data.status ? "status" : "other"));
}"""

# While `held` is a list, messages of other tabs are kept in it and not delivered.
HOLD = """() => {
  window.held = null;
  const property = Object.getOwnPropertyDescriptor(BroadcastChannel.prototype, "onmessage");
  Object.defineProperty(BroadcastChannel.prototype, "onmessage", {
    set(listener) {
      property.set.call(this, (event) => held ? held.push(() => listener(event)) : listener(event));
    },
  });
}"""


async def with_stopped_clock(tabs: Tabs, count: int) -> tuple[list[Page], Connection]:
    """Open tabs whose clock only the test moves. They share a connection, which the first tab owns."""
    await tabs.context.clock.install(time=0)
    await tabs.context.clock.pause_at(1000)
    pages, connection = await live(tabs, 1)
    for _ in range(count - 1):
        page = await tabs.open()
        await page.evaluate(HOLD)
        await tabs.connect(page)
        await until(page, "feed.state === 'live'")
        await page.evaluate(OVERHEAR)
        pages.append(page)
    return pages, connection


async def test_an_owner_that_is_silent_is_replaced_within_two_pings_and_follows_when_it_wakes(tabs: Tabs) -> None:
    (owner, other), connection = await with_stopped_clock(tabs, 2)
    await owner.evaluate(FREEZE)
    await tabs.context.clock.run_for(50_000)  # two pings
    successor = await tabs.next()
    assert (successor.page, successor.query["since"]) == (other, ["e.1.f"])
    successor.greet("e.2.f", [record("job:a", "DONE", 2)], recovered=True)
    await asyncio.wait_for(connection.closed.wait(), PATIENCE_SECONDS)
    await owner.evaluate("() => { BroadcastChannel.prototype.postMessage = post; }")
    successor.send("records", place="e.3.f", records=[record("job:b", "DONE", 3)])
    await until(owner, "feed.records.size === 2")
    assert await owner.evaluate("seen") == ["job:a PROCESSING 1", "job:a DONE 2", "job:b DONE 3"]
    assert tabs.connections.empty()


async def test_of_several_tabs_that_miss_the_owner_only_one_replaces_it(tabs: Tabs) -> None:
    """The timers of all tabs run out before any tab receives a message from another, as when a computer wakes up."""
    (owner, *others), _ = await with_stopped_clock(tabs, 4)
    await owner.evaluate(FREEZE)
    for page in others:
        await page.evaluate("() => { held = []; }")
    await tabs.context.clock.run_for(28_000)
    for page in others:
        await until(page, "held.length === 5")  # the feed hears the claims of the two other tabs; `ear` hears all three
        await page.evaluate("() => { const now = held; held = null; now.forEach((hear) => hear()); }")
    steals = """() => {
      window.steals = 0;
      const { request } = navigator.locks;
      navigator.locks.request = function (name, options, ...rest) {
        if (options.steal) steals += 1;
        return request.call(this, name, options, ...rest);
      };
    }"""
    for page in others:
        await page.evaluate(steals)
    await tabs.context.clock.run_for(2_000)
    successor = await tabs.next()
    successor.greet("e.2.f", [record("job:a", "DONE", 2)], recovered=True)
    for page in others:
        await until(page, "feed.records.get('job:a').status === 'DONE'")
    await tabs.context.clock.run_for(5_000)
    assert sum([await page.evaluate("steals") for page in others]) == 1
    assert tabs.connections.empty()


async def test_an_owner_that_has_nothing_to_say_answers_when_it_is_asked_and_stays(tabs: Tabs) -> None:
    (owner, other), connection = await with_stopped_clock(tabs, 2)
    for count in (1, 2, 3):
        await tabs.context.clock.run_for(28_000)
        await until(other, f"heard.filter((kind) => kind === 'status').length === {2 * count - 1}")
        connection.send("ping", place="e.1.f")
        await until(other, f"heard.filter((kind) => kind === 'status').length === {2 * count}")
    assert await other.evaluate("feed.state") == "live"
    assert tabs.connections.empty()
    connection.send("records", place="e.2.f", records=[record("job:b", "DONE", 2)])
    for page in (owner, other):
        await until(page, "feed.records.size === 2")


async def test_what_is_awaited_right_after_a_return_from_the_back_forward_cache_is_asked_for(tabs: Tabs) -> None:
    (_, other), connection = await live(tabs, 2)
    await other.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    await other.evaluate("""() => {
      dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
      feed.finished("job:old").then(({ status }) => seen.push(`finished ${status}`));
    }""")
    question = await connection.next_frame()
    assert question["topics"] == ["job:old"]
    connection.send("subscribed", id=question["id"], place="e.1.f", records=[record("job:old", "DONE", 0)])
    await until(other, "seen.includes('finished DONE')")


async def test_a_tab_in_the_back_forward_cache_hands_over_and_comes_back(tabs: Tabs) -> None:
    (owner, other), connection = await live(tabs, 2)
    await owner.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    successor = await tabs.next()
    assert successor.page is other
    successor.greet("e.2.f", [record("job:a", "DONE", 2)], recovered=True)
    await until(other, "seen.length === 2")
    assert await owner.evaluate("seen.length") == 1
    await owner.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    await until(owner, "seen.length === 2")
    assert await owner.evaluate("seen") == await other.evaluate("seen")
    await asyncio.wait_for(connection.closed.wait(), PATIENCE_SECONDS)
    assert tabs.connections.empty()


async def test_after_somebody_else_signed_in_nothing_of_the_earlier_user_is_left(tabs: Tabs) -> None:
    (owner, other), connection = await live(tabs, 2)
    await owner.evaluate("share = 's2'")
    await connection.socket.close(code=4001)
    found = [await tabs.next(), await tabs.next()]  # in any order
    second, third = found if found[0].page is owner else reversed(found)
    assert (second.page, second.query) == (owner, {})
    assert (third.page, third.query) == (other, {"since": ["e.1.f"]})
    second.greet("g.1.f", [record("job:b", "PROCESSING", 1)])
    await until(owner, "feed.records.has('job:b')")
    assert await owner.evaluate("[...feed.records.keys()]") == ["job:b"]
    third.greet("e.2.f", [record("job:c", "DONE", 2)], recovered=True)
    await until(other, "feed.records.size === 2")
    assert await other.evaluate("[...feed.records.keys()]") == ["job:a", "job:c"]


async def test_closing_a_tabs_feed_leaves_the_connection_to_the_others(tabs: Tabs) -> None:
    (owner, other), connection = await live(tabs, 2)
    await owner.evaluate("feed.close()")
    successor = await tabs.next()
    assert successor.page is other
    successor.greet("e.2.f", [record("job:a", "DONE", 2)], recovered=True)
    await until(other, "feed.records.get('job:a').status === 'DONE'")
    assert await owner.evaluate("feed.state") == "stopped"
    await asyncio.wait_for(connection.closed.wait(), PATIENCE_SECONDS)


async def test_a_revocation_ends_all_tabs(tabs: Tabs) -> None:
    pages, connection = await live(tabs, 3)
    await connection.socket.close(code=4410, reason="revoked")
    for page in pages:
        await until(page, "feed.state === 'stopped'")
        assert await page.evaluate("feed.status.code") == 4410
    assert tabs.connections.empty()
