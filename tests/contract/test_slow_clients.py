"""Tests of clients that do not read: they delay nobody, and the server closes their connections."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.asyncio.client import connect

from harness.event_stream import EventStream
from harness.slow_clients import metric, narrow_socket
from harness.system import System
from harness.watcher import Watcher
from realtime.publish import Publisher

BIG = {"text": "x" * 60_000}
BIG_RECORDS = 150
HEALTHY = 5


@pytest.fixture
async def address(system: System) -> AsyncIterator[str]:
    """Yield the address of a web process with a short time limit for slow clients."""
    with system.another_web(REALTIME_SLOW_SECONDS="3") as web:
        yield web.address


def publish_much(publisher: Publisher, tenant_id: int) -> None:
    """Publish more than fits into all buffers between the server and a client."""
    for number in range(BIG_RECORDS):
        publisher.status(tenant_id=tenant_id, topic=f"slow:{number}", attempt=1, status="PROCESSING", data=BIG)
    publisher.status(tenant_id=tenant_id, topic="slow:last", attempt=1, status="DONE")


async def open_deaf_stream(address: str, path: str, ticket: str) -> socket.socket:
    """Request Server-Sent Events, and never read the answer."""
    deaf = narrow_socket(address)
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {address.removeprefix('http://')}\r\nAuthorization: Bearer {ticket}\r\n\r\n"
    )
    deaf.sendall(request.encode())
    return deaf


async def test_a_client_that_does_not_read_delays_nobody_and_is_closed(system: System, address: str) -> None:
    publisher, tenant_id = Publisher.from_url(system.redis.url), 77_001
    ticket = system.ticket_of(tenant_id)
    websocket_url = address.replace("http", "ws") + "/ws/events/?topics=slow:*"
    async with AsyncExitStack() as stack:
        deaf: Any = await connect(
            websocket_url,
            subprotocols=["realtime.v1", f"ticket.{ticket}"],  # type: ignore[list-item]
            sock=narrow_socket(address),
            max_queue=1,
            max_size=None,
            close_timeout=0.1,
        )
        deaf_stream = await open_deaf_stream(address, "/api/v1/events/?topics=slow:*", ticket)
        healthy: list[Watcher] = [
            await stack.enter_async_context(await Watcher.connect(websocket_url, ticket)) for _ in range(HEALTHY)
        ]
        healthy.append(
            await stack.enter_async_context(
                await EventStream.open(f"{address}/api/v1/events/", ticket, topics="slow:*")
            )
        )
        for watcher in healthy:
            await watcher.read_until("snapshot")
        ended = [asyncio.ensure_future(watcher.until_terminal("slow:last")) for watcher in healthy]
        await asyncio.to_thread(publish_much, publisher, tenant_id)
        await asyncio.gather(*ended)
        assert {len(watcher.records) for watcher in healthy} == {BIG_RECORDS + 1}
        async with asyncio.timeout(60):
            while await metric(address, 'realtime_connections_closed_total{code="4002"}') < 2:
                await asyncio.sleep(0.05)
            # Neither slow client reads even its closing frame, so the server aborts both connections.
            while (
                await metric(address, 'realtime_connections{transport="websocket"}') > HEALTHY
                or await metric(address, 'realtime_connections{transport="sse"}') > 1
            ):
                await asyncio.sleep(0.05)
        deaf.transport.abort()
        await deaf.wait_closed()
        deaf_stream.close()
    publisher.close()
