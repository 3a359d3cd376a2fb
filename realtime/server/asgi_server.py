"""What the engine does with the ASGI server and its sockets beyond the ASGI specification."""

import socket
from collections.abc import Mapping
from typing import Any

SILENT_RETRANSMITS = 4
"""After this many retransmissions in a row the peer counts as gone. They take at least 3 s, because the kernel doubles
its pause each time, from 0.2 s."""
_RETRANSMITS = 2
"""The offset of the number of retransmissions in the kernel's `struct tcp_info`."""


def waits_for_client(scope: Mapping[str, Any]) -> bool:
    """Return whether `send` waits while the server's write buffer is full.

    Servers whose `send` waits (uvicorn, hypercorn) have `spec_version` in the scope. daphne's scope has none, and its
    `send` accepts any amount of data at once.
    """
    return "spec_version" in scope.get("asgi", {})


async def refuse_handshake(scope: Mapping[str, Any], send: Any, message: str) -> None:
    """Answer a WebSocket's handshake with HTTP 403, and with `message` as the body if the server supports that."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})  # a close before accepting makes the server answer 403
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
    """Close the socket and discard its write buffer. Without this, a peer that does not read would keep it open.

    This needs a server whose `send` belongs to an object with a transport (uvicorn). With others it does nothing, and
    only the server's own limits apply.
    """
    protocol = getattr(send, "__self__", None)
    transport = getattr(protocol, "transport", None)
    if transport is not None and hasattr(transport, "abort"):
        transport.abort()


def give_up_silent_peer(send: Any, seconds: float) -> None:
    """Let the kernel close the socket if data are not acknowledged for this many seconds (0: the kernel's default).

    A peer that vanished does not close its connection, and by default the kernel retransmits for up to 15 minutes.
    This needs Linux and a server with a transport (uvicorn). Otherwise it does nothing.
    """
    peer = _socket_of(send)
    if peer is not None and _is_tcp(peer) and hasattr(socket, "TCP_USER_TIMEOUT"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


def is_silent(send: Any) -> bool:
    """Return whether the peer did not acknowledge data that the kernel retransmitted several times.

    Return False if the server or the operating system does not provide this information.
    """
    peer = _socket_of(send)
    if peer is None or not _is_tcp(peer) or not hasattr(socket, "TCP_INFO"):
        return False
    info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RETRANSMITS + 1)
    return len(info) > _RETRANSMITS and info[_RETRANSMITS] >= SILENT_RETRANSMITS


def _socket_of(send: Any) -> Any:
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    get_info = getattr(transport, "get_extra_info", None)
    peer = get_info("socket") if get_info else None
    return peer if peer is not None and peer.fileno() >= 0 else None


def _is_tcp(peer: Any) -> bool:
    return peer.family in {socket.AF_INET, socket.AF_INET6}
