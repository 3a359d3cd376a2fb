"""Where the engine's WebSocket lives: `GET /ws/events/`. Any other path is refused (403)."""

from collections.abc import Awaitable, Callable
from typing import Any

from realtime.consumers import EventsConsumer

EVENTS_PATH = "/ws/events/"
_events = EventsConsumer.as_asgi()  # type: ignore[no-untyped-call]


async def websocket_application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["path"] == EVENTS_PATH:
        await _events(scope, receive, send)
    else:
        await receive()
        await send({"type": "websocket.close"})
