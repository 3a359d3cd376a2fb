"""Tests that open sockets are handed over by a running server, and that nothing of the handshake stays behind."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from embedded.ports import HOST, free_port
from realtime import serve
from realtime.protocol.frames import Frame
from realtime.server.asgi_server import hand_over, hand_over_stream
from realtime.server.bounded_http import BoundedHttp
from realtime.server.bounded_websocket import BoundedWebSocket
from realtime.server.fast_event_stream import FastEventStream
from realtime.server.fast_websocket import FastWebSocket

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]


class Echo:
    """Echoes text messages. A message that begins with "wait" is answered when `gate` is open."""

    def __init__(self, socket: FastWebSocket) -> None:
        self.socket = socket
        self.gate = asyncio.Event()
        self.received: list[str | None] = []
        self.stopped = asyncio.Event()
        self.refused = False

    def receive(self, text: str | None) -> Awaitable[None] | None:
        self.received.append(text)
        if text is not None and text.startswith("wait"):
            return self._answer_late(text)
        if text == "fail":
            return self._fail()
        self._answer(text)
        return None

    def refuse_more(self) -> None:
        self.refused = True

    async def _fail(self) -> None:
        raise RuntimeError("The test wants this.")

    async def _answer_late(self, text: str) -> None:
        await self.gate.wait()
        self._answer(text)

    def _answer(self, text: str | None) -> None:
        self.socket.send(Frame("echo", (text or "binary").encode()))

    def stop(self) -> None:
        self.stopped.set()


class Opened:
    """What the application of the test has opened."""

    def __init__(self) -> None:
        self.sockets: asyncio.Queue[FastWebSocket | None] = asyncio.Queue()
        self.streams: asyncio.Queue[FastEventStream | None] = asyncio.Queue()
        self.echoes: list[Echo] = []

    async def application(self, scope: Message, receive: Receive, send: Send) -> None:
        await (self._websocket(receive, send) if scope["type"] == "websocket" else self._stream(send))

    async def _websocket(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        socket = hand_over(send)
        if socket is not None:
            self.echoes.append(Echo(socket))
            socket.begin(self.echoes[-1])
        self.sockets.put_nowait(socket)
        if socket is None:
            await receive()

    async def _stream(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        stream = hand_over_stream(send)
        self.streams.put_nowait(stream)
        if stream is None:
            await send({"type": "http.response.body", "body": b"last", "more_body": False})


@asynccontextmanager
async def running(opened: Opened, **options: Any) -> AsyncIterator[int]:
    """Serve the application with `realtime.serve` in this process, and yield the port."""
    module = ModuleType("application_of_the_test")

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        await opened.application(scope, receive, send)

    module.application = application  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    port = free_port()
    server = serve.server_of(f"{module.__name__}:application", **options)
    with server.capture_signals():
        task = asyncio.create_task(server._serve([serve.listen(HOST, port, reuse_port=False)]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield port
        server.should_exit = True
        await task
    del sys.modules[module.__name__]


@asynccontextmanager
async def client(opened: Opened) -> AsyncIterator[tuple[ClientConnection, Echo]]:
    async with running(opened) as port, connect(f"ws://{HOST}:{port}/", compression=None) as websocket:
        assert await opened.sockets.get() is not None
        yield websocket, opened.echoes[-1]


async def test_an_open_websocket_has_no_task_and_nothing_of_the_handshake() -> None:
    async with client(Opened()) as (websocket, _echo):
        await websocket.send("hello")
        assert await websocket.recv() == "hello"
        gc.collect()
        tasks = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}  # type: ignore[union-attr]
        assert not any("run_asgi" in name for name in tasks)
        assert not any(isinstance(each, BoundedWebSocket | BoundedHttp) for each in gc.get_objects())


async def test_messages_wait_for_the_one_before_and_keep_their_order() -> None:
    async with client(Opened()) as (websocket, echo):
        for text in ("wait 1", "2", "wait 3", "4"):
            await websocket.send(text)
        while not echo.received:
            await asyncio.sleep(0.01)
        assert echo.received == ["wait 1"]
        echo.gate.set()
        assert [await websocket.recv() for _ in range(4)] == ["wait 1", "2", "wait 3", "4"]


async def test_the_owner_is_told_when_the_client_has_gone() -> None:
    async with client(Opened()) as (websocket, echo):
        websocket.transport.abort()
        await echo.stopped.wait()
        with pytest.raises(ConnectionResetError):
            echo.socket.send(Frame("echo", b"{}"))


async def test_a_message_that_is_being_handled_is_given_up_when_the_client_has_gone() -> None:
    async with client(Opened()) as (websocket, echo):
        await websocket.send("wait")
        while not echo.received:
            await asyncio.sleep(0.01)
        echo.socket.abort()
        await echo.stopped.wait()
        echo.gate.set()
        await asyncio.sleep(0)
        assert not any("_finish" in repr(task.get_coro()) for task in asyncio.all_tasks())


async def test_a_client_that_reads_nothing_is_waited_for() -> None:
    async with client(Opened()) as (websocket, echo):
        websocket.transport.pause_reading()
        frame = Frame("large", b'"' + b"a" * 1_000_000 + b'"')
        waits: Awaitable[None] | None = None
        while waits is None:
            waits = echo.socket.send(frame)
        websocket.transport.resume_reading()
        reading = asyncio.create_task(websocket.recv())
        await waits
        assert await reading == frame.text


async def test_a_close_of_the_server_is_answered_and_then_the_socket_is_closed() -> None:
    async with client(Opened()) as (websocket, echo):
        await echo.socket.close(4001, "Enough.")
        with pytest.raises(ConnectionClosed) as closed:
            await websocket.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "Enough.")
        await echo.stopped.wait()


async def test_the_end_of_the_server_closes_open_sockets_with_1012() -> None:
    opened = Opened()
    async with running(opened) as port:
        websocket = await connect(f"ws://{HOST}:{port}/", compression=None)
        await opened.sockets.get()
    with pytest.raises(ConnectionClosed) as closed:
        await websocket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


async def test_a_client_that_sends_before_the_handshake_is_complete_is_served_by_uvicorn() -> None:
    """Uvicorn may hold a part of what was sent, so it keeps the socket."""
    opened = Opened()
    accept = asyncio.Event()
    application = opened._websocket

    async def accept_late(receive: Receive, send: Send) -> None:
        await accept.wait()
        await application(receive, send)

    opened._websocket = accept_late  # type: ignore[method-assign]
    async with running(opened) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await asyncio.sleep(0.05)  # so that the rest arrives in a read of its own
        writer.write(b"\x81\x82\x00\x00\x00\x00hi")
        await asyncio.sleep(0.05)
        accept.set()
        assert await opened.sockets.get() is None
        assert (await reader.readline()).startswith(b"HTTP/1.1 101")
        writer.close()


async def test_a_portable_server_hands_nothing_over() -> None:
    opened = Opened()
    async with running(opened, portable=True) as port:
        async with connect(f"ws://{HOST}:{port}/"):
            assert await opened.sockets.get() is None
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"0\r\n\r\n")
        assert await opened.streams.get() is None
        writer.close()


async def test_a_stream_goes_on_after_the_hand_over_and_ends_with_the_last_chunk() -> None:
    opened = Opened()
    async with running(opened) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        stream = await opened.streams.get()
        assert stream is not None
        await reader.readuntil(b"5\r\nfirst\r\n")
        frame = Frame("echo", b"{}")
        stream.send(frame)
        assert await reader.readexactly(len(frame.chunk)) == frame.chunk
        gc.collect()
        assert not any(isinstance(each, BoundedHttp) for each in gc.get_objects())
        stream.finish()
        assert await reader.read() == b"0\r\n\r\n"
        writer.close()


async def test_a_response_without_a_length_for_http_1_0_ends_as_uvicorn_ends_it() -> None:
    """Uvicorn sends chunks to such a client as well, so the stream is handed over."""
    opened = Opened()
    async with running(opened) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        stream = await opened.streams.get()
        assert stream is not None
        stream.finish()
        assert b"first" in await reader.read()
        writer.close()
