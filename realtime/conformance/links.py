"""The server's end of the links of a judged client: a WebSocket, or a stream of events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from realtime.conformance.frames import FIRST_EPOCH, named, place_of
from realtime.conformance.schemas import SENT_BY_CLIENT, fault_of
from realtime.protocol.frame_types import Record, Unknown
from realtime.protocol.rate_limit import TokenBucket

MAX_FRAME_BYTES = 8192
MAX_TOPICS = 200
FRAMES_A_SECOND, FRAMES_AT_ONCE = 10, 30
CONNECTION_ID = "c-8f1e0d2c3b4a5968"


class Link:
    """One connection of the client. Sends what a session says, and answers the client's frames as a server does.

    `answers` has the records of the topics that the client may ask for by name; all others are unknown.
    `noted` is called with each event, in words. `faults` collects what the client did wrong on this link.
    """

    def __init__(
        self, kind: str, query: dict[str, str], answers: dict[str, Record], noted: Callable[[str], None]
    ) -> None:
        self.kind, self.answers, self.noted = kind, answers, noted
        self.ticket = ""
        self.since = query.get("since") or None
        self.named = query.get("topics") or "*"
        """The topics that the client named when it connected."""
        self.watched = set(self.named.split(","))
        self.epoch, self.offset = FIRST_EPOCH, 0
        self.place: str | None = None
        """The place of the last frame that had one."""
        self.opened_at = time.monotonic()
        self.heard_at = self.opened_at
        """When the server last sent a frame, or when the link was opened if it has sent none."""
        self.ended_at: float | None = None
        self.asked: list[str] = []
        """The topics that the client has asked for by name, in the order of its questions."""
        self.answering = True
        """Whether questions by name are answered."""
        self.most_watched = len(self.watched)
        self.pongs = 0
        self.refreshes: list[str] = []
        """The tickets with which the client wanted to extend the connection's life."""
        self.faults: list[str] = []

    @property
    def ended(self) -> bool:
        return self.ended_at is not None

    async def send(self, kind: str, **fields: Any) -> None:
        """Send a frame. Raises no error if the client is gone already."""
        self.place = fields.get("place", self.place)
        self.heard_at = time.monotonic()
        self.noted(f"server sends {kind}" + (f", place {fields['place']}" if "place" in fields else ""))
        with suppress(ConnectionError, ConnectionClosed):
            await self._write({"type": kind, **fields})

    async def welcome(self, *, ping_seconds: float = 25.0, expires_in: int = 3600) -> None:
        await self.send("welcome", connection=CONNECTION_ID, ping_seconds=ping_seconds, expires_in=expires_in)

    async def snapshot(
        self, records: Sequence[Unknown | Record], offset: int, *, recovered: bool = False, epoch: str | None = None
    ) -> None:
        """Send a snapshot that has one part, or the last of several parts."""
        self.epoch = epoch or self.epoch
        place = self.place_at(offset)
        await self.send("snapshot", id=None, place=place, recovered=recovered, more=False, records=records)

    async def part(self, records: Sequence[Unknown | Record]) -> None:
        """Send one part of a snapshot, but not the last."""
        await self.send("snapshot", id=None, recovered=False, more=True, records=records)

    async def greet(self, records: Sequence[Unknown | Record], offset: int, **how: Any) -> None:
        """Send a welcome, and a snapshot that has one part."""
        await self.welcome()
        await self.snapshot(records, offset, **how)

    async def records(self, *records: Record) -> None:
        """Send records that changed."""
        await self.send(
            "records", place=self.place_at(max(record["offset"] for record in records)), records=list(records)
        )

    async def ping(self, offset: int | None = None) -> None:
        await self.send("ping", place=self.place_at(self.offset if offset is None else offset))

    def place_at(self, offset: int) -> str:
        """Return the place for a frame with this offset, and make this the offset of the link."""
        self.offset = offset
        return place_of(self.epoch, offset, self.watched)

    async def close(self, code: int, *, closing: dict[str, Any] | None = None, close_code: int | None = None) -> None:
        """End the link with a code.

        Unless the argument `closing` is None, first send a `closing` frame with these additional fields.
        `close_code` is the code of the WebSocket itself, if it differs from `code`.
        """
        if closing is not None:
            await self.send("closing", code=code, reason="as the session says", **closing)
        self.noted(f"server closes with {close_code or code}")
        await self._end(close_code or code)

    async def cut(self) -> None:
        """End the link without a word, as a lost network does."""
        self.noted("server cuts the connection")
        await self._end(None)

    async def _write(self, frame: dict[str, Any]) -> None:
        raise NotImplementedError

    async def _end(self, code: int | None) -> None:
        raise NotImplementedError

    def has_ended(self) -> None:
        if not self.ended:
            self.ended_at = time.monotonic()
            self.noted(f"{self.kind} has ended")


class SocketLink(Link):
    def __init__(self, socket: ServerConnection, *given: Any) -> None:
        super().__init__("WebSocket", *given)
        self._socket = socket
        self._bucket = TokenBucket(FRAMES_A_SECOND, FRAMES_AT_ONCE)

    async def serve(self) -> None:
        """Read the client's frames, and answer them, until the connection ends."""
        try:
            async for text in self._socket:
                await self._take(text)
        except ConnectionClosed:
            pass
        finally:
            self.has_ended()

    async def _write(self, frame: dict[str, Any]) -> None:
        await self._socket.send(json.dumps(frame))

    async def _end(self, code: int | None) -> None:
        self.has_ended()  # before the client can know
        if code is None:
            self._socket.transport.close()  # without a close frame; what was sent still arrives
        else:
            await self._socket.close(code, "as the session says")

    async def _take(self, text: str | bytes) -> None:
        size = len(text.encode() if isinstance(text, str) else text)
        try:
            frame = json.loads(text)
            fault = fault_of(frame, SENT_BY_CLIENT)
        except ValueError:
            frame, fault = None, "It is no JSON."
        if size > MAX_FRAME_BYTES:
            fault = f"It has {size} bytes; {MAX_FRAME_BYTES} are allowed."
        if not self._bucket.take():
            self.faults.append(f"It sends more than {FRAMES_A_SECOND} frames a second.")
        if fault is not None or not isinstance(frame, dict):
            self.faults.append(f"A frame was wrong. {fault}")
            self.noted(f"client sends a wrong frame: {str(text)[:200]}")
            request = frame.get("id") if isinstance(frame, dict) and isinstance(frame.get("id"), int) else None
            await self.send("error", id=request, code="bad_frame", message=str(fault))
            return
        topics = frame.get("topics", [])
        self.noted(f"client sends {frame['type']}" + (f" of {len(topics)}: {','.join(topics)[:60]}" if topics else ""))
        await getattr(self, f"_{frame['type']}")(frame)

    async def _pong(self, _frame: dict[str, Any]) -> None:
        self.pongs += 1

    async def _subscribe(self, frame: dict[str, Any]) -> None:
        wanted = self.watched | set(frame["topics"])
        self.most_watched = max(self.most_watched, len(wanted))
        if len(wanted) > MAX_TOPICS:
            message = f"The connection would watch {len(wanted)} topics; {MAX_TOPICS} are allowed."
            await self.send("error", id=frame["id"], code="too_many_topics", message=message)
            return
        self.asked += frame["topics"]
        if not self.answering:
            return
        self.watched = wanted
        records = named(self.answers, frame["topics"])
        await self.send("subscribed", id=frame["id"], place=self.place_at(self.offset), records=records)

    async def _unsubscribe(self, frame: dict[str, Any]) -> None:
        self.watched = (self.watched - set(frame["topics"])) | set(self.named.split(","))
        await self.send("unsubscribed", id=frame["id"], place=self.place_at(self.offset))

    async def _refresh(self, frame: dict[str, Any]) -> None:
        self.refreshes.append(frame["ticket"])
        await self.send("refreshed", expires_in=3600)


class EventsLink(Link):
    def __init__(self, writer: asyncio.StreamWriter, *given: Any) -> None:
        super().__init__("stream of events", *given)
        self._writer = writer

    async def _write(self, frame: dict[str, Any]) -> None:
        lines = [f"event: {frame['type']}"]
        if "place" in frame:
            lines.append(f"id: {frame['place']}")
        text = "\n".join([*lines, f"data: {json.dumps(frame)}"]) + "\n\n"
        self._writer.write(text.encode())
        await self._writer.drain()

    async def _end(self, _code: int | None) -> None:
        self.has_ended()
        self._writer.close()
