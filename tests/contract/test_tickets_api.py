"""Tests of renewing tickets over HTTP, of errors, and of the poll for a snapshot."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest

from harness.sign_ins import signed_in
from harness.system import PATIENCE_SECONDS, System, new_ticket, tenant_of
from realtime.publish import Publisher

TICKET = "/api/v1/realtime/ticket/"
SNAPSHOT = "/api/v1/realtime/snapshot/"


@pytest.fixture
async def client(system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with system.client() as found:
        yield found


def aged(system: System, ticket: str, seconds: float) -> str:
    """Return the ticket as if it had been issued this many seconds ago."""
    claims = jwt.decode(ticket, system.ticket_key(), ["HS256"], audience="realtime", options={"verify_exp": False})
    claims |= {name: claims[name] - seconds for name in ("iat", "exp", "first")}
    return jwt.encode(claims, system.ticket_key(), "HS256")


async def renew(client: httpx.AsyncClient, ticket: str, **more: Any) -> httpx.Response:
    return await client.post(TICKET, json={"renew": ticket, **more})


def topics_of(system: System, ticket: str) -> list[str]:
    claims = jwt.decode(ticket, system.ticket_key(), ["HS256"], audience="realtime")
    topics: list[str] = claims["topics"]
    return topics


async def test_renewing_keeps_the_topics_even_of_an_expired_ticket(system: System, client: httpx.AsyncClient) -> None:
    first = await new_ticket(client, {"topics": ["job:1", "video:*"]})
    again = (await renew(client, aged(system, first["ticket"], 11 * 3600))).json()
    assert topics_of(system, again["ticket"]) == ["job:1", "video:*"]
    assert again["share"] == first["share"]


async def test_after_twelve_hours_the_rights_are_checked_again(system: System, client: httpx.AsyncClient) -> None:
    first = await new_ticket(client, {"topics": ["job:1"]})
    renewed = (await renew(client, aged(system, first["ticket"], 11 * 3600))).json()["ticket"]
    answer = await renew(client, aged(system, renewed, 2 * 3600))
    assert answer.status_code == 401
    assert answer.json()["message"] == "The ticket is too old to renew: get a new one, without renew."


async def test_a_ticket_of_a_session_that_has_ended_is_not_renewed_by_another_session(system: System) -> None:
    async with await signed_in(system) as ended, await signed_in(system) as session:
        old = (await new_ticket(ended))["ticket"]
        assert (await renew(session, old)).status_code == 200
        await ended.post("/api/v1/auth/logout/")
        answer = await renew(session, old)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
        assert (await session.post(TICKET)).status_code == 200


async def test_nobody_renews_the_ticket_of_another_user(system: System, client: httpx.AsyncClient) -> None:
    async with system.client(username="staff") as colleague, system.client("saebom") as stranger:
        mine = (await new_ticket(client))["ticket"]
        assert (await renew(colleague, mine)).status_code == 403
        assert (await renew(stranger, mine)).status_code == 403


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"renew": 1}, "renew must be a ticket."),
        ({"cookie": "yes"}, "cookie must be true or false."),
        ({"renew": "x", "topics": ["job:1"]}, "A renewed ticket keeps its topics"),
        ({"other": 1}, "The body must be a JSON object"),
        ([], "The body must be a JSON object"),
    ],
)
async def test_a_wrong_body_gets_a_sentence(client: httpx.AsyncClient, body: Any, message: str) -> None:
    answer = await client.post(TICKET, json=body)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(message)


async def test_the_poll_answers_with_the_json_of_a_snapshot(
    system: System,
    client: httpx.AsyncClient,
    publisher_of: Publisher,
) -> None:
    await system.until_idle()  # each record changes the place
    tenant_id = tenant_of(system, "hanbit")
    publisher_of.status(tenant_id=tenant_id, topic="poll:a", attempt=1, status="DONE")
    async with await system.watcher(client, topics="poll:*") as watcher:
        frame = await watcher.read_until("snapshot")
    polled = await client.get(SNAPSHOT, params={"topics": "poll:*"})
    assert polled.status_code == 200
    assert polled.json() == frame
    assert polled.headers["cache-control"] == "no-store"
    publisher_of.status(tenant_id=tenant_id, topic="poll:b", attempt=1, status="DONE")
    await asyncio.wait_for(_polled(client, "poll:b"), PATIENCE_SECONDS)
    later = (await client.get(SNAPSHOT, params={"topics": "poll:*", "since": frame["place"]})).json()
    assert (later["recovered"], [record["topic"] for record in later["records"]]) == (True, ["poll:b"])


async def _polled(client: httpx.AsyncClient, topic: str) -> None:
    while topic not in (await client.get(SNAPSHOT, params={"topics": "poll:*"})).text:
        await asyncio.sleep(0.01)


async def test_the_poll_names_topics_without_a_record(client: httpx.AsyncClient) -> None:
    polled = (await client.get(SNAPSHOT, params={"topics": "job:never"})).json()
    assert polled["records"] == [{"topic": "job:never", "status": "UNKNOWN"}]


async def test_the_poll_takes_a_ticket_or_an_access_token_and_nothing_else(
    system: System, client: httpx.AsyncClient
) -> None:
    narrow = (await new_ticket(client, {"topics": ["job:1"]}))["ticket"]
    async with httpx.AsyncClient(base_url=system.address) as bare:

        async def poll(token: str, topics: str = "") -> httpx.Response:
            return await bare.get(SNAPSHOT, params={"topics": topics}, headers={"Authorization": f"Bearer {token}"})

        assert (await bare.get(SNAPSHOT)).status_code == 401
        assert (await poll("rubbish")).status_code == 401
        assert (await poll(narrow)).status_code == 200
        assert (await poll(narrow, "job:2")).status_code == 403
        assert (await poll(narrow, "Job:2")).status_code == 400
        assert (await bare.post(SNAPSHOT)).status_code == 405


async def test_a_student_polls_with_a_ticket_that_names_the_topics(system: System) -> None:
    async with system.client(username="student") as student:
        assert (await student.get(SNAPSHOT)).status_code == 403
        assert (await student.post(TICKET, json={"topics": ["job:1"]})).status_code == 403
