"""Adds the CORS headers for pages of other origins in `REALTIME_ALLOWED_ORIGINS` (Fetch standard, section 3.3).

Such pages may use the engine's own paths with credentials, and the paths in `REALTIME_CORS_PATHS` without credentials.
A page cannot read an answer without these headers. So this is the outermost layer, which adds them to errors as well.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from realtime import conf
from realtime.web.origin import in_allowed_origins

OWN_PATHS = ("/api/v1/events/", "/api/v1/realtime/")

_METHODS = b"GET, POST"
_REQUEST_HEADERS = b"authorization, content-type, if-none-match, last-event-id"
_RESPONSE_HEADERS = b"ETag, Retry-After"
_PREFLIGHT_SECONDS = b"600"

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]


def with_cors(application: Application) -> Application:
    """Wrap an ASGI application: answer preflights, and let pages of allowed origins read the answers."""

    async def answered(scope: Message, receive: Receive, send: Send) -> None:
        headers = _headers(scope) if scope["type"] == "http" else []
        if not headers:
            await application(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await send({"type": "http.response.start", "status": 204, "headers": [*headers, *_permissions()]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await application(scope, receive, _WithHeaders(headers, send).send)

    return answered


def _headers(scope: Message) -> list[Header]:
    """Return the CORS headers for the answer to this request, or no headers if the page may not read the answer."""
    origin = dict(scope["headers"]).get(b"origin", b"")
    own = scope["path"].startswith(OWN_PATHS)
    of_project = scope["path"].startswith(conf.settings().cors_paths)
    if not (own or of_project) or not in_allowed_origins(origin.decode("latin-1")):
        return []
    headers = [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", _RESPONSE_HEADERS),
        (b"vary", b"Origin"),
    ]
    # Only the cookie of an EventSource needs this header: a browser adds no other credential by itself.
    return [*headers, (b"access-control-allow-credentials", b"true")] if own else headers


def _permissions() -> list[Header]:
    return [
        (b"access-control-allow-headers", _REQUEST_HEADERS),
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-max-age", _PREFLIGHT_SECONDS),
    ]


class _WithHeaders:
    """An object whose method `send` adds headers to an answer and calls the server's `send`.

    uvicorn's `send` belongs to an object with the attribute `transport`, which `realtime.server.asgi_server` uses. So
    this object has the same attribute.
    """

    def __init__(self, headers: list[Header], send: Send) -> None:
        self._headers, self._send = headers, send
        self.transport = getattr(getattr(send, "__self__", None), "transport", None)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *self._headers]}
        await self._send(message)
