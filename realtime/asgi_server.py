"""What the engine knows of the ASGI server below it. The ASGI specification says neither of these two things."""

from collections.abc import Mapping
from typing import Any


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
