"""Tests of clients that request much data and read none of it, for each transport.

The server uses little memory for such clients, and closes their connections.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import psutil
import pytest
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from embedded.plan import Web
from harness.slow_clients import metric, narrow_socket
from harness.system import System
from realtime.publish import Publisher
from realtime.records.record import draft_record

TENANT = 77_011
CLIENTS = 12
RECORDS, RECORD_BYTES = 150, 60_000
"""All records together have 9 MB. For each transport, one copy for each client would need 108 MB."""
FLAT_BYTES = 60_000_000
ASK = "/api/v1/realtime/snapshot/"


@pytest.fixture
async def web(system: System, slow_seconds: int) -> AsyncIterator[Web]:
    most = str(2 * CLIENTS)
    slow = str(slow_seconds)
    with system.another_web(REALTIME_SLOW_SECONDS=slow, REALTIME_MAX_CONNECTIONS_PER_USER=most) as running:
        yield running


def send_unread_request(web: Web, path: str, ticket: str) -> socket.socket:
    """Send an HTTP request, and read nothing."""
    deaf = narrow_socket(web.address)
    deaf.sendall(f"GET {path} HTTP/1.1\r\nHost: {web.where}\r\nAuthorization: Bearer {ticket}\r\n\r\n".encode())
    return deaf


def upgrade(web: Web, ticket: str) -> socket.socket:
    """Open a WebSocket, and read nothing."""
    deaf = narrow_socket(web.address)
    protocol = ClientProtocol(parse_uri(f"ws://{web.where}/ws/events/"))
    request = protocol.connect()
    request.headers["Authorization"] = f"Bearer {ticket}"
    protocol.send_request(request)
    deaf.sendall(b"".join(protocol.data_to_send()))
    return deaf


async def read_once(web: Web, ticket: str) -> None:
    async with httpx.AsyncClient(base_url=web.address, timeout=60) as client:
        answer = await client.get(ASK, headers={"Authorization": f"Bearer {ticket}"})
    assert len(answer.json()["records"]) >= RECORDS
    assert len(answer.content) == int(answer.headers["content-length"])


async def count(web: Web, transport: str) -> float:
    return await metric(web.address, f'realtime_connections{{transport="{transport}"}}')


@pytest.mark.parametrize("slow_seconds", [6])
async def test_clients_that_stop_reading_use_little_memory_and_are_given_up(system: System, web: Web) -> None:
    ticket = system.ticket_of(TENANT)
    async with AsyncExitStack() as stack:
        publisher = stack.enter_context(Publisher.from_url(system.redis.url))
        publish_many(publisher)
        await read_once(web, ticket)
        before = psutil.Process(web.pid).memory_info().rss
        for number in range(CLIENTS):
            # The clients of a transport connect at different offsets, so that they cannot share snapshots.
            publisher.status(tenant_id=TENANT, topic="stalled:small", attempt=number + 1, status="PENDING")
            for deaf in (
                send_unread_request(web, ASK, ticket),
                send_unread_request(web, "/api/v1/events/", ticket),
                upgrade(web, ticket),
            ):
                stack.callback(deaf.close)
        async with asyncio.timeout(60):
            while await seen(web) < 3 * CLIENTS:
                await asyncio.sleep(0.05)
            grown = psutil.Process(web.pid).memory_info().rss - before
            while await metric(web.address, 'realtime_connections_closed_total{code="4002"}') < 3 * CLIENTS:
                await asyncio.sleep(0.05)
            for transport in ("poll", "sse", "websocket"):
                while await count(web, transport):
                    await asyncio.sleep(0.05)
        assert grown < FLAT_BYTES
        for number in range(RECORDS):
            publisher.status(tenant_id=TENANT, topic=f"stalled:{number}", attempt=2, status="DONE")


async def seen(web: Web) -> float:
    """Return how many connections the process has, plus how many it closed because the client was too slow."""
    held = [await count(web, transport) for transport in ("poll", "sse", "websocket")]
    return sum(held) + await metric(web.address, 'realtime_connections_closed_total{code="4002"}')


@pytest.mark.parametrize("slow_seconds", [600])  # no connection is given up before the last one is there
async def test_a_user_with_too_many_unread_answers_is_told_to_wait(system: System, web: Web) -> None:
    ticket = system.ticket_of(TENANT)
    async with AsyncExitStack() as stack:
        publish_many(stack.enter_context(Publisher.from_url(system.redis.url)), attempt=3)
        for _ in range(2 * CLIENTS):
            stack.callback(send_unread_request(web, ASK, ticket).close)
        async with asyncio.timeout(60):
            while await count(web, "poll") < 2 * CLIENTS:
                await asyncio.sleep(0.05)
        async with httpx.AsyncClient(base_url=web.address) as client:
            answer = await client.get(ASK, headers={"Authorization": f"Bearer {ticket}"})
        assert (answer.status_code, answer.json()["limit"]) == (429, "user")
        assert int(answer.headers["Retry-After"]) > 0


def publish_many(publisher: Publisher, attempt: int = 1) -> None:
    """Fill the feed that the clients request."""
    drafts = [
        draft_record(
            topic=f"stalled:{number}",
            attempt=attempt,
            status="PROCESSING",
            published_at=time.time(),
            data={"text": "x" * RECORD_BYTES},
        )
        for number in range(RECORDS)
    ]
    publisher.publish_many([(TENANT, draft) for draft in drafts])
