"""Which peers' `X-Forwarded-` headers the web server trusts.

The option `--forwarded-allow-ips` names these peers. Without the option, the variable `FORWARDED_ALLOW_IPS` names them.
With neither, the web server trusts only peers on its own machine.
"""

import json
import subprocess
import sys
from typing import Any

import httpx
import pytest

from embedded.home import PROJECT
from harness.system import System
from realtime.serve import read_trusted_proxies

FORWARDED = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https"}


async def websocket_url(system: System, address: str) -> str:
    headers = FORWARDED | {"Authorization": f"Bearer {system.access_token('hanbit', 'owner')}"}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as client:
        answer: dict[str, Any] = (await client.post("/api/v1/realtime/ticket/", json={})).json()
    return str(answer["websocket_url"])


async def test_the_variable_names_the_trusted_proxies(system: System) -> None:
    assert (await websocket_url(system, system.address)).startswith("wss://")
    with system.another_web(FORWARDED_ALLOW_IPS="198.51.100.0/24,::1") as other:
        assert (await websocket_url(system, other.address)).startswith("ws://")
    with system.another_web(FORWARDED_ALLOW_IPS="127.0.0.0/8") as named:
        assert (await websocket_url(system, named.address)).startswith("wss://")


async def test_if_all_peers_are_trusted_a_client_still_cannot_choose_its_address(system: System) -> None:
    account = {"tenant": "hanbit", "username": "staff", "password": "wrong"}
    with system.another_web(FORWARDED_ALLOW_IPS="*") as web:
        async with httpx.AsyncClient(base_url=web.address, timeout=30) as client:
            answers = [
                # A proxy passes on the address that the client wrote, and appends the client's real address.
                await client.post(
                    "/api/v1/auth/token/",
                    json=account,
                    headers={"X-Forwarded-For": f"192.0.2.{number}, 203.0.113.77"},
                )
                for number in range(12)
            ]
    assert answers[-1].status_code == 429


def test_the_option_goes_before_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1")
    assert read_trusted_proxies(None).trusts("10.0.0.1")
    assert not read_trusted_proxies("10.0.0.2").trusts("10.0.0.1")
    assert not read_trusted_proxies("").trusts("127.0.0.1")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "")
    assert read_trusted_proxies(None).trusts("127.0.0.1")
    assert not read_trusted_proxies(None).trusts("10.0.0.1")


def test_a_wrong_value_ends_the_server_with_a_sentence() -> None:
    command = [sys.executable, "-m", "realtime.serve", "asgi:application", "--forwarded-allow-ips", "nginx"]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()  # the one line of the log
    assert json.loads(line)["event"].startswith(
        "--forwarded-allow-ips is wrong: 'nginx' is neither an address nor a network"
    )
    assert "Traceback" not in line
