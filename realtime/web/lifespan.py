"""Handles the ASGI lifespan, and drains connections on a signal, for servers other than `realtime.serve`.

Plain uvicorn and granian wait for the end of all responses before they send the application `lifespan.shutdown`. But an
event stream is a response that does not end by itself. So the application handles the signal itself and drains its
connections. The server's own signal handler is called as well. `realtime.serve` does not need this module.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import structlog

from realtime.web.drain import drain_process

log = structlog.get_logger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def lifespan_application(scope: Message, receive: Receive, send: Send) -> None:  # noqa: ARG001 - of ASGI
    """Handle the scope `lifespan`: install the signal handlers at startup, and finish a drain at shutdown."""
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
    """Drains the connections of this event loop when the server is asked to shut down."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._before: dict[signal.Signals, Any] = {}
        self._task: asyncio.Task[None] | None = None

    def install(self) -> None:
        """Replace the server's signal handlers with one that begins the drain and also calls the server's handler.

        If the server has no handler for a signal, the signal keeps its default action, which ends the process.
        """
        for number in SIGNALS:
            before = signal.getsignal(number)
            if callable(before):
                try:
                    signal.signal(number, self._on_signal)
                except ValueError:  # only the main thread may set signal handlers
                    log.warning("drain_needs_main_thread")
                    return
                self._before[number] = before

    async def finish(self) -> None:
        """Restore the server's handlers, and wait for a drain that has begun."""
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
