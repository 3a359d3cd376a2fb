"""What the engine knows of the ASGI server below it. The ASGI specification says none of it."""

import socket
from collections.abc import Mapping
from typing import Any

SILENT_RETRANSMITS = 4
"""After so many in a row the peer counts as gone: at least 3 s, as the kernel doubles its wait from 0.2 s."""
_RETRANSMITS = 2
"""Where the kernel's `struct tcp_info` counts them."""


def waits_for_client(scope: Mapping[str, Any]) -> bool:
    """Whether `send` waits while the server's write buffer is full.

    Servers that do (uvicorn, hypercorn) name the version of the specification. daphne does neither: its `send` takes
    everything at once, however much.
    """
    return "spec_version" in scope.get("asgi", {})


async def refuse_handshake(scope: Mapping[str, Any], send: Any, message: str) -> None:
    """Answer a WebSocket's handshake with HTTP 403, and the reason where the server can send one."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})  # before it is accepted, which the server answers with 403
        return
    body = message.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "websocket.http.response.start", "status": 403, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


def abort(send: Any) -> None:
    """Closes the socket without its buffer, which would never empty: the peer does not read.

    By the transport that stands behind `send` where there is one (uvicorn); elsewhere the server's own limits have to
    do.
    """
    protocol = getattr(send, "__self__", None)
    transport = getattr(protocol, "transport", None)
    if transport is not None and hasattr(transport, "abort"):
        transport.abort()


def give_up_silent_peer(send: Any, seconds: float) -> None:
    """Has the kernel give the socket up once what was sent has not been acknowledged for so long; 0: as it likes.

    A peer that vanished acknowledges nothing, and says nothing either: the kernel alone would try for up to 15 minutes.
    Linux and a server with a transport (uvicorn) are needed; elsewhere nothing happens.
    """
    peer = _socket_of(send)
    if peer is not None and _is_tcp(peer) and hasattr(socket, "TCP_USER_TIMEOUT"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


def is_silent(send: Any) -> bool:
    """Whether the peer leaves unacknowledged what was sent, and then sent again several times. Unknown is no."""
    peer = _socket_of(send)
    if peer is None or not _is_tcp(peer) or not hasattr(socket, "TCP_INFO"):
        return False
    info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RETRANSMITS + 1)
    return len(info) > _RETRANSMITS and info[_RETRANSMITS] >= SILENT_RETRANSMITS


def _socket_of(send: Any) -> Any:
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    asked = getattr(transport, "get_extra_info", None)
    peer = asked("socket") if asked else None
    return peer if peer is not None and peer.fileno() >= 0 else None


def _is_tcp(peer: Any) -> bool:
    return peer.family in {socket.AF_INET, socket.AF_INET6}
