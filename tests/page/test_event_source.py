"""The browser's own EventSource with the cookie: it comes back past the ticket's expiry, and misses nothing."""

from typing import Any

import jwt
import pytest
from playwright.async_api import Browser, Page, Route

from embedded.plan import Web
from realtime.publish import Publisher
from tests.contract.test_websocket import tenant_of
from tests.docs.pages import page as page_of_docs
from tests.system import PASSWORD, System

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

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


async def frames(page: Page, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await page.evaluate("(kind) => seen.filter((frame) => frame.type === kind)", kind)
    return found


async def age_cookie(page: Page, system: System, web: Web, seconds: int) -> None:
    """What half an hour does to the ticket in the cookie: it has expired; the connection's lifetime is not over."""
    (cookie,) = await page.context.cookies(web.address + "/api/v1/events/")
    assert cookie["name"] == "realtime_hanbit"
    assert cookie["httpOnly"]
    claims = jwt.decode(cookie["value"], system.ticket_key(), ["HS256"], audience="realtime-cookie")
    for name in ("iat", "exp"):
        claims[name] -= seconds
    aged = jwt.encode(claims, system.ticket_key(), "HS256")
    await page.context.add_cookies(
        [
            {
                "name": cookie["name"],
                "value": aged,
                "url": web.address + "/api/v1/events/",
                "httpOnly": True,
                "sameSite": "Strict",
            }
        ]
    )


async def test_it_comes_back_by_itself_after_the_ticket_has_expired_and_misses_nothing(
    browser: Browser, system: System
) -> None:
    publisher, tenant_id = Publisher.from_url(system.redis.url), tenant_of(system, "hanbit")

    def publish(topic: str) -> None:
        publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status="DONE")

    with system.another_web() as web:
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(web.address)
        await page.evaluate(SIGN_IN, {"tenant": "hanbit", "username": "owner", "password": PASSWORD})
        await page.evaluate(LISTEN)
        publish("native:first")
        await page.wait_for_function(HAS, arg="native:first", timeout=30_000)
        await age_cookie(page, system, web, 1800)
        web.kill()
        publish("native:missed")
        web.start()
        await page.wait_for_function(HAS, arg="native:missed", timeout=60_000)
        publish("native:after")
        await page.wait_for_function(HAS, arg="native:after", timeout=30_000)
        snapshots = await frames(page, "snapshot")
        told = [record["topic"] for frame in await frames(page, "records") for record in frame["records"]]
        assert [frame["recovered"] for frame in snapshots] == [False, True]
        assert [record["topic"] for record in snapshots[1]["records"]] == ["native:missed"]
        assert told.count("native:after") == 1
        assert snapshots[1]["id"] == snapshots[1]["place"]
        # The address says nothing that a log should not hold.
        assert await page.evaluate("source.url.includes('eyJ')") is False
        await context.close()
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


async def test_the_documented_page_makes_a_new_one_where_the_browser_gives_up_and_misses_nothing(
    browser: Browser, system: System
) -> None:
    (code,) = page_of_docs("docs/reference/realtime-protocol.md").fenced("js")
    refusals = [502, 429, 503, 401]

    async def refuse_first(route: Route) -> None:
        if refusals:
            await route.fulfill(status=refusals.pop(0), body="refused")
        else:
            await route.continue_()

    with system.another_web() as web, Publisher.from_url(system.redis.url) as publisher:

        def publish(topic: str) -> None:
            publisher.status(tenant_id=tenant_of(system, "hanbit"), topic=topic, attempt=1, status="DONE")

        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(web.address)
        await page.route("**/api/v1/events/**", refuse_first)
        await page.evaluate(SHOW, [code, {"tenant": "hanbit", "username": "owner", "password": PASSWORD}])
        publish("native:before")
        await page.wait_for_function(HAS, arg="native:before", timeout=60_000)
        assert refusals == []
        web.kill()
        refusals.append(502)
        publish("native:meanwhile")
        web.start()
        await page.wait_for_function(HAS, arg="native:meanwhile", timeout=60_000)
        assert refusals == []
        snapshots = await frames(page, "snapshot")
        assert [frame["recovered"] for frame in snapshots] == [False, True]
        assert [record["topic"] for record in snapshots[1]["records"]] == ["native:meanwhile"]
        await context.close()


@pytest.mark.parametrize("status", [502, 429, 503, 401])
async def test_a_native_one_ends_for_good_at_an_answer_that_is_no_stream(module_page: Page, status: int) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=status, body="refused", headers={"Retry-After": "1"})

    await module_page.route("**/api/v1/events/**", refuse)
    ended = """() => new Promise((resolve) => {
      const source = new EventSource("/api/v1/events/");
      source.onerror = () => resolve(source.readyState === EventSource.CLOSED);
    })"""
    assert await module_page.evaluate(ended)
