"""Tests that a client cannot misuse the hand-over of its socket, and that a socket that was handed over is ended."""

import asyncio
import contextlib
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from embedded.ports import HOST
from realtime import conf
from realtime.protocol.frames import Frame
from realtime.server import fast_socket, fast_websocket
from realtime.server.websocket_parser import Event, FrameParser
from realtime.web import sse
from tests.realtime.server.test_hand_over import Message, Opened, Receive, Send, client, running

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PATIENCE_SECONDS = 10
EMPTY_MESSAGE = b"\x81\x80\0\0\0\0"
LARGE = b"x" * 8_000_000


async def _send_large(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(LARGE))]})
    await send({"type": "http.response.body", "body": LARGE})


async def _rest_of(reader: asyncio.StreamReader) -> bytes:
    read = b""
    async with asyncio.timeout(PATIENCE_SECONDS):
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(65_536):
                read += part
    return read


async def _connect_narrowly(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect with a small receive buffer, so that unread bytes stay in the server."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect((HOST, port))
    return await asyncio.open_connection(sock=narrow, limit=4096)


async def test_a_websocket_does_not_begin_before_the_answer_before_is_sent() -> None:
    opened = Opened()
    begun = asyncio.Event()

    async def never_answer(send: Send) -> None:
        begun.set()
        await asyncio.Event().wait()

    opened._stream = never_answer  # type: ignore[method-assign]
    async with running(opened) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()
        writer.write(UPGRADE)
        assert await _rest_of(reader) == b""
        writer.close()
        for task in asyncio.all_tasks():
            if "run_asgi" in repr(task.get_coro()):
                task.cancel()


async def test_a_websocket_does_not_begin_while_the_answer_before_is_not_read() -> None:
    """Its writes would not wait for the client, so the write buffer would grow without end."""
    opened = Opened()
    opened._stream = _send_large  # type: ignore[method-assign]
    async with running(opened) as port:
        reader, writer = await _connect_narrowly(port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readexactly(2000)
        writer.write(UPGRADE)
        assert b"101 Switching" not in await _rest_of(reader)
        assert opened.sockets.empty()
        writer.close()


async def test_messages_that_wait_are_limited_in_number() -> None:
    async with client(Opened()) as (websocket, echo):
        await websocket.send("wait")
        while not echo.received:
            await asyncio.sleep(0.01)
        echo.socket.data_received(EMPTY_MESSAGE * fast_websocket.MAX_WAITING)
        refused_before = echo.refused
        echo.socket.data_received(EMPTY_MESSAGE * 40_000)
        assert (refused_before, echo.refused) == (False, True)
        echo.gate.set()
        assert await websocket.recv() == "wait"
        assert len(echo.received) == 1


async def test_an_error_while_a_message_is_handled_closes_with_1011() -> None:
    async with client(Opened()) as (websocket, echo):
        await websocket.send("fail")
        with pytest.raises(ConnectionClosed) as closed:
            await websocket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
        await echo.stopped.wait()


async def test_a_client_that_floods_instead_of_answering_a_close_is_read_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with client(Opened()) as (_websocket, echo):
        await echo.socket.close(4001, "Enough.")
        fed: list[int] = []
        feed = FrameParser.feed

        def note(parser: FrameParser, data: bytes) -> list[Event]:
            fed.append(len(data))
            return feed(parser, data)

        monkeypatch.setattr(FrameParser, "feed", note)
        for _ in range(100):
            echo.socket.data_received(EMPTY_MESSAGE * 2000)
        assert sum(fed) <= fast_socket.UNUSED_BYTES
        assert not echo.socket._transport.is_reading()
        echo.socket.abort()


async def test_a_client_that_floods_its_event_stream_is_cut_off() -> None:
    opened = Opened()
    async with running(opened) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        stream = await opened.streams.get()
        assert stream is not None
        stopped = asyncio.Event()
        stream.start_reading(SimpleNamespace(stop=stopped.set))
        writer.write(b"a" * 2 * fast_socket.UNUSED_BYTES)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await stopped.wait()
        await _rest_of(reader)
        writer.close()


async def test_a_stream_that_begins_after_the_opening_notices_that_its_client_has_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The head of the stream waits until the client has read the answer before. By then the opening is over."""
    opened = Opened()
    requests = 0
    began, stopped = asyncio.Event(), asyncio.Event()

    class Connection:
        def __init__(self, _ticket: Any, _topics: Any, carrier: sse.EventStream, *_rest: Any) -> None:
            self._carrier = carrier

        async def open(self, *_given: Any) -> None:
            rest = self._carrier.send(Frame("welcome", b"{}"))
            assert rest is not None
            self._begin = asyncio.create_task(self._begin_after(rest))

        async def _begin_after(self, rest: Any) -> None:
            await rest
            began.set()

        def stop(self) -> None:
            stopped.set()

    monkeypatch.setattr(sse, "Connection", Connection)
    monkeypatch.setattr(sse, "read_handshake", lambda *_: SimpleNamespace(ticket=None, topics=None, since=None))
    monkeypatch.setattr(sse, "this_process", lambda: SimpleNamespace(hub=None, connections=None, admit=None))
    monkeypatch.setattr(conf, "timing", lambda: None)

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal requests
        requests += 1
        await (_send_large(send) if requests == 1 else sse._stream(scope, receive, send))

    opened.application = application  # type: ignore[method-assign]
    async with running(opened) as port:
        reader, writer = await _connect_narrowly(port)
        writer.write(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not began.is_set():
                await reader.read(65_536)
            writer.transport.abort()
            await stopped.wait()
