"""Tests that the installed uvicorn still has the undocumented parts that the engine builds on.

If one of these fails after an upgrade, read `realtime/server/bounded_http.py`, `realtime/server/bounded_websocket.py`
and `realtime/serve.py` again before you raise the version limit of uvicorn in `pyproject.toml`.
"""

import ast
import asyncio
import inspect
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from embedded.home import PROJECT
from realtime import serve
from realtime.server.bounded_http import BoundedHttp
from realtime.server.bounded_websocket import BoundedWebSocket

OVERRIDDEN = [
    (BoundedHttp, HttpToolsProtocol),
    (BoundedWebSocket, WebSocketsSansIOProtocol),
    (serve.DrainingServer, uvicorn.Server),
    (serve._Config, uvicorn.Config),
]
USED_OF_CYCLE = {"response_complete", "transport", "send"}
"""Attributes of uvicorn's `RequestResponseCycle` that the engine uses.

`realtime/server/asgi_server.py` finds `transport` through the bound method `send`.
"""


def config() -> Config:
    """Return settings of uvicorn that count as loaded, so that no application is imported."""
    made = Config("asgi:application", interface="asgi3")
    made.loaded, made.loaded_app, made.ws_protocol_class = True, None, None
    return made


def made_by_uvicorn(theirs: type) -> Any:
    if theirs is uvicorn.Server:
        server = uvicorn.Server(config())
        server.servers = []  # set by the startup of uvicorn
        return server
    return config() if theirs is Config else theirs(config(), ServerState(), {})


def attributes_used(ours: type) -> set[str]:
    """Return the attributes of `self` and `super()` that a class of ours uses and does not define: uvicorn must."""
    (body,) = ast.parse(inspect.getsource(ours)).body
    used, own = set(), set(vars(ours)) | set(ours.__annotations__)
    for node in ast.walk(body):
        if isinstance(node, ast.Attribute):
            of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
            of_super = isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name)
            if of_super and ast.unparse(node.value) == "super()":
                used.add(node.attr)
            elif of_self and isinstance(node.ctx, ast.Store) and node.attr.startswith("_"):
                own.add(node.attr)
            elif of_self:
                used.add(node.attr)
    own -= {name for name in vars(ours) if hasattr(ours.__mro__[1], name)}  # overridden: uvicorn must have it, too
    return used - own


@pytest.mark.parametrize(("ours", "theirs"), OVERRIDDEN, ids=lambda each: each.__name__)
async def test_uvicorn_has_every_attribute_that_a_class_of_ours_uses(ours: type, theirs: type) -> None:
    used = attributes_used(ours)
    assert used, "found by reading the source of the class"
    instance = made_by_uvicorn(theirs)
    assert sorted(name for name in used if not hasattr(instance, name)) == []


@pytest.mark.parametrize(("ours", "theirs"), OVERRIDDEN, ids=lambda each: each.__name__)
def test_uvicorn_calls_overridden_methods_with_the_same_arguments(ours: type, theirs: type) -> None:
    overridden = [
        name
        for name, method in vars(ours).items()
        if inspect.isfunction(method) and name != "__init__" and not name.startswith("_") and hasattr(theirs, name)
    ]
    assert overridden
    changed = {
        name: (mine, uvicorns)
        for name in overridden
        if (mine := list(inspect.signature(getattr(ours, name)).parameters))
        != (uvicorns := list(inspect.signature(getattr(theirs, name)).parameters))
    }
    assert changed == {}


@pytest.mark.parametrize(("ours", "theirs"), OVERRIDDEN[:2], ids=lambda each: each.__name__)
def test_no_underscored_name_of_a_protocol_of_uvicorn_is_used_and_each_used_one_is_listed(
    ours: type, theirs: type
) -> None:
    documented_by_asyncio = {name for name in dir(asyncio.Protocol) if not name.startswith("_")}
    used = attributes_used(ours) - documented_by_asyncio - {"__init__"}
    assert [name for name in used if name.startswith("_")] == []
    listed = set(re.findall(r"`(\w+)`", inspect.getmodule(ours).__doc__ or ""))
    assert used - listed == set(), f"name these in the module's docstring: they are {theirs.__name__}'s"


def test_the_transport_of_a_request_is_found_through_its_send() -> None:
    parameters = set(inspect.signature(RequestResponseCycle).parameters)
    assert USED_OF_CYCLE - parameters - set(vars(RequestResponseCycle)) == {"response_complete"}
    assert "self.response_complete" in inspect.getsource(RequestResponseCycle)


def test_uvicorn_accepts_every_setting_of_our_server() -> None:
    (call,) = (
        node
        for node in ast.walk(ast.parse(inspect.getsource(serve.server_of)))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "_Config"
    )
    given = {keyword.arg for keyword in call.keywords}
    assert len(given) > 10
    assert given - set(inspect.signature(Config).parameters) == set()


class Transport(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False


async def test_the_send_of_a_websocket_waits_while_its_peer_does_not_read() -> None:
    """Before uvicorn 0.54 `send` did not wait, and a slow client used memory without a limit."""
    protocol = cast("WebSocketsSansIOProtocol", made_by_uvicorn(WebSocketsSansIOProtocol))
    transport = Transport()
    protocol.connection_made(transport)
    handshake = (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    sent = asyncio.Event()

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        protocol.pause_writing()
        await send({"type": "websocket.send", "text": "first"})
        sent.set()

    protocol.app = application
    protocol.data_received(handshake)
    async with asyncio.timeout(60):
        while protocol.writable.is_set():
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not sent.is_set()
        protocol.resume_writing()
        await sent.wait()


def test_every_file_that_requires_uvicorn_limits_it_to_the_minor_version() -> None:
    major, minor = map(int, version("uvicorn").split(".")[:2])
    assert (major, minor) >= (0, 54)
    wanted = f"uvicorn>=0.54,<{major}.{minor + 1}"
    dependencies = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    named = {"pyproject.toml": [each for each in dependencies if each.startswith("uvicorn")]}
    for path in requirement_files():
        lines = path.read_text(encoding="utf-8").splitlines()
        named[path.relative_to(PROJECT).as_posix()] = [line for line in lines if line.startswith("uvicorn")]
    assert named == {file: [wanted] for file in named}


def requirement_files() -> Iterator[Path]:
    found = [path for folder in ("examples", "realtime") for path in (PROJECT / folder).rglob("requirements*.txt")]
    assert found
    yield from found
