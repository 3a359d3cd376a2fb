"""A client of `realtime.v1`, written from the protocol's description alone.

It connects, reads frames, folds records, and answers pings.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Self
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConcurrencyError, ConnectionClosed

RANKS = {"PENDING": 0, "PROCESSING": 1}
PATIENCE_SECONDS = 60.0
LONG_PATIENCE_SECONDS = 120.0
"""How long a test may read frames until a certain one arrives. A limit for each single frame is not enough: pings keep
coming, so the test could wait for ever."""

Frame = dict[str, Any]
Record = dict[str, Any]


def rank(status: str) -> int:
    return RANKS.get(status, 2)


class Watcher:
    """Reads frames, and keeps all of them. For each topic it keeps the record with the highest (attempt, rank).

    Of several records with the same attempt and rank, it keeps the one that arrived last. It answers each ping that it
    reads, because the server closes a connection that leaves two pings unanswered. A test that wants this to happen
    sets `answers_pings` to False.
    """

    answers_pings = True

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[Frame] = []
        self.records: dict[str, Record] = {}
        self.shown: set[str] = set()
        self.place: str | None = None
        self.history: list[Record] = []

    @classmethod
    async def connect(cls, url: str, ticket: str, **parameters: str) -> Self:
        query = f"?{urlencode(parameters)}" if parameters else ""
        subprotocols: Any = ["realtime.v1", f"ticket.{ticket}"]
        return cls(await connect(url + query, subprotocols=subprotocols, max_size=None))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection. Read the remaining frames, or the wait for the close frame behind them takes 10 s."""
        closing = asyncio.ensure_future(self.socket.close())
        with suppress(ConnectionClosed, ConcurrencyError):  # a task of the test may still read
            while True:
                await self.socket.recv()
        await closing

    async def read(self) -> Frame:
        """Read the next frame, apply it, and return it. Raises ConnectionClosed at the end of the connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            frame: Frame = json.loads(await self.socket.recv())
        self.apply(frame)
        if frame["type"] == "ping" and self.answers_pings:
            with suppress(ConnectionClosed):  # the last frames, still unread, say why it closed
                await self.send({"type": "pong"})
        return frame

    async def read_until(self, kind: str) -> Frame:
        """Read frames up to the next one of this type, and return it."""
        async with self.waiting_for(f"a frame of the type {kind}", LONG_PATIENCE_SECONDS):
            while (frame := await self.read())["type"] != kind:
                pass
        return frame

    async def until(self, holds: Callable[[], bool], what: str = "what the test waits for") -> None:
        """Read frames until `holds()` is true."""
        async with self.waiting_for(what, LONG_PATIENCE_SECONDS):
            while not holds():
                await self.read()

    async def until_terminal(self, topic: str) -> Record:
        """Read frames until the status of this topic is terminal, and return its record."""
        ended = f"the end of {topic}"
        await self.until(lambda: rank(self.records.get(topic, {}).get("status", "PENDING")) == 2, ended)
        return self.records[topic]

    def percent(self, topic: str) -> float:
        """Return the progress of a topic, 0 if it has none yet."""
        progress = self.records.get(topic, {}).get("progress")
        return float(progress["percent"]) if progress else 0.0

    @asynccontextmanager
    async def waiting_for(self, what: str, seconds: float) -> AsyncIterator[None]:
        """If the block takes longer than `seconds`, fail with a sentence that says what was awaited and what came."""
        before = len(self.frames)
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            came = dict(Counter(frame["type"] for frame in self.frames[before:]))
            raise AssertionError(f"Waited in vain for {what}. Frames that came meanwhile: {came}") from None

    async def send(self, frame: Any) -> None:
        await self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def closed(self, within_seconds: float = PATIENCE_SECONDS) -> tuple[int, str]:
        """Read to the end of the connection, and return the close code and its reason."""
        try:
            async with self.waiting_for("the end of the connection", within_seconds):
                while True:
                    await self.read()
        except ConnectionClosed as end:
            assert end.rcvd is not None, "the connection broke without a close frame"
            return end.rcvd.code, end.rcvd.reason

    async def refused(self) -> tuple[int, str]:
        """Return the close code and reason of a refused connection. Fail if any frame but `closing` comes first."""
        with suppress(ConnectionClosed):
            frame = await self.read()
            assert frame["type"] == "closing", f"It should have been refused, but was let in: {frame}"
        return await self.closed()

    def apply(self, frame: Frame) -> None:
        self.frames.append(frame)
        if frame.get("place"):
            self.place = frame["place"]
        for record in frame.get("records", []):
            self._fold(record)
        if frame["type"] == "snapshot":
            self.shown |= {record["topic"] for record in frame["records"]}
            if not frame["more"]:  # earlier parts do not show which topics are absent
                if not frame["recovered"]:
                    self._drop_unfinished()
                self.shown = set()

    def _drop_unfinished(self) -> None:
        """Drop unfinished topics that no part of the snapshot contained. A real client would ask for them by name."""
        for topic, record in list(self.records.items()):
            if topic not in self.shown and rank(record["status"]) < 2:
                del self.records[topic]

    def _fold(self, record: Record) -> None:
        if record["status"] == "UNKNOWN":
            return
        self.history.append(record)
        held = self.records.get(record["topic"])
        if held is None or _order(record) >= _order(held):
            self.records[record["topic"]] = record


def _order(record: Record) -> tuple[int, int]:
    return record["attempt"], rank(record["status"])
