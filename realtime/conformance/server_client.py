"""The client with which a server is judged. It compares each frame that arrives with the AsyncAPI document."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from realtime.conformance.schemas import SENT_AS_EVENTS, SENT_BY_SERVER, document, fault_of
from realtime.conformance.sections import Section
from realtime.conformance.verdicts import Check, MismatchError

SUBPROTOCOL = "realtime.v1"
PATIENCE_SECONDS = 20.0
"""How long to wait for a frame that has to come. A server may read its feed for up to 15 s before the welcome."""

Frame = dict[str, Any]


async def nothing() -> None:
    """Do nothing. This is the default of `publish`, for checks that do not need a record to change."""


class Judged:
    """A server, and what one `ServerCheck` has found out about it so far.

    `new_ticket` returns a ticket that nobody has used. `publish` changes a record that the holder of the ticket may
    watch.
    """

    def __init__(
        self,
        url: str,
        new_ticket: Callable[[], Awaitable[str]],
        section: Section,
        publish: Callable[[], Awaitable[None]] = nothing,
    ) -> None:
        self.url, self.new_ticket, self.publish, self._section = url.rstrip("/"), new_ticket, publish, section
        self.checks: list[Check] = []
        self.timeline: list[str] = []
        self._began = time.monotonic()

    def note(self, event: str) -> None:
        self.timeline.append(f"{time.monotonic() - self._began:7.2f} s  {event[:300]}")

    def check(self, holds: bool, expected: str, came: object, section: Section | None = None) -> None:  # noqa: FBT001
        """Add a check. Raises MismatchError if it fails."""
        if not holds:
            raise MismatchError(expected, str(came), section or self._section)
        self.checks.append(Check(expected, str(came), section or self._section))

    def equal(self, came: object, wanted: object, expected: str, section: Section | None = None) -> None:
        """Add a check that two values are equal. Raises MismatchError if they are not."""
        self.check(came == wanted, expected, came, section)

    def saw(self, expected: str, came: object) -> None:
        """Add a check that has passed. If it had failed, a call before this one would have raised an exception."""
        self.checks.append(Check(expected, str(came), self._section))

    def address(self, channel: str) -> str:
        """Return the address of a channel of the AsyncAPI document."""
        return self.url + str(document()["channels"][channel]["address"])

    async def socket(self, ticket: str | None = None, *, bearer: str | None = None, **query: str) -> CheckedSocket:
        """Open a WebSocket, by default with a new ticket as a subprotocol."""
        if ticket is None and bearer is None:
            ticket = await self.new_ticket()
        scheme, _, rest = self.address("websocket").partition("://")
        url = f"{scheme.replace('http', 'ws')}://{rest}" + (f"?{urlencode(query)}" if query else "")
        offered = [Subprotocol(SUBPROTOCOL)] + ([Subprotocol(f"ticket.{ticket}")] if ticket else [])
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        self.note(f"opens {url}")
        try:
            opened = await connect(
                url, subprotocols=offered, additional_headers=headers, max_size=None, open_timeout=PATIENCE_SECONDS
            )
        except (OSError, InvalidHandshake) as problem:
            raise MismatchError(
                "The WebSocket opens, even for a client that is refused.", str(problem), Section.CONNECTING
            ) from None
        return CheckedSocket(opened, self)

    async def request(
        self, channel: str, method: str = "GET", headers: dict[str, str] | None = None, **query: str
    ) -> Answer:
        """Send an HTTP request. Return the answer, whose body has not been read yet."""
        target = self.address(channel) + (f"?{urlencode(query)}" if query else "")
        self.note(f"{method} {target}")
        return await asyncio.to_thread(Answer, method, target, headers or {})


class CheckedSocket:
    """One WebSocket. Raises MismatchError for each frame that the AsyncAPI document does not describe."""

    def __init__(self, socket: ClientConnection, judged: Judged) -> None:
        self._socket, self._judged = socket, judged
        self.subprotocol = socket.subprotocol
        self.place: str | None = None
        self.closed: tuple[int, str] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()

    async def read(self, what: str, seconds: float = PATIENCE_SECONDS) -> Frame | None:
        """Return the next frame, or None at the end of the connection. Raises MismatchError if nothing comes."""
        try:
            async with asyncio.timeout(seconds):
                text = await self._socket.recv()
        except ConnectionClosed as end:
            self.closed = (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "")
            self._judged.note(f"closed with {self.closed[0]} {self.closed[1]}")
            return None
        except TimeoutError:
            raise MismatchError(what, f"nothing in {seconds:g} s", Section.SERVER_FRAMES) from None
        self._judged.note(f"receives {text!s:.200}")
        frame = checked(text, SENT_BY_SERVER)
        self.place = frame.get("place", self.place)
        return frame

    async def expect(self, kind: str, seconds: float = PATIENCE_SECONDS) -> Frame:
        """Return the next frame of this type. Before it, answer pings, and skip `records` and `delayed` frames.

        Raises MismatchError if a frame of any other type comes first, if the connection ends, or if the time is over.
        """
        what = f"A frame of the type {kind} comes."
        until = time.monotonic() + seconds
        while frame := await self.read(what, max(0.01, until - time.monotonic())):
            if frame["type"] == kind:
                return frame
            if frame["type"] == "ping":
                await self.send({"type": "pong"})
            elif frame["type"] not in {"records", "delayed"}:
                raise MismatchError(what, f"a frame of the type {frame['type']}", Section.SERVER_FRAMES)
        raise MismatchError(what, f"the end of the connection: {self.closed}", Section.SERVER_FRAMES)

    async def start(self) -> tuple[Frame, list[Frame]]:
        """Read the welcome and all parts of the snapshot after it. Return both."""
        welcome = await self.read("The first frame is `welcome`.")
        first = welcome["type"] if welcome else f"the end of the connection, {self.closed}"
        if welcome is None or first != "welcome":
            raise MismatchError("The first frame is `welcome`.", first, Section.SERVER_FRAMES)
        parts: list[Frame] = []
        while not parts or parts[-1]["more"]:
            part = await self.read("A snapshot follows the welcome.")
            came = part["type"] if part else f"the end of the connection, {self.closed}"
            if part is None or came != "snapshot":
                raise MismatchError("A snapshot follows the welcome.", came, Section.SERVER_FRAMES)
            parts.append(part)
        return welcome, parts

    async def send(self, frame: object) -> None:
        """Send a frame, or a text as it is. Raises no error if the connection has ended."""
        text = frame if isinstance(frame, str) else json.dumps(frame)
        self._judged.note(f"sends {text:.200}")
        with suppress(ConnectionClosed):
            await self._socket.send(text)

    async def until_closed(self, seconds: float = PATIENCE_SECONDS, *, pongs: bool = True) -> int:
        """Read to the end of the connection, and answer pings unless `pongs` is False. Return the close code.

        Raises MismatchError if the connection does not end in time.
        """
        until = time.monotonic() + seconds
        while frame := await self.read("The server closes the connection.", max(0.01, until - time.monotonic())):
            if frame["type"] == "ping" and pongs:
                await self.send({"type": "pong"})
        return self.closed[0] if self.closed else 1006


class Answer:
    """An HTTP response, which may be a stream of events. Its methods block: call them in a thread."""

    def __init__(self, method: str, target: str, headers: dict[str, str]) -> None:
        address = urlsplit(target)
        kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
        self._connection = kind(address.netloc, timeout=PATIENCE_SECONDS)
        path = address.path + (f"?{address.query}" if address.query else "")
        self._connection.request(method, path, headers=headers)
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.headers = {name.lower(): value for name, value in self._answer.getheaders()}

    def json(self) -> Any:
        """Return the value that the body contains as JSON, or None if the body is not JSON."""
        try:
            return json.loads(self._answer.read())
        except ValueError:
            return None
        finally:
            self.close()

    def event(self) -> dict[str, list[str]]:
        """Return the fields of the next event. Raises MismatchError if there is none."""
        fields: dict[str, list[str]] = {}
        try:
            while line := self._answer.readline():
                name, _, value = line.decode().rstrip("\r\n").partition(":")
                if name:
                    fields.setdefault(name, []).append(value.removeprefix(" "))
                elif fields:
                    return fields
        except (OSError, HTTPException) as problem:
            raise MismatchError("An event comes.", str(problem), Section.EVENTS) from None
        raise MismatchError("An event comes.", "the end of the stream", Section.EVENTS)

    def frame(self) -> Frame:
        """Return the frame of the next event. Raises MismatchError if the lines of the event break the protocol."""
        fields = self.event()
        data = fields.get("data", [])
        if len(data) != 1:
            raise MismatchError("The frame of an event is in one line of `data`.", f"{len(data)} lines", Section.EVENTS)
        frame = checked(data[0], SENT_AS_EVENTS)
        for name, value in (("event", frame["type"]), ("id", frame.get("place"))):
            if fields.get(name) != ([value] if value else None):
                expected = f"The line `{name}` of this event has {value}."
                raise MismatchError(expected, str(fields.get(name)), Section.EVENTS)
        return frame

    def close(self) -> None:
        self._connection.close()


def checked(text: str | bytes, operation: str) -> Frame:
    """Parse a frame. Raises MismatchError if the AsyncAPI document does not describe it."""
    try:
        frame: Frame = json.loads(text)
    except ValueError:
        raise MismatchError("A frame is JSON.", f"{text[:200]!r}", Section.SERVER_FRAMES) from None
    fault = fault_of(frame, operation)
    if fault is not None:
        raise MismatchError("The AsyncAPI document describes each frame.", fault, Section.SERVER_FRAMES)
    return frame
