"""One of many clients stops reading, while a feed publishes more than all buffers can hold.

`script/test --faults` publishes 100,000 records to a hundred clients, CI 16,000 to eight.
"""

import asyncio
import os
import time
from contextlib import AsyncExitStack
from typing import Any

import orjson
import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect

from harness.slow_clients import metric, narrow_socket
from harness.system import System
from realtime.publish import Publisher
from realtime.records.record import Draft, Progress, draft_record

CLIENTS, RECORDS, PADDING = (100, 100_000, 600) if os.environ.get("LONG_FAULTS") else (8, 16_000, 5_000)
"""`PADDING` is in bytes, for each record. All records together must exceed the kernel's buffers of about 4 MB."""
TENANT = 77_003
TOPICS = 300
LAST = "job:last"
MEMORY_BYTES = CLIENTS * TOPICS * PADDING + 25_000_000
"""By how much the memory of the web process may grow.

The process may keep the newest record of each topic for every client, as all may be slow. Allocators and buffers may
use another 25 MB.
"""

pytestmark = pytest.mark.slow


class Client:
    """A client that keeps the newest record of each topic, counts the records, and answers pings."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.newest: dict[str, dict[str, Any]] = {}
        self.received = 0

    async def read(self) -> None:
        frame = orjson.loads(await self.socket.recv())
        if frame["type"] == "ping":
            await self.socket.send('{"type":"pong"}')
        for record in frame.get("records", []):
            self.received += 1
            self.newest[record["topic"]] = record

    async def read_to_the_end(self) -> None:
        while LAST not in self.newest:
            await self.read()


def drafts() -> list[tuple[int, Draft]]:
    padding = {"text": "x" * PADDING}

    def draft(topic: str, status: str, percent: float | None) -> tuple[int, Draft]:
        progress = None if percent is None else Progress(percent)
        return TENANT, draft_record(
            topic=topic, attempt=1, status=status, published_at=time.time(), progress=progress, data=padding
        )

    passing = [
        draft(f"job:{number % TOPICS}", "PROCESSING", 100 * number / RECORDS) for number in range(RECORDS - TOPICS)
    ]
    return [*passing, *(draft(f"job:{number}", "DONE", None) for number in range(TOPICS)), draft(LAST, "DONE", None)]


async def test_a_stuck_client_slows_nobody_uses_no_extra_memory_and_gets_everything_later(
    system: System,
) -> None:
    ticket = system.ticket_of(TENANT)
    # No client is sent away for being slow or for a missing pong, so that the stuck one stays connected to the end.
    patience = {"REALTIME_SLOW_SECONDS": "600", "REALTIME_PING_SECONDS": "300"}
    with system.another_web(**patience) as web, Publisher.from_url(system.redis.url) as publisher:
        assert web.pid is not None
        async with AsyncExitStack() as stack:

            async def come(**more: Any) -> Client:
                url = web.address.replace("http", "ws") + "/ws/events/?topics=job:*"
                protocols: Any = ["realtime.v1", f"ticket.{ticket}"]
                socket = connect(
                    url, subprotocols=protocols, max_size=None, compression=None, ping_interval=None, **more
                )
                return Client(await stack.enter_async_context(socket))

            stuck = await come(sock=narrow_socket(web.address), max_queue=1)
            others = [await come() for _ in range(CLIENTS - 1)]
            for client in (stuck, *others):
                await client.read()  # welcome
                await client.read()  # snapshot
            before = psutil.Process(web.pid).memory_info().rss
            reading = [asyncio.ensure_future(client.read_to_the_end()) for client in others]
            await asyncio.to_thread(publisher.publish_many, drafts())
            await asyncio.gather(*reading)
            grown = psutil.Process(web.pid).memory_info().rss - before
            conflated = await metric(web.address, "realtime_records_conflated_total")
            least = min(client.received for client in others)
            print(
                f"{RECORDS} records past one of {CLIENTS}: {grown / 1e6:+.1f} MB, {conflated:.0f} conflated,", end=" "
            )
            print(f"at least {least} at each that reads")
            for client in others:
                assert {record["status"] for record in client.newest.values()} == {"DONE"}
                assert len(client.newest) == TOPICS + 1
            assert grown < MEMORY_BYTES
            # The buffers for the stuck client filled up. From then on, the server kept only the newest record of each
            # topic for it.
            await stuck.read_to_the_end()
            assert stuck.newest == others[0].newest
            assert stuck.received < least
