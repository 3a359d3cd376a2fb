"""Two processes behind one port restart one by one: no client misses a terminal record, and no herd reconnects.

`script/test --faults` connects 2,000 clients, CI 200.
"""

import asyncio
import json
import os
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from websockets.asyncio.client import connect

from embedded.plan import Web
from embedded.ports import HOST, free_port
from harness.system import System, new_ticket, tenant_of
from harness.watcher import rank
from realtime.publish import Publisher
from tests.faults.roamer import LOST

CLIENTS = 2000 if os.environ.get("LONG_FAULTS") else 200
DRAIN_SECONDS = 10.0
PATIENCE_SECONDS = 120.0
TICKET_SECONDS = 20.0

pytestmark = pytest.mark.slow


class Tickets:
    """One ticket for many clients. `get` replaces it by a new one before it expires."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client, self._lock, self._ticket, self._at = client, asyncio.Lock(), "", 0.0

    async def get(self) -> str:
        async with self._lock:
            if time.monotonic() - self._at > TICKET_SECONDS:
                self._ticket, self._at = (await new_ticket(self._client))["ticket"], time.monotonic()
            return self._ticket


class Client:
    """A client that holds one connection, obeys `closing` frames, and reconnects with its place."""

    def __init__(self, url: str, tickets: Tickets, sent_away: list[float]) -> None:
        self.url, self.tickets, self.sent_away = url, tickets, sent_away
        self.place = ""
        self.ended: set[str] = set()
        self.live = asyncio.Event()

    async def run(self) -> None:
        while True:
            wait = 0.1
            with suppress(*LOST):
                wait = await self._hold()
            self.live.clear()
            await asyncio.sleep(wait * random.random())

    async def _hold(self) -> float:
        """Hold one connection until a `closing` frame. Return the `retry_after_ms` of this frame, in seconds."""
        query = f"?topics=roll:*&since={self.place}"
        subprotocols = ["realtime.v1", f"ticket.{await self.tickets.get()}"]
        async with connect(self.url + query, subprotocols=subprotocols, open_timeout=60) as socket:  # type: ignore[arg-type]
            while True:
                frame = json.loads(await socket.recv())
                self.ended |= {r["topic"] for r in frame.get("records", []) if rank(r["status"]) == 2}
                self.place = frame.get("place") or self.place
                if frame["type"] == "snapshot":
                    self.live.set()
                elif frame["type"] == "ping":
                    await socket.send('{"type":"pong"}')
                elif frame["type"] == "closing":
                    self.sent_away.append(time.monotonic())
                    return float(frame["retry_after_ms"]) / 1000


@contextmanager
def two_at_one_port(system: System) -> Iterator[tuple[list[Web], int]]:
    port = free_port()
    webs = [
        system.web_of(REALTIME_DRAIN_SECONDS=str(DRAIN_SECONDS), REALTIME_MAX_CONNECTIONS_PER_USER="100000")
        for _ in range(2)
    ]
    try:
        for web in webs:
            share_port(web, port)
            web.start()
            web.wait_ready()
        yield webs, port
    finally:
        for web in webs:
            web.stop()


def share_port(web: Web, port: int) -> None:
    web.port = port
    web.argv = [*web.argv[: web.argv.index("--port")], "--port", str(port), "--reuse-port"]
    web.is_taken = lambda: False  # type: ignore[method-assign]  # the other process has the port too


async def restart(web: Web) -> None:
    """Restart the process as an orchestrator does: send SIGTERM, wait for its end, start a new one."""
    assert web.pid is not None
    os.kill(web.pid, signal.SIGTERM)
    await asyncio.to_thread(web.stop, 60.0)
    await asyncio.to_thread(web.start)
    await asyncio.to_thread(web.wait_ready)


def allow_sockets(number: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(number, hard), hard))


async def test_no_client_misses_an_end_and_clients_reconnect_one_after_the_other(system: System) -> None:
    allow_sockets(3 * CLIENTS + 500)
    publisher, tenant_id = Publisher.from_url(system.redis.url), tenant_of(system, "hanbit")
    sent_away: list[float] = []
    with two_at_one_port(system) as (webs, port):
        async with system.client() as api:
            tickets = Tickets(api)
            clients = [Client(f"ws://{HOST}:{port}/ws/events/", tickets, sent_away) for _ in range(CLIENTS)]
            running = []
            for first in range(0, CLIENTS, 100):
                running += [asyncio.ensure_future(client.run()) for client in clients[first : first + 100]]
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await asyncio.gather(*(client.live.wait() for client in clients[first : first + 100]))
            rolling = asyncio.ensure_future(roll(webs))
            topics: list[str] = []
            while not rolling.done():
                topics.append(f"roll:{len(topics)}")
                publisher.status(tenant_id=tenant_id, topic=topics[-1], attempt=1, status="DONE")
                await asyncio.wait([rolling], timeout=0.5)
            rolling.result()
            shown = set(topics[-90:])
            async with asyncio.timeout(PATIENCE_SECONDS):
                while any(not shown <= client.ended for client in clients):
                    await asyncio.sleep(0.05)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
    publisher.close()
    print(f"{CLIENTS} clients, {len(topics)} ends, sent away {len(sent_away)} times: {spread(sent_away)}")
    assert len(sent_away) >= CLIENTS
    assert max(spread(sent_away)) < 0.5


async def roll(webs: list[Web]) -> None:
    for web in webs:
        await restart(web)


def spread(times: list[float]) -> list[float]:
    """Return which share of the times falls into each second. Seconds are counted from the earliest of the times."""
    seconds = Counter(int(at - min(times)) for at in times)
    return [round(seconds[second] / len(times), 3) for second in range(max(seconds) + 1)]
