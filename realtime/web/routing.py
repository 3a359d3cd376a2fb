"""Routes the engine's connections: `GET /ws/events/` (WebSocket) and `GET /api/v1/events/` (Server-Sent Events)."""

from collections.abc import Awaitable, Callable
from typing import Any

from realtime.protocol.refusals import refused
from realtime.server.asgi_server import refuse_handshake
from realtime.web.cors import with_cors
from realtime.web.lifespan import lifespan_application
from realtime.web.polls import with_polls
from realtime.web.sse import events_application
from realtime.web.websocket import EventsConsumer

WEBSOCKET_PATH = "/ws/events/"
EVENTS_PATH = "/api/v1/events/"
_consumer = EventsConsumer.as_asgi()  # type: ignore[no-untyped-call]

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


def with_realtime(http_application: Application) -> Application:
    """Return the project's ASGI application with the engine's two paths added. Other WebSockets are refused (403)."""

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            chosen = events_application if scope["path"] == EVENTS_PATH else http_application
            await chosen(scope, receive, send)
        elif scope["type"] == "websocket" and scope["path"] == WEBSOCKET_PATH:
            await _consumer(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            refused("path", f"No WebSocket is served at this path, only at {WEBSOCKET_PATH}.", path=scope["path"])
            await refuse_handshake(scope, send, f"WebSockets connect at {WEBSOCKET_PATH}.")
        elif scope["type"] == "lifespan":
            await lifespan_application(scope, receive, send)
        else:
            raise ValueError(f"This application serves http, websocket and lifespan, not {scope['type']}.")

    return with_cors(with_polls(application))
