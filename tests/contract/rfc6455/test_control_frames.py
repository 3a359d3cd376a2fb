"""Tests of pings and pongs (RFC 6455, section 5.5)."""

from collections.abc import Callable

import pytest

from harness.raw_websocket import FINAL, PING, PONG, RawWebSocket, client_frame, ping

Chop = Callable[[list[bytes]], list[bytes]]
PAYLOADS = [b"", b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125]


@pytest.mark.parametrize("payload", PAYLOADS, ids=["none", "text", "binary", "125 bytes"])
async def test_a_ping_is_answered_with_its_payload(client: RawWebSocket, payload: bytes, chopped: Chop) -> None:
    """Section 5.5.2. Autobahn 2.1 to 2.4 and 2.6."""
    await client.send(*chopped([ping(payload)]))
    assert await client.next() == payload
    await client.is_served()


@pytest.mark.parametrize("opcode", [0x8, PING, PONG])
@pytest.mark.parametrize("size", [126, 65_536])
async def test_a_control_frame_of_more_than_125_bytes_fails_the_connection(
    client: RawWebSocket, opcode: int, size: int
) -> None:
    """Section 5.5. Autobahn 2.5."""
    await client.send(client_frame(FINAL | opcode, b"\x03\xe8" + b"a" * (size - 2)))
    await client.failed(1002)


@pytest.mark.parametrize("payload", PAYLOADS, ids=["none", "text", "binary", "125 bytes"])
async def test_a_pong_that_nobody_asked_for_is_ignored(client: RawWebSocket, payload: bytes) -> None:
    """Section 5.5.3. Autobahn 2.7 to 2.9."""
    await client.send(client_frame(FINAL | PONG, payload))
    await client.send(ping(b"after"))
    assert await client.next() == b"after"
    await client.is_served()


async def test_each_of_ten_pings_one_after_the_other_is_answered(client: RawWebSocket) -> None:
    """Section 5.5.2. Autobahn 2.10, with a pause after each."""
    payloads = [f"payload-{number}".encode() for number in range(10)]
    for payload in payloads:
        await client.send(ping(payload))
        assert await client.next() == payload
    assert client.pongs == payloads


async def test_the_newest_of_ten_pings_is_answered(client: RawWebSocket, chopped: Chop) -> None:
    """Section 5.5.3: if several pings have come, only the newest needs a pong. Autobahn 2.10 and 2.11."""
    payloads = [f"payload-{number}".encode() for number in range(10)]
    await client.send(*chopped([ping(payload) for payload in payloads]))
    await client.until_pong(payloads[-1])
    assert client.pongs == [payload for payload in payloads if payload in client.pongs], "in another order"
    await client.is_served()
    assert len(client.pongs) <= 10
