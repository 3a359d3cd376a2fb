"""A limit on request bodies, before Django reads one to its end and writes it to disk."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

Allowance = Callable[[Scope], int]

MAX_BODY_BYTES = 21_000_000
"""A workbook of 20 MB and the form around it."""
FORM_BYTES = 1_000_000
MAX_DIGITS = 18
"""Of an announced length: Python itself refuses to read numbers of some thousand digits."""
READ_ON_BYTES, READ_ON_SECONDS = 200_000_000, 30.0
"""A client that still sends sees a broken connection instead of the answer, so some more is read and thrown away."""


class _BodyTooLargeError(Exception):
    """More arrived than was announced, or than is taken."""


def limit_body(application: Application, allowance: Allowance = lambda _scope: MAX_BODY_BYTES) -> Application:
    """Answers 413 to a larger body: at once if it is announced, else when it has grown too large.

    `allowance` says how many bytes a request may have. `scope["arrived_at"]` (Unix seconds) tells what comes after when
    the request began: a large body may take longer than a token lives.
    """

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        scope["arrived_at"] = time.time()
        max_bytes = allowance(scope)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or len(announced) > MAX_DIGITS or int(announced) > max_bytes:
            await _refuse(receive, send, max_bytes, more=True)
            return
        received, more = 0, True

        async def counted() -> dict[str, Any]:
            nonlocal received, more
            message = await receive()
            received += len(message.get("body", b""))
            more = message.get("more_body", False)
            if received > max_bytes:
                raise _BodyTooLargeError
            return message

        try:
            await application(scope, counted, send)
        except _BodyTooLargeError:
            await _refuse(receive, send, max_bytes, more=more)

    return limited


async def _refuse(receive: Receive, send: Send, max_bytes: int, *, more: bool) -> None:
    if more:  # after the last part nothing comes any more, and to wait for it would keep the answer back
        await _read_on(receive)
    message = f"The request is larger than {max_bytes // 1_000_000} MB, which is all that is taken here."
    body = json.dumps({"code": "too_large", "message": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})


async def _read_on(receive: Receive) -> None:
    received = 0
    try:
        async with asyncio.timeout(READ_ON_SECONDS):
            while received < READ_ON_BYTES:
                message = await receive()
                received += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
