"""Tests that an event stream soon stops counting as a connection if its client vanished without closing it."""

import asyncio
import socket
from contextlib import closing

import pytest

from harness.event_stream import EventStream, RefusedStreamError
from harness.slow_clients import metric
from harness.system import System
from harness.vanished import vanish
from tests.contract.test_limits import open_when_let_in

TENANT = 77_009
PING_SECONDS, SLOW_SECONDS = "0.2", "1"


def plain_socket(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)))


def open_stream(address: str, ticket: str) -> socket.socket:
    """Open a stream, read its snapshot, and return the client's socket."""
    opened = plain_socket(address)
    where = address.removeprefix("http://")
    request = f"GET /api/v1/events/ HTTP/1.1\r\nHost: {where}\r\nAuthorization: Bearer {ticket}\r\n\r\n"
    opened.sendall(request.encode())
    seen = b""
    while b"event: snapshot" not in seen:
        part = opened.recv(65_536)
        assert part, seen
        seen += part
    return opened


async def test_a_stream_whose_client_vanished_is_given_up_by_the_kernel(system: System) -> None:
    ticket = system.ticket_of(TENANT)
    times = {"REALTIME_PING_SECONDS": PING_SECONDS, "REALTIME_SLOW_SECONDS": SLOW_SECONDS}
    with system.another_web(**times) as web:
        with closing(await asyncio.to_thread(open_stream, web.address, ticket)) as gone:
            assert await metric(web.address, 'realtime_connections{transport="sse"}') == 1
            vanish(gone)
            async with asyncio.timeout(60):
                while await metric(web.address, 'realtime_connections{transport="sse"}'):
                    await asyncio.sleep(0.05)


async def test_a_new_connection_replaces_the_users_one_that_vanished(system: System) -> None:
    ticket = system.ticket_of(TENANT)
    times = {"REALTIME_PING_SECONDS": PING_SECONDS, "REALTIME_SLOW_SECONDS": "600"}
    with system.another_web(REALTIME_MAX_CONNECTIONS_PER_USER="1", **times) as web:
        url = f"{web.address}/api/v1/events/"
        with closing(await asyncio.to_thread(open_stream, web.address, ticket)) as gone:
            with pytest.raises(RefusedStreamError) as refused:
                await EventStream.open(url, ticket)
            assert refused.value.answer.status_code == 429
            vanish(gone)
            stream = await open_when_let_in(url, ticket)
        async with stream:
            await stream.read_until("ping")  # a client that answers is not replaced
            with pytest.raises(RefusedStreamError):
                await EventStream.open(url, ticket)
