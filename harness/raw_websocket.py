"""A WebSocket client that sends any bytes, valid or not, and holds each frame of the server against RFC 6455."""

import asyncio
import base64
import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any, Self

from harness.system import PATIENCE_SECONDS

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FINAL = 0x80
NO_CODE, DROPPED = 1005, 1006
"""What section 7.1.5 calls a close frame without a code, and an end without a close frame."""
_KEY = b"\x37\xfa\x21\x3d"
_PUSHED = {"welcome", "snapshot", "records", "ping", "delayed", "closing"}
"""The frames of the engine's protocol that are no answers to the client."""


def client_frame(first: int, payload: bytes = b"", field: int | None = None, *, masked: bool = True) -> bytes:
    """Return a frame with this first byte. `field` is the size of the length: 0, 2 or 8 bytes after the second byte."""
    length = len(payload)
    if field is None:
        field = 0 if length < 126 else 2 if length < 1 << 16 else 8
    second = (0x80 if masked else 0) | {0: length, 2: 126, 8: 127}[field]
    size = length.to_bytes(field, "big") if field else b""
    if not masked:
        return bytes((first, second)) + size + payload
    return bytes((first, second)) + size + _KEY + _xor(payload)


def client_header(first: int, length: int) -> bytes:
    """Return a frame without its payload, for a length of at least 65,536 bytes."""
    return bytes((first, FINAL | 127)) + length.to_bytes(8, "big") + _KEY


def text_message(text: str | bytes) -> bytes:
    return client_frame(FINAL | TEXT, text.encode() if isinstance(text, str) else text)


def subscription(number: int, size: int = 0) -> str:
    """Return a valid frame of the engine's protocol with this id, filled up with spaces to `size` bytes."""
    return f'{{"type":"subscribe","id":{number},"topics":["rfc:x"]}}'.ljust(size)


def ping(payload: bytes = b"") -> bytes:
    return client_frame(FINAL | PING, payload)


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return client_frame(FINAL | CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def fragments(payload: bytes, size: int, opcode: int = TEXT) -> list[bytes]:
    """Return a message in frames of up to `size` bytes each."""
    parts = [payload[start : start + size] for start in range(0, len(payload), size)]
    first_bytes = [opcode, *[CONTINUATION] * (len(parts) - 1)]
    first_bytes[-1] |= FINAL
    return [client_frame(first, part) for first, part in zip(first_bytes, parts, strict=True)]


def _xor(payload: bytes) -> bytes:
    return bytes(byte ^ _KEY[position % 4] for position, byte in enumerate(payload))


@dataclass
class Closed:
    code: int
    reason: str = ""


class _EndedError(Exception):
    """The connection ended. `rest` is what had come of an unfinished frame."""

    def __init__(self, rest: bytes) -> None:
        super().__init__(rest)
        self.rest = rest


class RawWebSocket(asyncio.Protocol):
    """A client on a TCP socket of its own, whose connection is open and has its snapshot.

    `server_drops` says that the server fails a connection by dropping it, as daphne does. Section 7.1.7 allows it: a
    close frame SHOULD be sent first, but need not.
    """

    server_drops = False

    def __init__(self) -> None:
        self._received = bytearray()
        self._ended = False
        self._changed = asyncio.Event()
        self.pongs: list[bytes] = []

    @classmethod
    async def open(cls, address: str, ticket: str, early: bytes = b"") -> Self:
        """Open a WebSocket, and read up to its snapshot. Send `early` as soon as the server has accepted it."""
        where = address.removeprefix("http://")
        host, port = where.split(":")
        async with asyncio.timeout(PATIENCE_SECONDS):
            _, made = await asyncio.get_running_loop().create_connection(cls, host, int(port))
            await made.begin(where, ticket, early)
        return made

    async def begin(self, where: str, ticket: str, early: bytes) -> None:
        await self._shake_hands(where, ticket)
        self._transport.write(early)
        payload = b""
        while not payload.startswith(b'{"type":"snapshot"'):
            opcode, payload = await self._frame()
            if opcode == PONG:
                self.pongs.append(payload)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep the data. A StreamReader would lose what came before the connection was reset."""
        self._received += data
        self._changed.set()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._ended = True
        self._changed.set()

    async def _bytes(self, count: int) -> bytes:
        while len(self._received) < count:
            if self._ended:
                raise _EndedError(bytes(self._received))
            self._changed.clear()
            await self._changed.wait()
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    async def _shake_hands(self, where: str, ticket: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {
            "Host": where,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": f"realtime.v1, ticket.{ticket}",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._transport.write(f"GET /ws/events/?topics=rfc:none HTTP/1.1\r\n{lines}\r\n".encode())
        head = ""
        while not head.endswith("\r\n\r\n"):
            head += (await self._bytes(1)).decode()
        accept = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324 - section 4.2.2
        assert head.startswith("HTTP/1.1 101 "), head
        answered = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:-1])
        assert answered["sec-websocket-accept"] == base64.b64encode(accept).decode().lower()
        assert "sec-websocket-extensions" not in answered

    async def send(self, *pieces: bytes, end: bool = False) -> None:
        """Send pieces one by one, with a pause that lets the server read each alone. Then maybe end this direction."""
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(0.001)
            if not self._transport.is_closing():  # the server may have closed the connection meanwhile
                self._transport.write(piece)
        if end:
            self._transport.write_eof()

    async def next(self) -> dict[str, Any] | bytes | Closed:
        """Return the next answer to a message, the payload of the next pong, or how the connection ended."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    opcode, payload = await self._frame()
                except _EndedError as end:
                    assert not end.rest, f"the server sent a part of a frame: {end.rest!r}"
                    return Closed(DROPPED)
                if opcode == CLOSE:
                    return _closed(payload)
                if opcode == PONG:
                    self.pongs.append(payload)
                    return payload
                frame: dict[str, Any] = json.loads(payload)
                if frame["type"] not in _PUSHED:
                    return frame

    async def answer(self) -> dict[str, Any]:
        """Return the next answer to a message. Pongs before it are kept in `pongs`."""
        while not isinstance(event := await self.next(), dict):
            assert isinstance(event, bytes), f"The connection ended without the answer: {event}"
        return event

    async def until_pong(self, payload: bytes) -> None:
        """Read pongs up to the one with this payload."""
        while (event := await self.next()) != payload:
            assert isinstance(event, bytes), event

    async def closed(self, *, of_the_server: bool = False) -> Closed:
        """Return the next event, which must be the end of the connection. The server closes the socket first.

        With `of_the_server`, the server has begun to close, and the client must answer before the socket is closed.
        """
        event = await self.next()
        assert isinstance(event, Closed), event
        if of_the_server:
            await self.send(close(event.code))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self._ended:
                self._changed.clear()
                await self._changed.wait()
        assert not self._received, f"section 5.5.1: nothing follows a close frame, but {bytes(self._received)!r} did"
        return event

    async def failed(self, *codes: int) -> Closed:
        """Return how the connection ended. The server must have failed it with one of these codes."""
        end = await self.closed()
        assert end.code in {*codes, *([DROPPED] if self.server_drops else [])}, end
        return end

    async def is_served(self, number: int = 9999) -> None:
        """Show that the connection still works, and that the server answers everything before with nothing more."""
        await self.send(text_message(subscription(number)))
        answer = await self.answer()
        assert (answer["type"], answer["id"]) == ("subscribed", number)

    def leave(self) -> None:
        self._transport.abort()

    async def _frame(self) -> tuple[int, bytes]:
        """Read a frame, which must be as section 5 says."""
        first, second = await self._bytes(2)
        opcode, length = first & 0x0F, second & 0x7F
        assert not first & 0x70, "section 5.2: without an extension the reserved bits are 0"
        assert not second & 0x80, "section 5.1: a server does not mask"
        assert opcode in {TEXT, CLOSE, PING, PONG}, f"the engine sends no frames of the opcode {opcode}"
        assert first & FINAL, "the engine sends each message in one frame"
        if opcode >= CLOSE:
            assert length <= 125, "section 5.5: a control frame has at most 125 bytes"
        if length >= 126:
            short = length == 126
            length = int.from_bytes(await self._bytes(2 if short else 8), "big")
            assert length >= (126 if short else 1 << 16), "section 5.2: a length has as few bytes as possible"
        return opcode, await self._bytes(length)


def _closed(payload: bytes) -> Closed:
    assert len(payload) != 1, "section 5.5.1: a code has two bytes"
    if not payload:
        return Closed(NO_CODE)
    code = int.from_bytes(payload[:2], "big")
    assert code not in {0, 1004, 1005, 1006, 1015}, "section 7.4.1: these are not sent"
    return Closed(code, payload[2:].decode())
