"""A client that sends frames of any kind to the running product.

The tests of this folder are the cases of the Autobahn test suite that apply to a server that echoes nothing: its
sections 1 to 7, 9 and 10. Each test names the section of RFC 6455 that it holds the server to.
"""

from collections.abc import AsyncIterator, Callable

import pytest

from harness.raw_websocket import RawWebSocket
from harness.system import System

TENANT = 64_550


@pytest.fixture
async def client(system: System, server: str) -> AsyncIterator[RawWebSocket]:
    opened = await RawWebSocket.open(system.address, system.ticket_of(TENANT))
    opened.server_drops = server == "daphne"
    yield opened
    opened.leave()


def at_once(frames: list[bytes]) -> list[bytes]:
    return [b"".join(frames)]


def by_frames(frames: list[bytes]) -> list[bytes]:
    return frames


def by_bytes(frames: list[bytes]) -> list[bytes]:
    return [bytes([byte]) for byte in b"".join(frames)]


@pytest.fixture(params=[at_once, by_frames, by_bytes], ids=["at once", "by frames", "by bytes"])
def chopped(request: pytest.FixtureRequest) -> Callable[[list[bytes]], list[bytes]]:
    """Return a function that cuts frames into the pieces in which the client sends them."""
    function: Callable[[list[bytes]], list[bytes]] = request.param
    return function
