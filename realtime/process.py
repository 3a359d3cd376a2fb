"""What one server process has once: the hub, its connections, and who looks after them. Made when first needed."""

import asyncio
from contextlib import suppress
from contextvars import Context
from typing import Any, Self
from weakref import WeakKeyDictionary

import structlog
from channels.layers import get_channel_layer

from realtime import conf
from realtime.closing import RETRY_AFTER_MS, CloseCode
from realtime.connections import Connections
from realtime.errors import FeedUnavailableError, RefusedError
from realtime.health import Health
from realtime.hub import Hub
from realtime.reader import FeedReader
from realtime.revocation import GROUP, Issued

log = structlog.get_logger(__name__)


class ServerProcess:
    """One for each event loop. A server has one loop; tests have many."""

    def __init__(self) -> None:
        reader = FeedReader.from_url(conf.redis_url(), key_prefix=conf.key_prefix())
        self.hub = Hub(reader, conf.limits(), flush_seconds=conf.flush_seconds())
        self.connections = Connections(conf.max_connections())
        self.health = Health(reader, self.hub, self.connections, conf.probe_seconds())
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> Self:
        self.hub.start()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self.health.run()), loop.create_task(self._listen())]
        return self

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.hub.close()

    async def admit(self, ticket: Issued) -> Self:
        """Lets a ticket in, unless it was revoked since it was issued. Raises RefusedError."""
        try:
            marks = await self.health.marks(ticket.tenant_id)
        except FeedUnavailableError as problem:
            raise RefusedError(CloseCode.FEED_UNAVAILABLE, str(problem), RETRY_AFTER_MS) from None
        if marks.concern(ticket):
            raise RefusedError(CloseCode.REVOKED, "The session was ended, or the account changed: sign in again.")
        return self

    async def drain(self) -> None:
        """Sends all connections away, over the drain time."""
        log.info("draining", connections=len(self.connections))
        await self.connections.drain(conf.drain_seconds())

    async def _listen(self) -> None:
        """Hears of revocations through a Channels group: one channel for the process, none for a connection."""
        layer = get_channel_layer()  # type: ignore[no-untyped-call]
        while layer is not None:
            try:
                channel = await layer.new_channel()
                while True:
                    # Again and again: members expire after a day, and an emptied Redis has forgotten them.
                    await layer.group_add(GROUP, channel)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(conf.probe_seconds()):
                            while True:
                                self._hear(await layer.receive(channel))
            except Exception as problem:  # noqa: BLE001 - layers raise what they like; the probe finds what was missed
                log.debug("revocations_not_heard", error=str(problem))
                await asyncio.sleep(1)

    def _hear(self, message: dict[str, Any]) -> None:
        self.health.revoked(int(message["tenant"]), str(message["subject"]), float(message["at"]))


_processes: WeakKeyDictionary[asyncio.AbstractEventLoop, ServerProcess] = WeakKeyDictionary()


def this_process() -> ServerProcess:
    """The running one of this event loop."""
    loop = asyncio.get_running_loop()
    found = _processes.get(loop)
    if found is None:
        # In a context of its own: its tasks outlive the request that came first, and must not log under its name.
        found = _processes[loop] = Context().run(ServerProcess().start)
    return found


async def drain_process() -> None:
    """Sends away whom this loop's process serves, if it serves anybody."""
    if found := _processes.get(asyncio.get_running_loop()):
        await found.drain()
