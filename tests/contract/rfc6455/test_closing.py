"""Tests of closing a connection (RFC 6455, sections 5.5.1 and 7)."""

from collections.abc import Callable

import pytest

from harness.raw_websocket import (
    CLOSE,
    DROPPED,
    FINAL,
    NO_CODE,
    TEXT,
    RawWebSocket,
    client_frame,
    close,
    ping,
    subscription,
    text_message,
)

Chop = Callable[[list[bytes]], list[bytes]]


async def closed_with(client: RawWebSocket, code: int, reason: str = "") -> None:
    """Read the server's close frame, which must repeat the client's code.

    daphne answers each with 1000 and no reason: section 5.5.1 says that the code is "typically" repeated.
    """
    end = await client.closed()
    assert (end.code, end.reason) in [(code, reason), *([(1000, "")] if client.server_drops else [])]


async def test_a_close_after_a_message_is_answered(client: RawWebSocket) -> None:
    """Section 5.5.1. Autobahn 7.1.1."""
    await client.is_served()
    await client.send(close(1000))
    await closed_with(client, 1000)


LATE = {
    "a close": close(1001),
    "a ping": ping(b"late"),
    "a text": text_message(subscription(1)),
    "rubbish": b"\xff\xff rubbish",
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
async def test_nothing_after_a_close_is_answered(client: RawWebSocket, late: bytes, chopped: Chop) -> None:
    """Section 5.5.1: a client must send nothing after its close frame. Autobahn 7.1.2 to 7.1.6."""
    await client.send(*chopped([close(1000), late]))
    await closed_with(client, 1000)
    assert client.pongs == []


async def test_a_close_without_a_code_is_answered(client: RawWebSocket, chopped: Chop) -> None:
    """Section 7.1.5. Autobahn 7.3.1."""
    await client.send(*chopped([close(None)]))
    await closed_with(client, NO_CODE)


@pytest.mark.parametrize("reason", ["", "Hello World!", "수업 끝", "*" * 123])
async def test_a_close_with_a_reason_is_answered(client: RawWebSocket, reason: str, chopped: Chop) -> None:
    """Section 7.1.6. Autobahn 7.3.3 to 7.3.5."""
    await client.send(*chopped([close(1000, reason.encode())]))
    await closed_with(client, 1000, reason)


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xe8" + b"*" * 124], ids=["1", "126"])
async def test_a_close_frame_of_one_or_of_126_bytes_fails_the_connection(client: RawWebSocket, payload: bytes) -> None:
    """Sections 5.5 and 5.5.1. Autobahn 7.3.2 and 7.3.6."""
    await client.send(client_frame(FINAL | CLOSE, payload))
    await client.failed(1002)


async def test_a_close_reason_that_is_not_utf_8_fails_the_connection(client: RawWebSocket) -> None:
    """Section 5.5.1. Autobahn 7.5.1."""
    await client.send(close(1000, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"))
    await client.failed(1007)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
async def test_each_valid_close_code_is_answered(client: RawWebSocket, code: int) -> None:
    """Section 7.4. Autobahn 7.7."""
    await client.send(close(code))
    await closed_with(client, code)


@pytest.mark.parametrize("code", [1012, 1013, 1014])
async def test_the_close_codes_of_the_registry_are_answered(client: RawWebSocket, code: int) -> None:
    """Section 11.7: IANA has registered these since. A server may be older than they are."""
    await client.send(close(code))
    assert (await client.closed()).code in {code, *([1000, DROPPED] if client.server_drops else [])}


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
async def test_each_invalid_close_code_fails_the_connection(client: RawWebSocket, code: int) -> None:
    """Section 7.4. Autobahn 7.9 and 7.13."""
    await client.send(close(code))
    await client.failed(1002)


async def test_the_server_closes_the_socket_when_its_own_close_is_answered(client: RawWebSocket) -> None:
    """Sections 7.1.1 and 7.1.2. The tenth malformed frame of the engine's protocol makes the server close."""
    await client.send(*[text_message("nonsense")] * 10)
    answers = [await client.answer() for _ in range(10)]
    assert {answer["code"] for answer in answers} == {"bad_frame"}
    assert (await client.closed(of_the_server=True)).code == 4400


async def test_nothing_that_arrives_after_the_servers_close_is_answered(client: RawWebSocket) -> None:
    """Section 5.5.1: after its close frame the server sends no more. The client's frames may still be on their way."""
    late = [text_message(subscription(1)), ping(b"late"), close(1000)]
    await client.send(*[text_message("nonsense")] * 10, *late)
    for _ in range(10):
        await client.answer()
    assert (await client.closed()).code == 4400
    assert client.pongs in ([], [b"late"])  # it may have come before the server's close


UNFINISHED = {"nothing": b"", "a frame": text_message(subscription(1))[:20], "a message": client_frame(TEXT, b"{")}


@pytest.mark.parametrize("unfinished", UNFINISHED.values(), ids=UNFINISHED)
async def test_an_end_without_a_close_frame_closes_the_socket(client: RawWebSocket, unfinished: bytes) -> None:
    """Section 7.1.5: this is an unclean end, whatever was sent before it."""
    await client.send(unfinished, end=True)
    end = await client.closed()
    assert end.code in {DROPPED, 1002, 1000}
