"""Tests of Server-Sent Events of the running product, for programs and for the browser's own EventSource."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest

from academy.adapters.excel.sample import sample_workbook
from harness.event_stream import EventStream, RefusedStreamError
from harness.system import System, import_workbook, new_ticket, tenant_of
from realtime.publish import Publisher

pytestmark = pytest.mark.every_server

ORIGIN = {"Origin": "https://evil.example"}


@pytest.fixture
async def client(system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with system.client() as found:
        yield found


async def stream(client: httpx.AsyncClient, headers: dict[str, str] | None = None, **parameters: Any) -> EventStream:
    ticket = await new_ticket(client)
    return await EventStream.open(ticket["events_url"], ticket["ticket"], headers=headers, **parameters)


async def refusal(url: str, ticket: str | None = None, **more: Any) -> tuple[int, str]:
    with pytest.raises(RefusedStreamError) as refused:
        await EventStream.open(url, ticket, **more)
    return refused.value.answer.status_code, refused.value.answer.json()["message"]


async def test_an_import_is_seen_from_welcome_to_done(client: httpx.AsyncClient) -> None:
    async with await stream(client) as events:
        assert (await events.read())["type"] == "welcome"
        assert (await events.read())["type"] == "snapshot"
        job_id = await import_workbook(client, sample_workbook(400, seed=51))
        done = await events.until_terminal(f"job:{job_id}")
    assert done["status"] == "DONE"
    assert events.retry_ms is not None
    assert 1000 <= events.retry_ms <= 3000
    headers = events.answer.headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"


async def test_a_client_changes_the_transport_with_its_place_and_gets_each_record_once(
    system: System,
    client: httpx.AsyncClient,
    publisher_of: Publisher,
) -> None:
    tenant_id = tenant_of(system, "hanbit")

    def publish(topic: str) -> None:
        publisher_of.status(tenant_id=tenant_id, topic=topic, attempt=1, status="PROCESSING")

    publish("switch:a")
    async with await system.watcher(client, topics="switch:*") as watcher:
        place = (await watcher.read_until("snapshot"))["place"]
    publish("switch:b")
    async with await stream(client, topics="switch:*", since=place) as events:
        first = await events.read_until("snapshot")
        publish("switch:c")
        await events.until(lambda: "switch:c" in events.records)
    publish("switch:d")
    ticket = await new_ticket(client)
    polled = await client.get(
        ticket["snapshot_url"],
        params={"topics": "switch:*", "since": str(events.last_id)},
        headers={"Authorization": f"Bearer {ticket['ticket']}"},
    )
    publish("switch:e")
    async with await system.watcher(client, topics="switch:*", since=polled.json()["place"]) as last:
        final = await last.read_until("snapshot")
    told = [[record["topic"] for record in frame["records"]] for frame in (first, polled.json(), final)]
    assert told == [["switch:b"], ["switch:d"], ["switch:e"]]
    assert [frame["recovered"] for frame in (first, polled.json(), final)] == [True, True, True]


async def test_last_event_id_goes_before_the_place_in_the_address(
    system: System,
    client: httpx.AsyncClient,
    publisher_of: Publisher,
) -> None:
    tenant_id = tenant_of(system, "hanbit")
    async with await stream(client, topics="wins:*") as events:
        old = (await events.read_until("snapshot"))["place"]
        publisher_of.status(tenant_id=tenant_id, topic="wins:a", attempt=1, status="PENDING")
        await events.until(lambda: "wins:a" in events.records)
    headers = {"Last-Event-ID": str(events.last_id)}
    async with await stream(client, headers, topics="wins:*", since=old) as again:
        snapshot = await again.read_until("snapshot")
    assert (snapshot["recovered"], snapshot["records"]) == (True, [])


async def cookie_ticket(client: httpx.AsyncClient) -> str:
    """Request a ticket in a cookie. Return the ticket from the cookie of the academy `hanbit`."""
    answer = await client.post("/api/v1/realtime/ticket/", json={"cookie": True})
    return str(answer.cookies["realtime_hanbit"])


def cookie_of(system: System, ticket: str, **changed: Any) -> dict[str, str]:
    """Return a cookie header with a changed ticket, signed with the server's key.

    `changed` names claims that are times, and gives the seconds to add to each.
    """
    key = system.ticket_key()
    claims = jwt.decode(ticket, key, ["HS256"], audience="realtime-cookie")
    claims |= {name: claims[name] + seconds for name, seconds in changed.items()}
    return {"Cookie": f"realtime_hanbit={jwt.encode(claims, key, 'HS256')}"}


async def test_scripts_cannot_read_a_ticket_in_a_cookie(system: System, client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/realtime/ticket/", json={"cookie": True})
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=Strict", "Path=/api/v1/events/"):
        assert word in cookie
    assert "Secure" not in cookie  # the tests' server has no TLS
    claims = jwt.decode(answer.cookies["realtime_hanbit"], system.ticket_key(), ["HS256"], audience="realtime-cookie")
    assert claims["cookie"] == "realtime_hanbit"
    assert answer.json()["ticket"] not in cookie


async def test_the_cookie_opens_a_stream_of_the_named_tenant(client: httpx.AsyncClient) -> None:
    url = (await new_ticket(client))["events_url"]
    headers = {"Cookie": f"realtime_hanbit={await cookie_ticket(client)}"}
    async with await EventStream.open(url, headers=headers, tenant="hanbit") as events:
        assert (await events.read())["type"] == "welcome"
    assert (await refusal(url, headers=headers))[0] == 401
    assert (await refusal(url, headers=headers, tenant="saebom"))[0] == 401


async def test_an_expired_cookie_reconnects_the_browser_until_the_lifetime_ends(
    system: System, client: httpx.AsyncClient
) -> None:
    url, text = (await new_ticket(client))["events_url"], await cookie_ticket(client)
    expired = cookie_of(system, text, iat=-1800, exp=-1800)
    assert (await refusal(url, headers=expired, tenant="hanbit"))[0] == 401
    back = expired | {"Last-Event-ID": "none.0.0"}
    async with await EventStream.open(url, headers=back, tenant="hanbit") as events:
        welcome = await events.read()
    assert 1400 <= welcome["expires_in"] <= 2200  # an hour, more or less a tenth, of which 1800 s are over
    over = cookie_of(system, text, iat=-7200, exp=-7200) | {"Last-Event-ID": "none.0.0"}
    assert await refusal(url, headers=over, tenant="hanbit") == (
        401,
        "The ticket has expired: get a new one and connect again.",
    )


async def test_a_websocket_accepts_no_cookie(system: System, client: httpx.AsyncClient) -> None:
    ticket = await new_ticket(client)
    headers = {"Cookie": f"realtime_hanbit={await cookie_ticket(client)}"}
    code, _reason = await system.refused(ticket["websocket_url"] + "?tenant=hanbit", headers=headers)
    assert code == 4401


async def test_errors_before_the_stream_are_plain_http_with_a_sentence(
    system: System, client: httpx.AsyncClient
) -> None:
    ticket = await new_ticket(client)
    url, text = ticket["events_url"], ticket["ticket"]
    access = client.headers["Authorization"].removeprefix("Bearer ")
    assert (await refusal(url))[0] == 401
    assert (await refusal(url, access))[0] == 401
    assert (await refusal(url, text[:-3] + "AAA"))[0] == 401
    assert await refusal(url, text, headers=ORIGIN) == (403, "A page of this origin may not read events.")
    assert (await refusal(url, text, headers={"Origin": "null"}))[0] == 403
    assert await refusal(url, text, topics="Video:1") == (
        400,
        "'Video:1' is no topic: write kind:id, kind:* or *.",
    )
    assert (await client.post(url)).status_code == 405
    narrow = await new_ticket(client, {"topics": ["job:1"]})
    assert await refusal(url, narrow["ticket"], topics="job:2") == (403, "The ticket does not allow job:2.")


async def test_no_line_break_of_a_client_or_worker_gets_into_an_event(
    system: System,
    client: httpx.AsyncClient,
    publisher_of: Publisher,
) -> None:
    async with await stream(client, topics="lines:*", since="a\r\nevent: x") as events:
        await events.read_until("snapshot")
        publisher_of.status(
            tenant_id=tenant_of(system, "hanbit"),
            topic="lines:a",
            attempt=1,
            status="FAILED",
            error={"code": "x", "message": "one\r\ntwo\n\nevent: evil\u2028"},
        )
        await events.until(lambda: "lines:a" in events.records)
    assert events.records["lines:a"]["error"]["message"] == "one\r\ntwo\n\nevent: evil\u2028"
    assert {frame["type"] for frame in events.frames} == {"welcome", "snapshot", "records"}
