"""After many short connections, a web process holds no more memory, files or subscriptions than before.

`script/test --faults` makes 20,000 connections, CI 600.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import psutil
import pytest
from redis import Redis
from websockets.asyncio.client import connect

from embedded.plan import Web
from embedded.redis import RedisServer
from harness.event_stream import EventStream
from harness.system import System, eventually
from realtime.feed.reader import MAX_READS

CHURN = int(os.environ.get("CHURN", "0")) or (20_000 if os.environ.get("LONG_FAULTS") else 600)
AT_ONCE = 25
TENANT = 77_002
MEMORY_BYTES = 20_000_000  # a margin for allocators; a leak of 1 kB in each of 20,000 connections reaches it

MOST_LINKS = 2 * MAX_READS + 8
"""How many links to Redis a web process may have: those of the pool for reads, and 8 for everything else."""

pytestmark = pytest.mark.slow


async def come_and_go(url: str, ticket: str, number: int) -> None:
    """Open a connection and end it: a WebSocket (closed, closed after a subscribe, or reset), or an event stream.

    `number` selects one of these four.
    """
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


@dataclass(frozen=True)
class Held:
    """What a web process holds at one moment. `links` is the number of its connections to Redis, opened on demand."""

    memory: int
    """Resident memory in bytes."""
    files: int
    """Open file descriptors, without those of `links`."""
    links: int

    @classmethod
    def by(cls, web: Web, redis: RedisServer) -> Self:
        process = psutil.Process(web.pid)
        links = [
            socket for socket in process.net_connections("tcp") if socket.raddr and socket.raddr.port == redis.port
        ]
        files = len(list(Path(f"/proc/{web.pid}/fd").iterdir()))
        return cls(process.memory_info().rss, files - len(links), len(links))


def counted(web: Web) -> list[str]:
    """Return the lines of /metrics that still count open connections, one for each tenant and transport."""
    lines = httpx.get(f"{web.address}/metrics").text.splitlines()
    return [line for line in lines if line.startswith("realtime_connections{") and not line.endswith(" 0.0")]


async def test_thousands_of_connections_leave_nothing_behind_in_the_server(system: System) -> None:
    redis: Redis = Redis.from_url(system.redis.url)
    with system.another_web() as web:
        assert web.pid is not None
        await churn(system, web.address, max(200, CHURN // 10))
        before = Held.by(web, system.redis)
        await churn(system, web.address, CHURN)
        await eventually(lambda: not counted(web), 60, "the end of the last connection")
        await eventually(lambda: Held.by(web, system.redis).files <= before.files + 2, 60, "the closing of files")
        after = Held.by(web, system.redis)
        print(f"{CHURN} connections, before and after: {before}, {after}")
        assert after.memory - before.memory < MEMORY_BYTES
        assert after.links <= MOST_LINKS
        ((_channel, subscribers),) = redis.pubsub_numsub(f"tenant:{TENANT}:feed")
        assert subscribers <= 1
    redis.close()
