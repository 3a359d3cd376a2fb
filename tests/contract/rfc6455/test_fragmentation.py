"""Tests of messages in several frames (RFC 6455, section 5.4)."""

from collections.abc import Callable

import pytest

from harness.raw_websocket import (
    BINARY,
    CONTINUATION,
    FINAL,
    PING,
    PONG,
    TEXT,
    RawWebSocket,
    client_frame,
    close,
    fragments,
    ping,
    subscription,
    text_message,
)

Chop = Callable[[list[bytes]], list[bytes]]
MESSAGE = subscription(7).encode()
FIRST, LAST = fragments(MESSAGE, len(MESSAGE) // 2 + 1)


@pytest.mark.parametrize("opcode", [PING, PONG])
async def test_a_fragmented_control_frame_fails_the_connection(
    client: RawWebSocket, opcode: int, chopped: Chop
) -> None:
    """Section 5.5. Autobahn 5.1 and 5.2."""
    await client.send(*chopped([client_frame(opcode, b"a"), client_frame(FINAL | CONTINUATION, b"b")]))
    await client.failed(1002)
    assert client.pongs == []


async def test_a_message_in_two_frames_is_read(client: RawWebSocket, chopped: Chop) -> None:
    """Section 5.4. Autobahn 5.3 to 5.5."""
    await client.send(*chopped([FIRST, LAST]))
    assert (await client.answer())["id"] == 7
    await client.is_served()


async def test_a_ping_inside_a_message_is_answered(client: RawWebSocket, chopped: Chop) -> None:
    """Section 5.4: control frames may stand between the frames of a message. Autobahn 5.6 to 5.8."""
    await client.send(*chopped([FIRST, ping(b"inside"), LAST]))
    assert (await client.answer())["id"] == 7
    assert client.pongs == [b"inside"]


async def test_a_ping_inside_a_message_is_answered_before_the_message_ends(client: RawWebSocket) -> None:
    """Section 5.4: an endpoint must handle control frames in the middle of a message."""
    await client.send(FIRST, ping(b"inside"))
    assert await client.next() == b"inside"
    await client.send(LAST)
    assert (await client.answer())["id"] == 7


@pytest.mark.parametrize("first", [FINAL | CONTINUATION, CONTINUATION])
async def test_a_continuation_of_nothing_fails_the_connection(client: RawWebSocket, first: int, chopped: Chop) -> None:
    """Section 5.4. Autobahn 5.9 to 5.14."""
    await client.send(*chopped([client_frame(first, b"nothing"), text_message(subscription(1))]))
    await client.failed(1002)


@pytest.mark.parametrize("first", [FINAL | CONTINUATION, CONTINUATION])
async def test_a_continuation_after_the_end_of_a_message_fails_the_connection(client: RawWebSocket, first: int) -> None:
    """Section 5.4. Autobahn 5.15 to 5.17."""
    await client.send(FIRST, LAST)
    assert (await client.answer())["id"] == 7
    await client.send(client_frame(first, b"nothing"), text_message(subscription(1)))
    await client.failed(1002)


@pytest.mark.parametrize("first", [FINAL | TEXT, TEXT, FINAL | BINARY, BINARY])
async def test_a_new_message_inside_a_message_fails_the_connection(
    client: RawWebSocket, first: int, chopped: Chop
) -> None:
    """Section 5.4: the fragments of messages must not be interleaved. Autobahn 5.18."""
    await client.send(*chopped([FIRST, client_frame(first, MESSAGE)]))
    await client.failed(1002)


async def test_a_message_in_five_frames_with_pings_between_is_read(client: RawWebSocket) -> None:
    """Section 5.4. Autobahn 5.19, with the pongs read at once."""
    parts = fragments(MESSAGE, len(MESSAGE) // 5 + 1)
    assert len(parts) == 5
    for number, part in enumerate(parts[:-1]):
        await client.send(part, ping(b"pongme %d" % number))
        assert await client.next() == b"pongme %d" % number
    await client.send(parts[-1])
    assert (await client.answer())["id"] == 7


async def test_a_message_in_five_frames_with_pings_between_is_read_in_any_pieces(
    client: RawWebSocket, chopped: Chop
) -> None:
    """Sections 5.4 and 5.5.3: pongs to the older of several pings may be left out. Autobahn 5.20."""
    frames = list[bytes]()
    pings = list[bytes]()
    for number, part in enumerate(fragments(MESSAGE, len(MESSAGE) // 5 + 1)):
        pings.append(b"pongme %d" % number)
        frames += [ping(pings[-1]), part]
    await client.send(*chopped(frames))
    assert (await client.answer())["id"] == 7
    assert client.pongs[-1:] == pings[-1:]
    assert client.pongs == [payload for payload in pings if payload in client.pongs]


async def test_a_message_in_frames_of_one_byte_with_empty_frames_between_is_read(client: RawWebSocket) -> None:
    """Section 5.4: a frame of a message may be empty. Autobahn 6.1.2, 6.1.3 and 6.2.3."""
    frames = [client_frame(TEXT)]
    for byte in MESSAGE:
        frames += [client_frame(CONTINUATION, bytes([byte])), client_frame(CONTINUATION)]
    await client.send(*frames, client_frame(FINAL | CONTINUATION))
    assert (await client.answer())["id"] == 7


async def test_a_binary_message_in_frames_is_one_message(client: RawWebSocket) -> None:
    """Section 5.4."""
    await client.send(*fragments(b"\xff" * 100, 10, BINARY))
    assert "binary" in (await client.answer())["message"]
    await client.is_served()


async def test_a_close_inside_a_message_closes_the_connection(client: RawWebSocket, tier: str, chopped: Chop) -> None:
    """Section 5.4: a close frame is a control frame, which may stand inside a message. Autobahn 7.1.5.

    The library websockets counts the unfinished message as a violation.
    """
    await client.send(*chopped([FIRST, close(1000), LAST]))
    assert (await client.closed()).code == (1002 if tier == "portable" else 1000)
