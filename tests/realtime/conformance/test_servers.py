"""Tests of `python -m realtime.conformance.server`: our server passes all checks, and a wrong one does not."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from embedded.home import PROJECT
from harness.system import System, new_ticket, tenant_of
from realtime.conformance.server import judge, judge_server
from realtime.conformance.server_checks import SERVER_CHECKS
from realtime.publish import Publisher

PLACE = "5f0c2a91.0.684888c0"
WELCOME: dict[str, Any] = {
    "type": "welcome",
    "connection": "c-8f1e0d2c3b4a5968",
    "ping_seconds": 25.0,
    "expires_in": 3600,
}
SNAPSHOT: dict[str, Any] = {
    "type": "snapshot",
    "id": None,
    "place": PLACE,
    "recovered": False,
    "more": False,
    "records": [],
}


async def test_our_server_passes_all_checks(system: System) -> None:
    """Records are published during all checks. No check may fail because of a frame with such a record."""
    publisher = Publisher.from_url(system.redis.url)
    tenant_id, attempts = tenant_of(system, "hanbit"), count(1)

    async def publish() -> None:
        attempt = next(attempts)
        await asyncio.to_thread(
            lambda: publisher.status(tenant_id=tenant_id, topic="judged:1", attempt=attempt, status="PENDING")
        )

    async def publish_on() -> None:
        while True:
            await publish()
            await asyncio.sleep(0.05)

    with system.another_web(REALTIME_PING_SECONDS="0.5") as web:
        async with system.client() as client:

            async def ticket() -> str:
                return str((await new_ticket(client))["ticket"])

            publishing = asyncio.create_task(publish_on())
            verdicts = await judge_server(web.address, ticket, publish)
            publishing.cancel()
    publisher.close()
    assert "\n".join(verdict.as_text() for verdict in verdicts if not verdict.ok) == ""
    assert {verdict.name for verdict in verdicts} == set(SERVER_CHECKS)


def test_the_command_gets_its_tickets_from_a_command(system: System) -> None:
    command = [sys.executable, "-m", "realtime.conformance.server", system.address, "--only", "welcome,bearer"]
    ticket = json.dumps({"ticket": system.ticket_of(991)})
    done = subprocess.run(
        [*command, "--ticket-command", f"echo '{ticket}'"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "      The server chooses realtime.v1. Came: realtime.v1. [Frames from the server]\n" in done.stdout
    assert done.stderr == f"2 of 2 passed, {len(SERVER_CHECKS) - 2} not run.\n"


def test_without_a_ticket_nothing_is_judged() -> None:
    command = [sys.executable, "-m", "realtime.conformance.server", "http://127.0.0.1:9", "--ticket-command", "false"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("This command ended with 1: false")


@asynccontextmanager
async def wrong_server(*frames: dict[str, Any]) -> AsyncIterator[str]:
    """Serve a WebSocket that sends these frames to each client, and nothing else. Yield the server's address."""

    async def handle(socket: ServerConnection) -> None:
        for frame in frames:
            await socket.send(json.dumps(frame))
        await socket.wait_closed()

    async with serve(handle, "127.0.0.1", 0, subprotocols=["realtime.v1"]) as server:  # type: ignore[list-item]
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def some_ticket() -> str:
    return "ticket"


@pytest.mark.parametrize(
    ("frames", "came"),
    [
        ((SNAPSHOT,), "snapshot"),
        ((WELCOME, WELCOME), "welcome"),
        (
            (WELCOME | {"novelty": 1},),
            "welcome, at $: Additional properties are not allowed ('novelty' was unexpected)",
        ),
        ((WELCOME, SNAPSHOT | {"more": True}), "snapshot, at $: False schema does not allow 'PLACE'"),
        ((WELCOME, SNAPSHOT | {"place": "1"}), "does not match"),
        ((WELCOME, SNAPSHOT | {"recovered": True}), "recovered True"),
    ],
)
async def test_a_server_with_a_wrong_start_fails(frames: tuple[dict[str, Any], ...], came: str) -> None:
    async with wrong_server(*frames) as address:
        verdict = await judge(SERVER_CHECKS["welcome"], address, some_ticket)
    assert came.replace("PLACE", PLACE) in verdict.checks[-1].came
    assert not verdict.ok


async def test_a_server_that_lets_everybody_in_fails() -> None:
    async with wrong_server(WELCOME, SNAPSHOT) as address:
        for name, expected in (
            ("refused", "With no ticket only `closing` may come."),
            ("foreign-origin", "A page of a foreign Origin gets HTTP 403."),
            ("places", "A named topic is in the snapshot, with a record or UNKNOWN."),
        ):
            verdict = await judge(SERVER_CHECKS[name], address, some_ticket)
            assert [check.expected for check in verdict.checks if not check.ok] == [expected]
