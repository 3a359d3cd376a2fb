"""Tests of large messages, of many, and of the limits (RFC 6455, section 10.4)."""

import pytest

from harness.raw_websocket import (
    BINARY,
    CONTINUATION,
    FINAL,
    PONG,
    TEXT,
    RawWebSocket,
    client_frame,
    client_header,
    fragments,
    ping,
    subscription,
    text_message,
)

MAX_BYTES = {"ours": 65_536, "portable": 65_536, "daphne": 1 << 20}


@pytest.mark.parametrize("size", [64, 256, 1300, 4096, 65_000])
async def test_a_large_message_in_frames_of_each_size_is_read(client: RawWebSocket, size: int) -> None:
    """Section 5.4. Autobahn 9.3 and 10.1.1. In the smallest frames the message has 1,024 parts, the most allowed."""
    stream = b"".join(fragments(subscription(7, 65_536).encode(), size))
    await client.send(*(stream[start : start + 16_384] for start in range(0, len(stream), 16_384)))
    answer = await client.answer()
    assert (answer["id"], answer["message"]) == (7, "The frame has 65536 bytes; 8192 are the most.")
    await client.is_served()


@pytest.mark.parametrize("chop", [64, 128, 1024, 4096])
async def test_a_large_message_in_pieces_of_each_size_is_read(client: RawWebSocket, chop: int) -> None:
    """Section 5.2: a frame may come in any pieces. Autobahn 9.5 and 9.6."""
    stream = text_message(subscription(7, 8192))
    await client.send(*(stream[start : start + chop] for start in range(0, len(stream), chop)))
    assert (await client.answer())["id"] == 7


@pytest.mark.parametrize("size", [0, 64, 4096])
async def test_messages_that_come_together_are_answered_in_order(client: RawWebSocket, size: int) -> None:
    """Section 5.4: messages are delivered in the order in which they were sent. Autobahn 9.7."""
    await client.send(b"".join(text_message(subscription(number, size)) for number in range(25)))
    assert [(await client.answer())["id"] for _ in range(25)] == list(range(25))


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_a_frame_above_the_limit_is_refused_by_its_header(client: RawWebSocket, tier: str, opcode: int) -> None:
    """Sections 7.4.1 and 10.4: 1009, before the payload has come. Autobahn 9.1 and 9.2 have larger messages."""
    await client.send(client_header(FINAL | opcode, MAX_BYTES[tier] + 1))
    await client.failed(1009)


async def test_a_message_in_frames_above_the_limit_is_refused_by_the_header_that_exceeds_it(
    client: RawWebSocket, tier: str
) -> None:
    """Sections 7.4.1 and 10.4: the limit holds for the message, whatever the number of its frames."""
    part = b"a" * 8000
    whole = [client_frame(TEXT, part), *[client_frame(CONTINUATION, part)] * (MAX_BYTES[tier] // 8000 - 1)]
    await client.send(*whole, ping(b"not yet"))
    assert await client.next() == b"not yet"
    rest = MAX_BYTES[tier] % 8000 + 1
    await client.send(client_frame(FINAL | CONTINUATION, b"a" * rest)[:8])
    await client.failed(1009)


@pytest.mark.parametrize("tier", ["ours", "portable"])
async def test_a_message_of_too_many_frames_is_refused(client: RawWebSocket, tier: str) -> None:
    """Section 10.4: empty frames have no bytes to count, but their number is limited too. Only our server does this."""
    await client.send(client_frame(TEXT) + client_frame(CONTINUATION) * 1024, ping(b"late"))
    end = await client.failed(1008)
    assert end.reason == "too many parts"


@pytest.mark.parametrize("tier", ["ours", "portable"])
async def test_thirty_pings_at_once_are_allowed_and_more_are_not(client: RawWebSocket, tier: str) -> None:
    """Section 10.4: answers cost the server something, so their number is limited. Only our server does this."""
    await client.send(*(ping(b"%d" % number) for number in range(30)))
    await client.until_pong(b"29")
    await client.send(b"".join(ping(b"more") for _ in range(100)))
    while isinstance(event := await client.next(), bytes):
        pass
    assert (getattr(event, "code", None), getattr(event, "reason", None)) == (1008, "too many pings")


@pytest.mark.parametrize("tier", ["ours", "portable"])
async def test_pongs_that_nothing_asked_for_are_limited_like_pings(client: RawWebSocket, tier: str) -> None:
    """Section 5.5.3: a client may send them unasked. Reading them costs the server something too."""
    await client.send(*(client_frame(FINAL | PONG, b"") for _ in range(20)))
    await client.send(ping(b"still there"))
    await client.until_pong(b"still there")
    await client.send(client_frame(FINAL | PONG, b"") * 100)
    end = await client.failed(1008)
    assert end.reason == "too many pings"
