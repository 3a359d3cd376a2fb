"""Plain Channels, as its tutorial shows it: a consumer for each connection, and `group_send` for each record.

The layer is the one in memory, which costs less than the one in Redis. Clients ask for `/N`, and get the records of
tenant N. The records come as lines over TCP to `FEED_PORT`, as in `send_loop.c`.
"""

import asyncio
import os
from typing import Any

from django.conf import settings

settings.configure(CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}})

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer

_LINE_BYTES = 1 << 20
_state: dict[str, asyncio.Task[None]] = {}


class RecordsConsumer(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        self.group = f"tenant{self.scope['path'][1:]}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()  # type: ignore[no-untyped-call]

    async def disconnect(self, code: int) -> None:  # noqa: ARG002 - Channels' signature
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def record(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["text"])  # type: ignore[no-untyped-call]


_consumer = RecordsConsumer.as_asgi()  # type: ignore[no-untyped-call]


async def _read_feed(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    layer = get_channel_layer()  # type: ignore[no-untyped-call]
    while line := await reader.readline():
        tenant, _, text = line.decode().rstrip("\n").partition(" ")
        await layer.group_send(f"tenant{tenant}", {"type": "record", "text": text})


async def _listen() -> None:
    server = await asyncio.start_server(_read_feed, "127.0.0.1", int(os.environ["FEED_PORT"]), limit=_LINE_BYTES)
    await server.serve_forever()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        _state["feed"] = asyncio.create_task(_listen())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await _consumer(scope, receive, send)
