"""A TCP proxy that misbehaves on command: it cuts or delays connections, or stops passing bytes on."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from embedded.ports import HOST


class Proxy:
    """A proxy for the server at a loopback port. Its methods, `delay_seconds` and `refuses_upgrades` control it."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = 0
        self.delay_seconds = 0.0
        self.connections = 0
        self.refuses_upgrades = False
        """Whether the proxy answers requests for a WebSocket with 403, as some proxies of offices and hotels do."""
        self._open = asyncio.Event()  # set while bytes are passed on
        self._open.set()
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._handlers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for handler in list(self._handlers):
            handler.cancel()
        if self._handlers:
            await asyncio.wait(self._handlers)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # the next turn of the event loop closes aborted connections

    def cut(self) -> None:
        """End all open connections. New connections are accepted."""
        for writer in list(self._writers):
            writer.transport.abort()

    def refuse(self, *, refusing: bool = True) -> None:
        """End all open connections, and every new one until this is called with `refusing=False`."""
        self._refusing = refusing
        if refusing:
            self.cut()

    def stall(self) -> None:
        """Hold back all bytes in both directions, without closing any connection."""
        self._open.clear()

    def flow(self) -> None:
        """End `stall`: pass on the bytes that were held back, and then all that follow."""
        self._open.set()

    def half_open(self) -> None:
        """Keep the connections that are open now, but pass on nothing more that the server sends on them.

        New connections work.
        """
        for task in list(self._tasks):
            if task.get_name() == "answers":
                task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler: asyncio.Task[None] = asyncio.current_task()  # type: ignore[assignment]
        self._handlers.add(handler)
        try:
            with suppress(asyncio.CancelledError):  # the proxy ends
                await self._pass_both_ways(reader, writer)
        finally:
            if not writer.is_closing():
                writer.transport.abort()
            self._handlers.discard(handler)

    async def _pass_both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._refusing:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, server_writer}
        try:
            if self.refuses_upgrades and not await self._pass_head(reader, writer, server_writer):
                return
            asked = self._start("questions", reader, server_writer)
            answered = self._start("answers", server_reader, writer)
            await asyncio.wait([asked])
            if not answered.done():
                await asyncio.wait([answered])
        finally:
            for end in (writer, server_writer):
                if not end.is_closing():
                    end.transport.abort()
                self._writers.discard(end)

    async def _pass_head(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> bool:
        """Pass on the first request's head, and return True.

        If the request asks for a WebSocket, answer 403, close the connection to the client, and return False. If no
        whole head arrives, do the same without an answer.
        """
        with suppress(asyncio.IncompleteReadError, OSError):
            head = await reader.readuntil(b"\r\n\r\n")
            if b"upgrade: websocket" not in head.lower():
                server.write(head)
                return True
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()
        return False

    def _start(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._pass_on(reader, writer), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self._open.wait()
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                writer.write(data)
                await writer.drain()
            writer.write_eof()
