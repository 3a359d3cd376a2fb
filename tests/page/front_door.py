"""A test's own server in front of the product. It serves a page that runs the test's JavaScript in any browser.

The page needs no driver for the browser, so the same test can run in Chromium and in Firefox. The server passes
requests on to the product. A test can make it refuse requests for events.
"""

import asyncio
import json
from http import HTTPStatus
from http.cookies import SimpleCookie
from types import TracebackType
from typing import Any, Self

from embedded.ports import HOST

PATIENCE_SECONDS = 60.0
EVENTS = "/api/v1/events/"
_PAGE = """<!doctype html><title>test</title><script type="module">
const post = (path, body) => fetch(path, { method: "POST", body });
for (;;) {
  const { code, argument, reload } = await (await post("/door/order")).json();
  if (reload) {
    location.reload();
    await new Promise(() => {});
  }
  let answer;
  try {
    answer = { value: await (0, eval)(`(${code})`)(argument) };
  } catch (problem) {
    answer = { problem: String(problem) };
  }
  await post("/door/answer", JSON.stringify(answer));
}
</script>"""
_WAIT = """async (argument) => {{
  const holds = {code};
  while (!holds(argument)) await new Promise((resolve) => setTimeout(resolve, 20));
}}"""


class FrontDoor:
    """The server. `target` is the product's port. Each status in `refusals` answers one request for events."""

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self.refusals: list[int] = []
        self.cookies = SimpleCookie()
        """The cookies that the product has set through this server."""
        self._to_set = ""
        self._orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._handlers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for handler in list(self._handlers):
            handler.cancel()
        if self._handlers:
            await asyncio.wait(self._handlers)
        await self._server.wait_closed()

    @property
    def address(self) -> str:
        """Return the address of the page, to be opened in a browser."""
        return f"http://{HOST}:{self.port}/door/"

    async def evaluate(self, code: str, argument: Any = None) -> Any:
        """Run a JavaScript function in the page, and return its awaited result. Raise AssertionError if it throws."""
        self._orders.put_nowait({"code": code, "argument": argument})
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await self._answers.get()
        assert "problem" not in answer, answer["problem"]
        return answer.get("value")

    async def wait_for(self, code: str, argument: Any = None) -> None:
        """Wait until a JavaScript function returns something true in the page."""
        await self.evaluate(_WAIT.format(code=code), argument)

    async def set_cookie(self, name: str, value: str) -> None:
        """Replace the value of a cookie that the product has set."""
        self.cookies[name].set(name, value, value)
        self._to_set = self.cookies[name].OutputString()
        await self.evaluate("() => fetch('/door/cookie').then(() => null)")

    def reload(self) -> None:
        """Reload the page, so that it is empty again."""
        self._orders.put_nowait({"reload": True})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            writer.close()
            self._handlers.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = head.split(" ", 2)[1]
        if path.startswith("/door/"):
            await self._answer_page(path, head, reader, writer)
        elif path.startswith(EVENTS) and self.refusals:
            _write(writer, self.refusals.pop(0), b"refused", "Retry-After: 1\r\n")
        else:
            await self._pass_on(head, reader, writer)

    async def _answer_page(
        self, path: str, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if path == "/door/":
            _write(writer, HTTPStatus.OK, _PAGE.encode(), "Content-Type: text/html\r\n")
        elif path == "/door/order":
            order = await self._next_order(reader)
            _write(writer, HTTPStatus.OK, json.dumps(order).encode())
        elif path == "/door/answer":
            self._answers.put_nowait(json.loads(await reader.readexactly(_length(head))))
            _write(writer, HTTPStatus.OK, b"")
        else:
            cookie, self._to_set = self._to_set, ""
            _write(writer, HTTPStatus.OK, b"", f"Set-Cookie: {cookie}\r\n" if cookie else "")

    async def _next_order(self, reader: asyncio.StreamReader) -> dict[str, Any]:
        """Wait for the next order, and return it.

        Raise ConnectionResetError if the page disconnects before an order comes. No order is then taken from the queue.
        """
        order, gone = asyncio.ensure_future(self._orders.get()), asyncio.ensure_future(reader.read())
        try:
            await asyncio.wait({order, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not order.done():
                raise ConnectionResetError
            return order.result()
        finally:
            order.cancel()
            gone.cancel()

    async def _pass_on(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_product = await asyncio.open_connection(HOST, self.target)
        lines = [line for line in head.split("\r\n") if not line.lower().startswith("connection:")]
        to_product.write("\r\n".join([lines[0], "Connection: close", *lines[1:]]).encode("latin-1"))
        pumps = {
            asyncio.ensure_future(self._pump(reader, to_product)),
            asyncio.ensure_future(self._tell(there, writer)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            to_product.close()

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass the product's response on to the browser, and remember the cookies that the response sets."""
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.decode("latin-1").split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "set-cookie":
                self.cookies.load(value.strip())
        writer.write(head)
        await self._pump(reader, writer)

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()


def _length(head: str) -> int:
    lengths = [line.partition(":")[2] for line in head.split("\r\n") if line.lower().startswith("content-length:")]
    return int(lengths[0]) if lengths else 0


def _write(writer: asyncio.StreamWriter, status: int, body: bytes, more: str = "") -> None:
    phrase = HTTPStatus(status).phrase
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\nContent-Length: {len(body)}\r\nCache-Control: no-store\r\n"
    )
    writer.write(f"{head}{more}\r\n".encode("latin-1") + body)
