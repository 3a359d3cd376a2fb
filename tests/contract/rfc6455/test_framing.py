"""Tests of single frames: lengths, masks, reserved bits and opcodes (RFC 6455, sections 5.1, 5.2 and 5.6)."""

from collections.abc import Callable

import pytest

from harness.raw_websocket import (
    BINARY,
    CLOSE,
    FINAL,
    PING,
    PONG,
    TEXT,
    RawWebSocket,
    client_frame,
    ping,
    subscription,
    text_message,
)

Chop = Callable[[list[bytes]], list[bytes]]


@pytest.mark.parametrize("sent_early", [1, 5, 30, 60])
async def test_a_message_that_begins_right_after_the_handshake_is_read(
    address: str, ticket: str, sent_early: int
) -> None:
    """Section 4.1: a client may send as soon as it has the server's handshake, before the engine's first frames."""
    message = ping(b"early") + text_message(subscription(7))
    client = await RawWebSocket.open(address, ticket, message[:sent_early])
    await client.send(message[sent_early:])
    assert (await client.answer())["id"] == 7
    assert client.pongs == [b"early"]
    client.leave()


async def test_an_empty_text_is_a_message(client: RawWebSocket) -> None:
    """Section 5.2: the length may be 0. Autobahn 1.1.1."""
    await client.send(text_message(""))
    assert (await client.answer())["message"] == "The frame is no JSON."


@pytest.mark.parametrize("size", [125, 126, 127, 128, 8192])
async def test_text_messages_of_each_kind_of_length_are_read(client: RawWebSocket, size: int) -> None:
    """Section 5.2: the length has 7 bits, or 16 more. Autobahn 1.1.2 to 1.1.5."""
    await client.send(text_message(subscription(7, size)))
    assert (await client.answer())["id"] == 7


@pytest.mark.parametrize("size", [65_535, 65_536])
@pytest.mark.parametrize("chop", [65_550, 997])
async def test_the_longest_text_messages_are_read(client: RawWebSocket, size: int, chop: int) -> None:
    """Section 5.2: the length has 64 more bits from 65,536 on. Autobahn 1.1.6 to 1.1.8, 9.5."""
    stream = text_message(subscription(7, size))
    await client.send(*(stream[start : start + chop] for start in range(0, len(stream), chop)))
    answer = await client.answer()
    assert (answer["id"], answer["message"]) == (7, f"The frame has {size} bytes; 8192 are the most.")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65_535, 65_536])
async def test_binary_messages_are_read_and_answered_with_an_error(client: RawWebSocket, size: int) -> None:
    """Section 5.6: the engine's protocol has text messages only. Autobahn 1.2."""
    await client.send(client_frame(FINAL | BINARY, b"\xff" * size))
    assert "binary" in (await client.answer())["message"] or size == 0  # daphne delivers no bytes, as if it were text
    await client.is_served()


@pytest.mark.parametrize("size", [0, 20, 126])
async def test_a_frame_without_a_mask_fails_the_connection(client: RawWebSocket, size: int) -> None:
    """Section 5.1: a server must close the connection upon a frame that is not masked."""
    await client.send(client_frame(FINAL | TEXT, b" " * size, masked=False))
    await client.failed(1002)


@pytest.mark.parametrize("bits", [1, 2, 4, 7])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
async def test_a_reserved_bit_fails_the_connection(client: RawWebSocket, bits: int, opcode: int) -> None:
    """Section 5.2: RSV1 to RSV3 must be 0 without an extension. Autobahn 3.1 to 3.7."""
    await client.send(client_frame(FINAL | bits << 4 | opcode))
    await client.failed(1002)


async def test_a_violation_after_a_message_fails_the_connection(client: RawWebSocket, chopped: Chop) -> None:
    """Section 5.2, as Autobahn 3.2 to 3.4: nothing after the violation is answered, not even a ping."""
    await client.is_served()
    await client.send(*chopped([client_frame(FINAL | TEXT | 0x20, b"{}"), ping(b"late")]))
    await client.failed(1002)
    assert client.pongs == []


async def test_messages_before_a_violation_in_the_same_segment_change_nothing_about_it(client: RawWebSocket) -> None:
    """Section 5.2, as Autobahn 3.2. Whether the message before is still answered is the server's choice (7.1.7)."""
    await client.send(text_message(subscription(1)) + client_frame(FINAL | TEXT | 0x20, b"{}"))
    event = await client.next()
    if isinstance(event, dict):
        assert event["id"] == 1
        await client.failed(1002)
    else:
        assert getattr(event, "code", None) == 1002 or client.server_drops


@pytest.mark.parametrize("opcode", [*range(3, 8), *range(11, 16)])
@pytest.mark.parametrize("payload", [b"", b"reserved"])
async def test_an_unknown_opcode_fails_the_connection(client: RawWebSocket, opcode: int, payload: bytes) -> None:
    """Section 5.2: the opcodes 3 to 7 and 11 to 15 are reserved. Autobahn 4.1 and 4.2."""
    await client.send(client_frame(FINAL | opcode, payload) + ping(b"late"))
    await client.failed(1002)
    assert client.pongs == []


@pytest.mark.parametrize(("size", "field"), [(20, 2), (125, 2), (20, 8), (126, 8), (65_535, 8)])
async def test_a_length_of_too_many_bytes_fails_the_connection(
    client: RawWebSocket, tier: str, size: int, field: int
) -> None:
    """Section 5.2: a length must have as few bytes as possible. The library websockets accepts longer ones too."""
    await client.send(client_frame(FINAL | TEXT, b" " * size, field))
    if tier == "portable":
        assert (await client.answer())["code"] == "bad_frame"
    else:
        await client.failed(1002)


async def test_a_length_with_its_highest_bit_fails_the_connection(client: RawWebSocket, tier: str) -> None:
    """Section 5.2: the bit must be 0. The library websockets looks at the size alone."""
    await client.send(bytes((FINAL | TEXT, 0xFF)) + b"\xff" * 8 + bytes(4))
    await client.failed(1009 if tier == "portable" else 1002)
