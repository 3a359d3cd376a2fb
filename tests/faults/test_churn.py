"""Connecting and leaving again, thousands of times: memory, tasks, file descriptors and subscriptions return.

`script/test --faults` makes 20,000 connections, CI 600.
"""

import asyncio
import os
from pathlib import Path

import httpx
import psutil
import pytest
from redis import Redis
from websockets.asyncio.client import connect

from tests.event_stream import EventStream
from tests.system import System

CHURN = int(os.environ.get("CHURN", "0")) or (20_000 if os.environ.get("LONG_FAULTS") else 600)
AT_ONCE = 25
TENANT = 77_002
MEMORY_BYTES = 20_000_000  # what allocators keep; of 20,000 connections a kilobyte each would show

pytestmark = pytest.mark.slow


async def come_and_go(url: str, ticket: str, number: int) -> None:
    """In good order, in the middle of the handshake, with a reset, by a stream: as clients do."""
    websocket_url = url.replace("http", "ws") + "/ws/events/"
    if number % 5 == 4:
        async with await EventStream.open(f"{url}/api/v1/events/", ticket) as events:
            await events.read()
        return
    subprotocols = ["realtime.v1", f"ticket.{ticket}"]
    socket = await connect(websocket_url, subprotocols=subprotocols, close_timeout=1)  # type: ignore[arg-type]
    if number % 5 == 3:
        socket.transport.abort()
        await socket.wait_closed()
        return
    await socket.recv()
    if number % 5 == 2:
        await socket.send('{"type":"subscribe","id":1,"topics":["job:churn"]}')
    await socket.close()


async def churn(system: System, url: str, number: int) -> None:
    for first in range(0, number, AT_ONCE):
        ticket = system.ticket_of(TENANT)
        await asyncio.gather(*(come_and_go(url, ticket, first + one) for one in range(AT_ONCE)))


def held(pid: int) -> tuple[int, int]:
    """Resident bytes and open files of a process."""
    process = psutil.Process(pid)
    return process.memory_info().rss, len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_after_thousands_of_connections_the_server_holds_what_it_held_before(system: System) -> None:
    redis: Redis = Redis.from_url(system.redis.url)
    with system.another_web() as web:
        assert web.pid is not None
        await churn(system, web.address, max(200, CHURN // 10))
        memory, files = held(web.pid)
        await churn(system, web.address, CHURN)
        async with httpx.AsyncClient(base_url=web.address) as probe, asyncio.timeout(60):
            while True:
                text = (await probe.get("/metrics")).text
                open_now = [line for line in text.splitlines() if line.startswith("realtime_connections{")]
                if all(line.endswith(" 0.0") for line in open_now) and held(web.pid)[1] <= files + 2:
                    break
                await asyncio.sleep(0.05)
        grown = held(web.pid)[0] - memory
        print(f"{CHURN} connections: {grown / 1e6:+.1f} MB, {held(web.pid)[1] - files:+d} files")
        assert grown < MEMORY_BYTES
        assert len(redis.pubsub_channels()) <= 2
    redis.close()
