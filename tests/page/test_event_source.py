"""The browser's own EventSource, with a ticket in a cookie: it reconnects after the ticket expired, and misses nothing.

The tests run in Chromium and in Firefox, because each reconnects in its own way.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio

from embedded.plan import Web
from harness.browser import new_context, running_chromium
from harness.firefox import running_firefox
from harness.system import PASSWORD, System, tenant_of
from realtime.publish.publisher import Publisher
from tests.docs.pages import page as page_of_docs
from tests.page.front_door import FrontDoor

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ACCOUNT = {"tenant": "hanbit", "username": "owner", "password": PASSWORD}
SIGN_IN = """async (account) => {
  const post = (path, body, headers) => fetch(path, {
    method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers },
  }).then((answer) => answer.json());
  const { access } = await post("/api/v1/auth/token/", account);
  const { ticket } = await post("/api/v1/realtime/ticket/", { cookie: true }, { Authorization: `Bearer ${access}` });
  return ticket;
}"""
LISTEN = """() => {
  window.seen = [];
  window.source = new EventSource("/api/v1/events/?tenant=hanbit&topics=native:*");
  for (const kind of ["welcome", "snapshot", "records", "ping", "closing"]) {
    source.addEventListener(kind, (event) => seen.push({ ...JSON.parse(event.data), id: event.lastEventId }));
  }
}"""
HAS = """(topic) => window.seen.some((frame) => (frame.records ?? []).some((record) => record.topic === topic))"""


@asynccontextmanager
async def chromium_at(address: str) -> AsyncIterator[None]:
    async with running_chromium() as browser:
        page = await (await new_context(browser)).new_page()
        await page.goto(address)
        yield


@asynccontextmanager
async def firefox_at(address: str, folder: Path) -> AsyncIterator[None]:
    async with running_firefox(folder) as firefox:
        await firefox.open(address)
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["chromium", "firefox"])
async def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FrontDoor]:
    """Open the page of a FrontDoor in a browser, and yield the FrontDoor."""
    async with FrontDoor() as door:
        at = chromium_at(door.address)
        if request.param == "firefox":
            at = firefox_at(door.address, tmp_path_factory.mktemp("firefox"))
        async with at:
            yield door


@pytest.fixture(scope="module")
def web(system: System) -> Iterator[Web]:
    """Run a server of the product that these tests may kill."""
    with system.another_web() as web:
        yield web


@pytest.fixture
def door(opened: FrontDoor, web: Web) -> FrontDoor:
    opened.target = web.port
    opened.refusals.clear()
    opened.reload()
    return opened


async def frames(door: FrontDoor, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await door.evaluate("(kind) => seen.filter((frame) => frame.type === kind)", kind)
    return found


async def age_cookie(door: FrontDoor, system: System, seconds: int) -> None:
    """Make the cookie's ticket older by `seconds`, so that it expires before the connection's lifetime is over."""
    cookie = door.cookies["realtime_hanbit"]
    assert cookie["httponly"]
    claims = jwt.decode(cookie.value, system.ticket_key(), ["HS256"], audience="realtime-cookie")
    for name in ("iat", "exp"):
        claims[name] -= seconds
    await door.set_cookie("realtime_hanbit", jwt.encode(claims, system.ticket_key(), "HS256"))


async def test_an_event_source_reconnects_after_the_ticket_expired_and_misses_nothing(
    door: FrontDoor, system: System, web: Web
) -> None:
    publisher, tenant_id = Publisher.from_url(system.redis.url), tenant_of(system, "hanbit")

    def publish(topic: str) -> None:
        publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status="DONE")

    await door.evaluate(SIGN_IN, ACCOUNT)
    await door.evaluate(LISTEN)
    first, missed, after = (f"native:{word}-{door.port}" for word in ("first", "missed", "after"))
    publish(first)
    await door.wait_for(HAS, first)
    await age_cookie(door, system, 1800)
    web.kill()
    publish(missed)
    web.start()
    await door.wait_for(HAS, missed)
    publish(after)
    await door.wait_for(HAS, after)
    snapshots = await frames(door, "snapshot")
    told = [record["topic"] for frame in await frames(door, "records") for record in frame["records"]]
    assert [frame["recovered"] for frame in snapshots] == [False, True]
    assert [record["topic"] for record in snapshots[1]["records"]] == [missed]
    assert told.count(after) == 1
    assert snapshots[1]["id"] == snapshots[1]["place"]
    # The address contains no token, because addresses are logged.
    assert await door.evaluate("() => source.url.includes('eyJ')") is False
    await door.evaluate("() => source.close()")
    publisher.close()


SHOW = """([code, account]) => {
  window.seen = [];
  const post = (path, body, headers) => fetch(path, {
    method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers },
  }).then((answer) => answer.json());
  const access = post("/api/v1/auth/token/", account).then((answer) => answer.access);
  const getCookie = async () => post("/api/v1/realtime/ticket/", { cookie: true }, {
    Authorization: `Bearer ${await access}`,
  });
  Math.random = () => 0;
  new Function(`${code}; return watchEvents;`)()(
    "/api/v1/events/?tenant=hanbit&topics=native:*", getCookie, (frame) => seen.push(frame),
  );
}"""


async def test_the_documented_page_replaces_an_event_source_that_the_browser_gave_up_and_misses_nothing(
    door: FrontDoor, system: System, web: Web
) -> None:
    code, _fold, _client = page_of_docs("docs/reference/realtime-protocol.md").fenced("js")
    door.refusals += [502, 429, 503, 401]
    with Publisher.from_url(system.redis.url) as publisher:

        def publish(topic: str) -> None:
            publisher.status(tenant_id=tenant_of(system, "hanbit"), topic=topic, attempt=1, status="DONE")

        await door.evaluate(SHOW, [code, ACCOUNT])
        before, meanwhile = (f"native:{word}-{door.port}" for word in ("before", "meanwhile"))
        publish(before)
        await door.wait_for(HAS, before)
        assert door.refusals == []
        web.kill()
        door.refusals.append(502)
        publish(meanwhile)
        web.start()
        await door.wait_for(HAS, meanwhile)
        assert door.refusals == []
        snapshots = await frames(door, "snapshot")
        assert [frame["recovered"] for frame in snapshots] == [False, True]
        assert [record["topic"] for record in snapshots[1]["records"]] == [meanwhile]


@pytest.mark.parametrize("status", [502, 429, 503, 401])
async def test_a_native_event_source_stops_for_good_at_a_response_that_is_no_stream(
    door: FrontDoor, status: int
) -> None:
    door.refusals.append(status)
    ended = """() => new Promise((resolve) => {
      const source = new EventSource("/api/v1/events/");
      source.onerror = () => resolve(source.readyState === EventSource.CLOSED);
    })"""
    assert await door.evaluate(ended)
