"""Tests that a body is freed when its request is answered, without the garbage collector."""

import asyncio
import gc
import json
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from config.django_handler import DjangoHandler


class Text(str):
    """A string that can have weak references."""

    __slots__ = ("__weakref__",)


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> Iterator[list["weakref.ref[Text]"]]:
    """Switch off the garbage collector. Yield a list that gets a weak reference to each string of a parsed body."""
    found: list[weakref.ref[Text]] = []
    from apps.core.parsers import BoundedJSONParser  # noqa: PLC0415 - REST framework must import it first

    parse = BoundedJSONParser.parse

    def watched(self: BoundedJSONParser, *given: Any, **named: Any) -> Any:
        body = {name: Text(value) for name, value in parse(self, *given, **named).items()}
        found.extend(weakref.ref(value) for value in body.values())
        return body

    monkeypatch.setattr(BoundedJSONParser, "parse", watched)
    gc.collect()
    gc.disable()
    yield found
    gc.enable()


async def status(path: str, body: dict[str, str]) -> int:
    content = json.dumps(body).encode()
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    headers.append((b"content-length", b"%d" % len(content)))
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    parts = [{"type": "http.request", "body": content}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return parts.pop() if parts else await asyncio.Future()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    application: Any = DjangoHandler()
    await application(scope, receive, send)
    return int(sent[0]["status"])


async def test_nothing_of_a_body_stays_in_memory_after_its_answer(bodies: list["weakref.ref[Text]"]) -> None:
    assert await status("/api/v1/auth/token/", {"note": "x" * 60_000, "other": "y" * 5000}) == 400
    assert await status("/api/v1/auth/refresh/", {"refresh": "x" * 1900, "note": "z" * 60_000}) == 401
    assert len(bodies) == 4
    assert [ref() for ref in bodies] == [None] * 4
