"""Tests that servers other than ours drain their streams and shut down after SIGTERM."""

import sys
from collections.abc import Iterator

import httpx
import pytest

from embedded.plan import Web
from embedded.ports import HOST
from harness.event_stream import EventStream
from harness.system import System, eventually, new_ticket, running
from tests.contract.test_limits import terminate

COMMANDS = {
    "uvicorn": ["uvicorn", "asgi:application", "--host", HOST, "--ws", "websockets-sansio", "--port"],
    "granian": ["granian", "--interface", "asgi", "asgi:application", "--host", HOST, "--port"],
}


@pytest.fixture(params=COMMANDS)
def other_web(request: pytest.FixtureRequest, system: System) -> Iterator[Web]:
    """Yield a web process that runs uvicorn or granian instead of our own server."""
    web = system.web_of(REALTIME_DRAIN_SECONDS="0.5")
    web.argv = [sys.executable, "-m", *COMMANDS[request.param], str(web.port)]
    with running(web):
        yield web


async def test_a_server_shuts_down_while_a_stream_is_open(system: System, other_web: Web) -> None:
    async with system.client() as client:
        ticket = (await new_ticket(client))["ticket"]
    url = f"{other_web.address}/api/v1/events/"
    async with await EventStream.open(url, ticket, topics="other:*") as stream:
        await stream.read_until("snapshot")
        async with httpx.AsyncClient(base_url=other_web.address) as probe:
            assert (await probe.get("/readyz")).status_code == 200
        terminate(other_web)
        last = await stream.ended()
        assert (last["type"], last["code"]) == ("closing", 1012)
        await eventually(lambda: other_web.pid is None, what="the end of the server")
