"""A client that reconnects again and again with its place, by a random transport and to a random process."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import httpx
from websockets.exceptions import WebSocketException

from harness.event_stream import EventStream, RefusedStreamError
from harness.watcher import Frame, Watcher, rank

LOST = (OSError, EOFError, WebSocketException, httpx.HTTPError, RefusedStreamError, StopAsyncIteration, TimeoutError)
PAUSE_SECONDS = 0.2


class Roamer:
    """A client that keeps one fold over all its connections and checks every frame. `problems` lists what was wrong."""

    def __init__(
        self,
        name: str,
        chance: random.Random,
        addresses: list[str],
        ticket: Callable[[], Any],
        foreign: Callable[[], list[str]],
    ) -> None:
        self.name, self._chance, self._addresses, self._ticket = name, chance, addresses, ticket
        self._foreign = foreign
        self.fold: dict[str, dict[str, Any]] = {}
        self.place = ""
        self.problems: list[str] = []
        self.connects = 0
        self.frames = 0
        self.free = asyncio.Event()
        self.free.set()
        self.asks: set[str] = set()
        """Topics that were unfinished in the fold and missing from a whole snapshot. The next connection names them."""
        self._highest: dict[tuple[str, str], int] = {}
        self._shown: set[str] = set()
        self._watcher: Watcher | None = None

    async def run(self) -> None:
        """Connect again and again until cancelled."""
        while True:
            try:
                await self._live()
            except LOST:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _live(self) -> None:
        """Connect to a random process. Read a random number of frames, or poll a random number of times."""
        granted = await self._ticket()
        address = self._chance.choice(self._addresses)
        transport = self._chance.choice(["websocket", "websocket", "sse", "poll"])
        self.connects += 1
        self._shown = set()
        if transport == "poll":
            await self._poll(address, granted)
            return
        if transport == "sse":
            url = f"{address}/api/v1/events/"
            watcher: Watcher = await EventStream.open(url, granted, since=self.place, topics=self._topics())
        else:
            url = address.replace("http", "ws") + "/ws/events/"
            watcher = await Watcher.connect(url, granted, since=self.place, topics=self._topics())
        async with watcher:
            for number in range(self._chance.randint(3, 60)):
                await self.free.wait()
                asks = set(self.asks)
                self.take(await watcher.read())
                # A connection brings the final record only of topics that its first snapshot contains. `take` adds to
                # `asks` the unfinished topics that the snapshot lacks: the client has to reconnect and name them.
                if number < 2 and self.asks - asks:
                    return

    async def _poll(self, address: str, granted: str) -> None:
        async with httpx.AsyncClient(base_url=address, timeout=10) as client:
            headers = {"Authorization": f"Bearer {granted}"}
            for _ in range(self._chance.randint(1, 5)):
                asked = {"since": self.place, "topics": self._topics()}
                answer = await client.get("/api/v1/realtime/snapshot/", params=asked, headers=headers)
                if answer.status_code != 200:
                    raise httpx.HTTPError(answer.text)
                self.take(answer.json())
                await asyncio.sleep(PAUSE_SECONDS)

    def _topics(self) -> str:
        return ",".join(["*", *sorted(self.asks)])

    def take(self, frame: Frame) -> None:
        """Check a frame, and fold its records."""
        self.frames += 1
        text = str(frame)
        self.problems += [
            f"{self.name} was sent another academy's {topic}" for topic in self._foreign() if topic in text
        ]
        epoch = (frame.get("place") or "").partition(".")[0]
        for record in frame.get("records", []):
            self._judge(epoch, record)
            self._keep(record)
        if frame["type"] == "snapshot":
            self._shown |= {record["topic"] for record in frame["records"]}
            if not frame["more"] and not frame["recovered"]:
                self._drop_unfinished()
        if frame.get("place"):
            self.place = frame["place"]

    def _judge(self, epoch: str, record: dict[str, Any]) -> None:
        if record["status"] == "UNKNOWN" or not epoch:
            return
        key = epoch, record["topic"]
        if record["offset"] < self._highest.get(key, 0):
            self.problems.append(f"{self.name}: {record['topic']} went back to {record['offset']} in {epoch}")
        self._highest[key] = max(record["offset"], self._highest.get(key, 0))

    def _keep(self, record: dict[str, Any]) -> None:
        held = self.fold.get(record["topic"])
        if record["status"] == "UNKNOWN":
            return  # the next connection names the topic again; the relay may have restored it by then
        if held is None or strength(record) >= strength(held):
            self.fold[record["topic"]] = record
            self.asks.discard(record["topic"])

    def _drop_unfinished(self) -> None:
        for topic, record in list(self.fold.items()):
            if topic not in self._shown and rank(record["status"]) < 2:
                del self.fold[topic]
                self.asks.add(topic)


def strength(record: dict[str, Any]) -> tuple[int, int]:
    return record["attempt"], rank(record["status"])
