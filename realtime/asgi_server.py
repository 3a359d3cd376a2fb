"""What the engine knows of the ASGI server below it. The ASGI specification says neither of these two things."""

from collections.abc import Mapping
from typing import Any


def waits_for_client(scope: Mapping[str, Any]) -> bool:
    """Whether `send` waits while the server's write buffer is full.

    Servers that do (uvicorn, hypercorn) name the version of the specification. daphne does neither: its `send` takes
    everything at once, however much.
    """
    return "spec_version" in scope.get("asgi", {})


def abort(send: Any) -> None:
    """Closes the socket without its buffer, which would never empty: the peer does not read.

    By the transport that stands behind `send` where there is one (uvicorn); elsewhere the server's own limits have to
    do.
    """
    protocol = getattr(send, "__self__", None)
    transport = getattr(protocol, "transport", None)
    if transport is not None and hasattr(transport, "abort"):
        transport.abort()
