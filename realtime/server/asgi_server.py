"""What the engine does with the ASGI server and its sockets beyond the ASGI specification."""

from collections.abc import Mapping
from typing import Any

from realtime.server import peers
from realtime.server.fast_event_stream import FastEventStream
from realtime.server.fast_websocket import FastWebSocket


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
    transport = _transport_of(send)
    if transport is not None and hasattr(transport, "abort"):
        transport.abort()


def give_up_silent_peer(send: Any, seconds: float) -> None:
    """Do what `peers.give_up_silent` does, if the server has a transport (uvicorn). Otherwise do nothing."""
    peers.give_up_silent(_transport_of(send), seconds)


def is_silent(send: Any) -> bool:
    """Return what `peers.is_silent` returns, or False if the server has no transport."""
    return peers.is_silent(_transport_of(send))


def hand_over(send: Any) -> FastWebSocket | None:
    """Take the socket of an accepted WebSocket from the server. Return None if the server cannot hand it over.

    Afterwards, do not use the ASGI functions `send` and `receive` of this WebSocket any more. Only `BoundedWebSocket`
    has a method `hand_over`.
    """
    of_protocol = getattr(getattr(send, "__self__", None), "hand_over", None)
    socket: FastWebSocket | None = of_protocol() if of_protocol is not None else None
    return socket


def hand_over_stream(send: Any) -> FastEventStream | None:
    """Take from the server the socket of a response that has begun. Return None if the server cannot hand it over.

    Afterwards, do not use the ASGI functions `send` and `receive` of this request any more. Only `BoundedHttp` has a
    method `hand_over`.
    """
    get_protocol = getattr(_transport_of(send), "get_protocol", None)
    of_protocol = getattr(get_protocol() if get_protocol is not None else None, "hand_over", None)
    stream: FastEventStream | None = of_protocol() if of_protocol is not None else None
    return stream


def _transport_of(send: Any) -> Any:
    return getattr(getattr(send, "__self__", None), "transport", None)
