"""A client that sends frames of any kind to the running product.

The tests of this folder are the cases of the Autobahn test suite that apply to a server that echoes nothing: its
sections 1 to 7, 9 and 10. Each test names the section of RFC 6455 that it holds the server to.
"""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from embedded.plan import Plan, Web
from harness.raw_websocket import RawWebSocket
from harness.system import System, running

TENANT = 64_550


@pytest.fixture(scope="session")
def portable_web(daphne_system: System) -> Iterator[Web]:
    """Yield our server as it is with `--portable`. It uses the Redis of the product that runs daphne."""
    web = daphne_system.web_of()
    web.argv = [*Plan().web(web.port), "--portable"]
    with running(web):
        yield web


@pytest.fixture(params=["ours", "portable", "daphne"])
def tier(request: pytest.FixtureRequest) -> str:
    """Return which server a test uses: ours, ours with `--portable`, or daphne."""
    name: str = request.param
    return name


@pytest.fixture
def address(tier: str, request: pytest.FixtureRequest, system: System) -> str:
    fixtures = {"ours": "system", "portable": "portable_web", "daphne": "daphne_system"}
    found: str = request.getfixturevalue(fixtures[tier]).address
    return found


@pytest.fixture
def ticket(system: System) -> str:
    """Return a ticket that each of the servers accepts."""
    return system.ticket_of(TENANT)


@pytest.fixture
async def client(tier: str, address: str, ticket: str) -> AsyncIterator[RawWebSocket]:
    opened = await RawWebSocket.open(address, ticket)
    opened.server_drops = tier == "daphne"
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
