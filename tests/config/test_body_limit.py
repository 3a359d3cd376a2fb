"""The limit on request bodies: announced, lying and chunked ones, before the application has read them."""

import asyncio
import json
from typing import Any

import pytest

from config.body_limit import Receive, Scope, Send, limit_body

MOST = 100


class Exchange:
    """One request: `parts` arrive one by one, and after the last nothing comes any more, as with a real server."""

    def __init__(self, *parts: bytes, announced: bytes | None = None) -> None:
        headers = [] if announced is None else [(b"content-length", announced)]
        self.scope: Scope = {"type": "http", "headers": headers}
        self.messages = [
            {"type": "http.request", "body": part, "more_body": number < len(parts) - 1}
            for number, part in enumerate(parts)
        ]
        self.sent: list[dict[str, Any]] = []
        self.seen: bytes | None = None

    async def receive(self) -> dict[str, Any]:
        if self.messages:
            return self.messages.pop(0)
        return await asyncio.Future()

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    async def application(self, _scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message["more_body"]
        self.seen = body
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"taken"})

    async def answer(self) -> tuple[int, bytes]:
        async with asyncio.timeout(10):
            await limit_body(self.application, lambda _scope: MOST)(self.scope, self.receive, self.send)
        return self.sent[0]["status"], self.sent[1]["body"]


@pytest.mark.parametrize("announced", [None, b"100"])
async def test_a_body_of_the_most_bytes_goes_through(announced: bytes | None) -> None:
    exchange = Exchange(b"x" * 60, b"y" * 40, announced=announced)
    assert await exchange.answer() == (200, b"taken")
    assert exchange.seen == b"x" * 60 + b"y" * 40


@pytest.mark.parametrize("announced", [b"101", b"-1", b"1e2", b"", b"9" * 5000])
async def test_a_larger_body_is_refused_as_soon_as_it_is_announced(announced: bytes) -> None:
    exchange = Exchange(b"x" * 101, announced=announced)
    status, body = await exchange.answer()
    assert status == 413
    assert json.loads(body).keys() == {"code", "message"}
    assert exchange.seen is None


@pytest.mark.parametrize("announced", [None, b"10"])
@pytest.mark.parametrize("parts", [[b"x" * 60, b"y" * 60], [b"x" * 101], [b"x" * 60, b"y" * 60, b"z" * 60]])
async def test_a_chunked_or_lying_body_is_refused_when_it_has_grown_too_large(
    parts: list[bytes], announced: bytes | None
) -> None:
    """At once even if nothing follows: waiting for more would keep the answer back."""
    exchange = Exchange(*parts, announced=announced)
    status, body = await exchange.answer()
    assert (status, json.loads(body)["code"]) == (413, "too_large")
    assert exchange.seen is None
    assert exchange.messages == []


async def test_a_refused_client_gets_its_answer_after_it_has_sent_everything() -> None:
    exchange = Exchange(*[b"x" * 50] * 10, announced=b"500")
    status, _ = await exchange.answer()
    assert status == 413
    assert exchange.messages == []
    assert (b"connection", b"close") in exchange.sent[0]["headers"]


async def test_a_client_that_goes_away_while_refused_is_not_waited_for() -> None:
    exchange = Exchange(b"x" * 60, announced=b"500")
    exchange.messages[0]["more_body"] = True
    exchange.messages.append({"type": "http.disconnect"})
    assert (await exchange.answer())[0] == 413
