"""Tests that the running product sends what the AsyncAPI document describes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from harness.asyncapi import hold, messages_of
from harness.event_stream import EventStream
from harness.system import System, new_ticket, tenant_of
from harness.watcher import Watcher
from realtime.publish import Publisher, Step

pytestmark = pytest.mark.every_server

LARGE = 40_000
SNAPSHOT_BYTES = 262_144
ELSEWHERE = {"delayed"}
"""Frames that only tests/contract/test_hung_redis.py receives, because it stops a Redis of its own."""


@pytest.fixture(scope="module")
def pinging(system: System) -> Iterator[str]:
    """Yield the address of a web process that sends a ping each second."""
    with system.another_web(REALTIME_PING_SECONDS="1") as web:
        yield web.address


async def ticket_at(address: str, client: httpx.AsyncClient) -> dict[str, str]:
    async with httpx.AsyncClient(base_url=address, headers=client.headers, timeout=30) as there:
        return await new_ticket(there)


@contextmanager
def large_records(publisher: Publisher, tenant_id: int) -> Iterator[int]:
    """Publish more records than fit into one part of a snapshot, and yield how many they are.

    At the end, replace the records with small ones.
    """
    number = SNAPSHOT_BYTES // LARGE + 2
    for index in range(number):
        topic = f"large:{index}"
        publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status="PENDING", data={"text": "x" * LARGE})
    try:
        yield number
    finally:
        for index in range(number):
            publisher.status(tenant_id=tenant_id, topic=f"large:{index}", attempt=2, status="DONE")


def publish_all_kinds(publisher: Publisher, tenant_id: int, topic: str) -> None:
    """Publish records of each form: with data, with progress, with a step, with an error."""
    of: dict[str, Any] = {"tenant_id": tenant_id, "topic": topic}
    step = Step(index=1, total=2, name="read", percent=50)
    publisher.status(**of, attempt=1, status="PENDING", data={"any": ["thing"]})
    publisher.progress(**of, attempt=1, percent=25, step=step, remaining_seconds=3.5)
    publisher.progress(**of, attempt=1, percent=30)
    publisher.status(**of, attempt=1, status="FAILED", error={"code": "broken", "message": "It broke."})


async def read_snapshot(watcher: Watcher) -> None:
    """Read all parts of a snapshot."""
    while (frame := await watcher.read()) != frame | {"more": False}:
        pass


async def test_every_frame_of_a_websocket_is_as_described(
    system: System,
    pinging: str,
    publisher_of: Publisher,
) -> None:
    tenant_id = tenant_of(system, "hanbit")
    async with system.client() as client:
        ticket = await ticket_at(pinging, client)
        newer = (await new_ticket(client))["ticket"]  # requested now, because an open connection has to answer pings
        async with await Watcher.connect(ticket["websocket_url"], ticket["ticket"], topics="told:*,told:no") as watcher:
            place = (await watcher.read_until("snapshot"))["place"]
            publish_all_kinds(publisher_of, tenant_id, "told:1")
            await watcher.until_terminal("told:1")
            await watcher.read_until("ping")
            for frame in (
                {"type": "pong"},
                {"type": "subscribe", "id": 1, "topics": ["told:2", "else:*"]},
                {"type": "unsubscribe", "id": 2, "topics": ["else:*"]},
                {"type": "refresh", "ticket": newer},
                {"type": "refresh", "ticket": "none"},
                *[f"no JSON, {number}" for number in range(10)],
            ):
                await watcher.send(frame)
            assert (await watcher.closed())[0] == 4400
        async with await Watcher.connect(
            ticket["websocket_url"], ticket["ticket"], topics="told:*,told:no", since=str(place)
        ) as again:
            assert (await again.read_until("snapshot"))["recovered"] is True
    seen = [*watcher.frames, *again.frames]
    for frame in seen:
        hold(frame, "pushOverWebSocket")
    assert {frame["type"] for frame in seen} == messages_of("pushOverWebSocket") - ELSEWHERE


async def test_every_event_of_a_stream_is_as_described(
    system: System,
    pinging: str,
    publisher_of: Publisher,
) -> None:
    tenant_id = tenant_of(system, "hanbit")
    account = {"tenant": "hanbit", "username": "staff", "password": "academy-demo"}
    async with httpx.AsyncClient(base_url=system.address, timeout=30) as client:
        tokens = (await client.post("/api/v1/auth/token/", json=account)).json()
        client.headers["Authorization"] = f"Bearer {tokens['access']}"
        ticket = await ticket_at(pinging, client)
        async with await EventStream.open(ticket["events_url"], ticket["ticket"], topics="event:*,event:no") as stream:
            await stream.read_until("snapshot")
            publish_all_kinds(publisher_of, tenant_id, "event:1")
            await stream.until_terminal("event:1")
            await stream.read_until("ping")
            await client.post("/api/v1/auth/logout/")
            await stream.ended()
    for frame in stream.frames:
        hold(frame, "pushAsEvents")
    assert {frame["type"] for frame in stream.frames} == messages_of("pushAsEvents") - ELSEWHERE


async def test_a_snapshot_in_parts_is_as_described(
    system: System,
    publisher_of: Publisher,
) -> None:
    with large_records(publisher_of, tenant_of(system, "saebom")) as number:
        async with system.client("saebom") as client:
            ticket = await new_ticket(client)
            async with (
                await Watcher.connect(ticket["websocket_url"], ticket["ticket"], topics="large:*") as watcher,
                await EventStream.open(ticket["events_url"], ticket["ticket"], topics="large:*") as stream,
            ):
                for one in (watcher, stream):
                    await read_snapshot(one)
            headers = {"Authorization": f"Bearer {ticket['ticket']}"}
            polled = (await client.get(ticket["snapshot_url"], headers=headers, params={"topics": "large:*"})).json()
    for frame in [*watcher.frames, *stream.frames, polled]:
        hold(frame, "pushAsEvents")
    for one in (watcher, stream):
        parts = [frame for frame in one.frames if frame["type"] == "snapshot"]
        assert [frame["more"] for frame in parts] == [True, False]
        assert len(one.records) == number
    assert (polled["more"], len(polled["records"])) == (False, number)
