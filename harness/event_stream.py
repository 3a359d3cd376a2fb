"""A client of Server-Sent Events, written from the WHATWG's standard. It keeps frames and records like `Watcher`."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Self

import httpx

from harness.watcher import PATIENCE_SECONDS, Frame, Watcher


class RefusedStreamError(Exception):
    """The server did not open a stream."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(f"{answer.status_code}: {answer.text}")
        self.answer = answer


class EventStream(Watcher):
    """Reads `GET /api/v1/events/`. `last_id` and `retry_ms` are what a browser would remember."""

    def __init__(self, answer: httpx.Response, stack: AsyncExitStack) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # it reads no socket
        self.answer, self._stack = answer, stack
        self.last_id: str | None = None
        self.retry_ms: int | None = None
        self.retry_lines = 0
        self._events = self._read_events()

    @classmethod
    async def open(
        cls,
        url: str,
        ticket: str | None = None,
        *,
        headers: dict[str, str] | None = None,
        client: httpx.AsyncClient | None = None,
        **parameters: str,
    ) -> Self:
        """Open a stream, with a new HTTP client unless `client` is given.

        Raises RefusedStreamError if the status of the answer is not 200.
        """
        sent = dict(headers or {})
        if ticket is not None:
            sent["Authorization"] = f"Bearer {ticket}"
        async with AsyncExitStack() as stack:
            if client is None:
                client = await stack.enter_async_context(httpx.AsyncClient(timeout=PATIENCE_SECONDS))
            request = client.build_request("GET", url, params=parameters, headers=sent)
            answer = await client.send(request, stream=True)
            stack.push_async_callback(answer.aclose)
            if answer.status_code != 200:
                await answer.aread()
                raise RefusedStreamError(answer)
            return cls(answer, stack.pop_all())
        raise AssertionError

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def read(self) -> Frame:
        """Read the next event's frame, apply it, and return it. Raises StopAsyncIteration at the end of the stream."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            frame = await anext(self._events)
        self.apply(frame)
        return frame

    async def ended(self, within_seconds: float = PATIENCE_SECONDS) -> Frame:
        """Read to the end of the stream, and return the last frame."""
        try:
            async with self.waiting_for("the end of the stream", within_seconds):
                while True:
                    await self.read()
        except StopAsyncIteration:
            return self.frames[-1]

    async def _read_events(self) -> AsyncIterator[Frame]:
        fields: dict[str, list[str]] = {}
        async for line in self._read_lines():
            if line:
                name, _, value = line.partition(":")
                fields.setdefault(name, []).append(value.removeprefix(" "))
                continue
            if "retry" in fields:
                self.retry_ms = int(fields["retry"][0])
                self.retry_lines += 1
            if "id" in fields:
                self.last_id = fields["id"][0]
            if "data" in fields:
                yield self._frame(fields)
            fields = {}

    async def _read_lines(self) -> AsyncIterator[str]:
        """Yield the lines. They end with CR, LF or both, but not with the other line separators of Unicode."""
        rest = b""
        async for part in self.answer.aiter_bytes():
            *lines, rest = re.split(rb"\r\n|\r|\n", rest + part)
            for line in lines:
                yield line.decode()

    @staticmethod
    def _frame(fields: dict[str, list[str]]) -> Frame:
        frame: dict[str, Any] = json.loads("\n".join(fields["data"]))
        assert fields["event"] == [frame["type"]]
        assert fields.get("id", [None]) == [frame.get("place")]
        return frame
