"""The lifespan of an ASGI server, and what a server of another make does not do when it is told to end.

Plain uvicorn and granian wait for all responses before they end, and an event stream is a response that does not end by
itself. They tell the application of their end only after that. So the application takes notice of the signal itself,
and sends its connections away; the server's own handler runs as before. `realtime.serve` needs none of this.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import structlog

from realtime.web.process import drain_process

log = structlog.get_logger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def lifespan_application(scope: Message, receive: Receive, send: Send) -> None:  # noqa: ARG001 - of ASGI
    """Serve the scope `lifespan`."""
    drain = DrainOnSignal()
    while True:
        if (await receive())["type"] == "lifespan.startup":
            drain.install()
            await send({"type": "lifespan.startup.complete"})
        else:
            await drain.finish()
            await send({"type": "lifespan.shutdown.complete"})
            return


class DrainOnSignal:
    """Sends this event loop's connections away once the server is told to end."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._before: dict[signal.Signals, Any] = {}
        self._task: asyncio.Task[None] | None = None

    def install(self) -> None:
        """Goes in front of the handlers that the server has set. Where it has set none, the signal ends the process."""
        for number in SIGNALS:
            before = signal.getsignal(number)
            if callable(before):
                try:
                    signal.signal(number, self._on_signal)
                except ValueError:  # only the main thread may
                    log.warning("drain_needs_main_thread")
                    return
                self._before[number] = before

    async def finish(self) -> None:
        """Puts the server's handlers back, and lets a drain that has begun come to its end."""
        for number, before in self._before.items():
            signal.signal(number, before)
        if self._task is not None:
            await self._task

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._begin)
        self._before[signal.Signals(number)](number, frame)

    def _begin(self) -> None:
        if self._task is None:
            self._task = self._loop.create_task(drain_process())
