"""Requests are decoded as UTF-8: a client cannot choose another codec."""

import json
from typing import Any

import pytest

from config.body_limit import Receive, Scope, Send
from config.charset import utf8_only


async def answer(content_type: bytes | None) -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"taken"})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [] if content_type is None else [(b"content-type", content_type)]
    await utf8_only(application)({"type": "http", "headers": headers}, receive, send)
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize(
    "content_type",
    [None, b"", b"application/json", b"application/json; charset=UTF-8", b'text/plain; charset="utf8"', b"\xff; ;;="],
)
async def test_utf_8_is_accepted_named_or_not(content_type: bytes | None) -> None:
    assert await answer(content_type) == (200, b"taken")


@pytest.mark.parametrize("charset", [b"zlib", b"bz2", b"rot13", b"undefined", b"utf-7", b"utf-16", b"latin-1", b"none"])
async def test_another_charset_is_refused(charset: bytes) -> None:
    status, body = await answer(b"application/json; charset=" + charset)
    assert status == 415
    assert json.loads(body)["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "parameters", [b"charset*=nonsense''utf-8", b"x*=idna''%ff", b"x*=punycode''%ff", b"x*0=1;x*=0"]
)
async def test_parameters_that_cannot_be_decoded_are_refused(parameters: bytes) -> None:
    assert (await answer(b"application/json; " + parameters))[0] == 415
