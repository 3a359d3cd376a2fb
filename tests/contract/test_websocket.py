"""Tests of the WebSocket of the running product, with a client that was written from the protocol's description."""

import asyncio
import time
from contextlib import suppress
from itertools import pairwise

import jwt
import pytest
from redis import Redis
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from academy.adapters.excel.sample import sample_workbook
from harness.system import PATIENCE_SECONDS, System, import_workbook, new_ticket, tenant_of
from harness.watcher import Watcher, rank
from realtime.publish import Publisher
from realtime.records.transitions import Verdict

pytestmark = pytest.mark.every_server


async def test_an_import_is_seen_from_welcome_to_done_with_growing_offsets(system: System) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        welcome = await watcher.read()
        snapshot = await watcher.read()
        job_id = await import_workbook(client, sample_workbook(2000, seed=1))
        done = await watcher.until_terminal(f"job:{job_id}")
    assert welcome.keys() == {"type", "connection", "ping_seconds", "expires_in"}
    assert 3240 <= welcome["expires_in"] <= 3960
    assert snapshot.keys() == {"type", "id", "place", "recovered", "more", "records"}
    assert (snapshot["type"], snapshot["recovered"], snapshot["more"]) == ("snapshot", False, False)
    assert done["status"] == "DONE"
    assert sum(done["data"]["result"].values()) >= 2000
    mine = [record for record in watcher.history if record["topic"] == f"job:{job_id}"]
    assert all(before["offset"] < after["offset"] for before, after in pairwise(mine))
    assert all(rank(before["status"]) <= rank(after["status"]) for before, after in pairwise(mine))
    percents = [record["progress"]["percent"] for record in mine if record["progress"]]
    assert percents == sorted(percents)
    assert max(percents) < 100


async def test_with_a_place_only_later_changes_are_sent(system: System, publisher_of: Publisher) -> None:
    await system.until_idle()
    tenant_id = tenant_of(system, "hanbit")
    publisher_of.status(tenant_id=tenant_id, topic="job:before", attempt=1, status="DONE")
    async with system.client() as client:
        async with await system.watcher(client) as watcher:
            await watcher.until(lambda: "job:before" in watcher.records)
            place = str(watcher.place)
        publisher_of.status(tenant_id=tenant_id, topic="job:since", attempt=1, status="PROCESSING")
        publisher_of.status(tenant_id=tenant_id, topic="job:since", attempt=1, status="DONE")
        async with await system.watcher(client, since=place) as again:
            snapshot = await again.read_until("snapshot")
    assert snapshot["recovered"] is True
    assert [(record["topic"], record["status"]) for record in snapshot["records"]] == [("job:since", "DONE")]


async def test_a_place_works_on_a_feed_that_has_never_been_used(system: System) -> None:
    async with system.client("saebom") as client:
        async with await system.watcher(client, topics="unused:*") as watcher:
            place = (await watcher.read_until("snapshot"))["place"]
        async with await system.watcher(client, topics="unused:*", since=place) as again:
            snapshot = await again.read_until("snapshot")
    assert (snapshot["recovered"], snapshot["records"]) == (True, [])


async def test_a_place_from_other_topics_is_not_used(system: System) -> None:
    async with system.client() as client:
        async with await system.watcher(client) as watcher:
            place = (await watcher.read_until("snapshot"))["place"]
        async with await system.watcher(client, topics="job:*", since=place) as again:
            assert (await again.read_until("snapshot"))["recovered"] is False


@pytest.mark.parametrize("since", ["", "rubbish", "0.0.0", "a.99999999999999999999.b", "ffffffff.1.00000000", "%00"])
async def test_an_invalid_place_brings_a_whole_snapshot(system: System, since: str) -> None:
    async with system.client() as client, await system.watcher(client, since=since) as watcher:
        assert (await watcher.read_until("snapshot"))["recovered"] is False


async def test_each_accepted_publish_moves_the_feed_by_one(system: System, publisher_of: Publisher) -> None:
    await system.until_idle()
    tenant_id = tenant_of(system, "saebom")
    redis: Redis = Redis.from_url(system.redis.url)
    before = int(redis.hget(f"tenant:{tenant_id}:feed", "offset") or 0)
    verdicts = [
        publisher_of.status(tenant_id=tenant_id, topic="job:counted", attempt=attempt, status=status).verdict
        for attempt, status in [
            (1, "PENDING"),
            (1, "PROCESSING"),
            (1, "PENDING"),
            (2, "DONE"),
            (2, "DONE"),
            (1, "DONE"),
        ]
    ]
    after = int(redis.hget(f"tenant:{tenant_id}:feed", "offset") or 0)
    redis.close()
    assert after - before == verdicts.count(Verdict.ACCEPTED) == 3


async def test_no_byte_of_one_academy_reaches_another(system: System, publisher_of: Publisher) -> None:
    mine, other = tenant_of(system, "hanbit"), tenant_of(system, "saebom")
    async with (
        system.client("saebom") as client,
        await system.watcher(client) as all_of_it,
        await system.watcher(client, topics="job:secret") as by_name,
    ):
        await all_of_it.read_until("snapshot")
        named = await by_name.read_until("snapshot")
        publisher_of.status(tenant_id=mine, topic="job:secret", attempt=1, status="DONE")
        publisher_of.status(tenant_id=other, topic="job:own", attempt=1, status="DONE")
        await all_of_it.until(lambda: "job:own" in all_of_it.records)
        await by_name.send({"type": "subscribe", "id": 1, "topics": ["job:secret"]})
        answer = await by_name.read_until("subscribed")
    assert named["records"] == [{"topic": "job:secret", "status": "UNKNOWN"}]
    assert answer["records"] == [{"topic": "job:secret", "status": "UNKNOWN"}]
    assert "job:secret" not in all_of_it.records


async def test_topics_are_added_to_and_removed_from_an_open_connection(system: System, publisher_of: Publisher) -> None:
    tenant_id = tenant_of(system, "hanbit")
    publisher_of.status(tenant_id=tenant_id, topic="job:dyn1", attempt=1, status="PROCESSING")
    async with system.client() as client, await system.watcher(client, topics="job:dyn0") as watcher:
        await watcher.read_until("snapshot")
        await watcher.send({"type": "subscribe", "id": 7, "topics": ["job:dyn1", "job:nobody-knows"]})
        subscribed = await watcher.read_until("subscribed")
        publisher_of.status(tenant_id=tenant_id, topic="job:dyn1", attempt=1, status="DONE")
        await watcher.until_terminal("job:dyn1")
        await watcher.send({"type": "unsubscribe", "id": 8, "topics": ["job:dyn1"]})
        unsubscribed = await watcher.read_until("unsubscribed")
        publisher_of.status(tenant_id=tenant_id, topic="job:dyn1", attempt=2, status="DONE")
        publisher_of.status(tenant_id=tenant_id, topic="job:dyn0", attempt=1, status="DONE")
        await watcher.until_terminal("job:dyn0")
    assert subscribed["id"] == 7
    assert [(record["topic"], record["status"]) for record in subscribed["records"]] == [
        ("job:dyn1", "PROCESSING"),
        ("job:nobody-knows", "UNKNOWN"),
    ]
    assert unsubscribed["id"] == 8
    assert unsubscribed["place"].rpartition(".")[2] != subscribed["place"].rpartition(".")[2]
    assert watcher.records["job:dyn1"]["attempt"] == 1


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        ("{", "no JSON"),
        ("[]", 'JSON object with a "type"'),
        ('{"type":"publish"}', "no frame type"),
        ('{"type":"pong","extra":1}', "no others"),
        ('{"type":"subscribe","id":"x","topics":["job:1"]}', "whole number"),
        ('{"type":"subscribe","id":3,"topics":[]}', "at least one"),
        ('{"type":"subscribe","id":3,"topics":["tenant:1:feed"]}', "is no topic"),
        (b"\x00\x01", "binary"),
        ('{"type":"pong","x":"' + "y" * 9000 + '"}', "8192 are the most"),
    ],
)
async def test_a_malformed_frame_is_answered_with_a_sentence_and_the_connection_stays(
    system: System, frame: str | bytes, sentence: str
) -> None:
    async with system.client() as client, await system.watcher(client, topics="job:x") as watcher:
        await watcher.read_until("snapshot")
        await watcher.send(frame)
        error = await watcher.read_until("error")
        await watcher.send({"type": "subscribe", "id": 1, "topics": ["job:y"]})
        await watcher.read_until("subscribed")
    assert error["code"] == "bad_frame"
    assert sentence in error["message"]


async def test_the_tenth_malformed_frame_closes_the_connection(system: System) -> None:
    async with system.client() as client, await system.watcher(client, topics="job:x") as watcher:
        await watcher.read_until("snapshot")
        for _ in range(10):
            await watcher.send("nonsense")
        code, _ = await watcher.closed()
    assert code == 4400
    assert [frame["type"] for frame in watcher.frames].count("error") == 10
    assert watcher.frames[-1]["type"] == "closing"


async def test_too_many_frames_close_the_connection(system: System) -> None:
    async with system.client() as client, await system.watcher(client, topics="job:x") as watcher:
        await watcher.read_until("snapshot")
        with suppress(ConnectionClosed):  # the server may close the connection before the last frame is sent
            for _ in range(60):
                await watcher.send({"type": "pong"})
        assert (await watcher.closed())[0] == 4102


async def test_a_client_that_offers_no_ticket_is_told_what_to_do(system: System) -> None:
    url = system.address.replace("http", "ws") + "/ws/events/"
    async with connect(url) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), PATIENCE_SECONDS)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
    assert "No ticket was sent" in closed.value.rcvd.reason or not system.sends_close_reasons


def forged(ticket: str, **changes: object) -> str:
    """Return a ticket with changed claims, signed with another key."""
    claims = jwt.decode(ticket, options={"verify_signature": False})
    return jwt.encode(claims | changes, "somebody else's key, of sufficient length", "HS256")


@pytest.mark.parametrize(("kind", "code"), [("forged", 4401), ("access", 4401), ("garbled", 4401), ("expired", 4100)])
async def test_a_wrong_ticket_is_refused_with_a_code_that_says_what_to_do(system: System, kind: str, code: int) -> None:
    async with system.client() as client:
        ticket = await new_ticket(client)
        wrong = {
            "forged": forged(ticket["ticket"]),
            "access": client.headers["Authorization"].removeprefix("Bearer "),
            "garbled": ticket["ticket"][:-3],
            "expired": expired_ticket(system, ticket["ticket"]),
        }[kind]
        watcher = await Watcher.connect(ticket["websocket_url"], wrong)
        assert (await watcher.closed())[0] == code
    assert watcher.frames == []


def expired_ticket(system: System, ticket: str) -> str:
    """Return a ticket that has expired, signed with the product's key."""
    from realtime import conf  # noqa: PLC0415 - needs Django's settings

    claims = jwt.decode(ticket, options={"verify_signature": False})
    return jwt.encode(claims | {"exp": int(time.time()) - 1}, conf.ticket_key(), "HS256")


async def test_a_ticket_is_not_accepted_as_an_access_token(system: System) -> None:
    async with system.client() as client:
        ticket = (await new_ticket(client))["ticket"]
        answer = await client.get("/api/v1/jobs/", headers={"Authorization": f"Bearer {ticket}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://"])
async def test_a_page_of_another_site_cannot_connect(system: System, origin: str) -> None:
    async with system.client() as client:
        ticket = await new_ticket(client)
    subprotocols: list[object] = ["realtime.v1", f"ticket.{ticket['ticket']}"]
    with pytest.raises(InvalidStatus) as refused:
        await connect(ticket["websocket_url"], subprotocols=subprotocols, origin=origin)  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403


async def test_a_page_of_the_same_site_connects(system: System) -> None:
    async with system.client() as client:
        ticket = await new_ticket(client)
    subprotocols: list[object] = ["realtime.v1", f"ticket.{ticket['ticket']}"]
    async with connect(ticket["websocket_url"], subprotocols=subprotocols, origin=system.address) as socket:  # type: ignore[arg-type]
        assert '"welcome"' in str(await asyncio.wait_for(socket.recv(), PATIENCE_SECONDS))
        assert socket.subprotocol == "realtime.v1"


async def test_topics_that_the_ticket_does_not_allow_are_refused(system: System) -> None:
    async with system.client() as client:
        ticket = await new_ticket(client, {"topics": ["job:mine"]})
        watcher = await Watcher.connect(ticket["websocket_url"], ticket["ticket"], topics="job:other")
        assert (await watcher.closed())[0] == 4403
        async with await Watcher.connect(ticket["websocket_url"], ticket["ticket"]) as own:
            await own.read_until("snapshot")
            await own.send({"type": "subscribe", "id": 1, "topics": ["job:other"]})
            error = await own.read_until("error")
    assert (error["id"], error["code"]) == (1, "forbidden_topic")


async def test_a_student_gets_no_ticket_for_jobs(system: System) -> None:
    async with system.client("hanbit", "student") as client:
        everything = await client.post("/api/v1/realtime/ticket/")
        a_job = await client.post("/api/v1/realtime/ticket/", json={"topics": ["job:1"]})
    assert (everything.status_code, a_job.status_code) == (403, 403)
    assert everything.json()["code"] == a_job.json()["code"] == "forbidden_topic"


async def test_only_a_ticket_of_the_same_user_refreshes_a_connection(system: System) -> None:
    async with system.client() as mine, system.client("hanbit", "staff") as other:
        async with await system.watcher(mine) as watcher:
            await watcher.read_until("snapshot")
            await watcher.send({"type": "refresh", "ticket": (await new_ticket(other))["ticket"]})
            refused = await watcher.read_until("error")
            await watcher.send({"type": "refresh", "ticket": (await new_ticket(mine))["ticket"]})
            refreshed = await watcher.read_until("refreshed")
    assert refused["code"] == "ticket_invalid"
    assert refreshed["expires_in"] > 3000
