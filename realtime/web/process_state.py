"""The objects that each server process has once: hub, connections and health. They are made when first needed."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from typing import Self
from weakref import WeakKeyDictionary

from django.db import connection

from realtime import conf
from realtime.connect.connections import Connections
from realtime.connect.link_health import Health
from realtime.connect.revocation import ENDED, Issued
from realtime.feed.background_tasks import end_tasks
from realtime.feed.hub import Hub
from realtime.feed.reader import FeedReader
from realtime.feed.record_reads import RecordReads
from realtime.protocol.close_codes import RETRY_AFTER_MS, CloseCode, RefusedError
from realtime.records.errors import FeedUnavailableError
from realtime.web.figures import Figures


class ServerProcess:
    """The hub, connections and health of one event loop. A server has one loop; tests have many."""

    def __init__(self) -> None:
        reader = FeedReader.from_url(conf.redis_url(), key_prefix=conf.key_prefix())
        self.hub = Hub(reader, conf.limits())
        self.records = RecordReads.from_url(conf.redis_url(), key_prefix=conf.key_prefix())
        self.connections = Connections(conf.max_connections())
        self.polls = Connections(conf.max_connections())
        # `_look` and `_read_committed` each have their own thread: the shared threads of the event loop may be busy for
        # long, and `_look` may wait for Redis.
        self._looking = ThreadPoolExecutor(1, "realtime-look")
        self._reading = ThreadPoolExecutor(1, "realtime-marks")
        self.health = Health(
            reader,
            self.hub,
            self.connections,
            conf.settings().probe_seconds,
            conf.revocations(),
            self._look,
            self._read_committed,
        )
        self.figures = Figures(self.hub, self.connections, self.polls)
        reader.link.listen_to_revocations(self.health)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> Self:
        self.hub.start()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(run()) for run in (self.health.run, self.health.watch, self.health.guard, self.figures.run)
        ]
        return self

    async def close(self) -> None:
        await end_tasks(self._tasks)
        await self.hub.close()
        await self.records.close()
        self.figures.close()
        self._looking.shutdown(wait=False)
        self._reading.shutdown(wait=False)

    async def admit(self, ticket: Issued) -> Self:
        """Return this process. Raise RefusedError if the ticket was revoked after its issue, or cannot be checked."""
        try:
            revoked = await self.health.is_revoked(ticket)
        except FeedUnavailableError as problem:
            raise RefusedError(CloseCode.FEED_UNAVAILABLE, str(problem), RETRY_AFTER_MS) from None
        if revoked:
            raise RefusedError(CloseCode.REVOKED, ENDED)
        return self

    async def _look(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._looking, _look)

    async def _read_committed(self, seconds: float) -> None:
        await asyncio.get_running_loop().run_in_executor(self._reading, _read_committed, seconds)

    async def ready(self) -> str:
        """Return "ok" if this process can serve clients. If Redis is at its memory limit, the text says so after "ok".

        Raise FeedUnavailableError with the reason if the process cannot serve clients.
        """
        if self.connections.draining:
            raise FeedUnavailableError("The process is shutting down.")
        problem = await self.health.redis_problem()
        await self.hub.ready()
        if self.health.refuses_marks:
            raise FeedUnavailableError(
                f"Redis takes no writes: {problem}. Ends of jobs wait in the outbox; revocations are read from the "
                "database."
            )
        return f"ok, but Redis is at its memory limit: {problem}. Progress is dropped." if problem else "ok"


def _look() -> None:
    """Call `UnwrittenMarks.look`. Close this thread's database connection if the call opened one."""
    try:
        conf.revocations().unwritten.look(in_background=True)
    finally:
        connection.close()


def _read_committed(seconds: float) -> None:
    """Call `UnwrittenMarks.read_committed`, and close this thread's database connection."""
    try:
        conf.revocations().unwritten.read_committed(seconds)
    finally:
        connection.close()


_processes: WeakKeyDictionary[asyncio.AbstractEventLoop, ServerProcess] = WeakKeyDictionary()


def this_process() -> ServerProcess:
    """Return the process object of the running event loop. The first call makes and starts it."""
    loop = asyncio.get_running_loop()
    found = _processes.get(loop)
    if found is None:
        # Use an empty context: the tasks outlive the first request, and must not log its context variables.
        found = _processes[loop] = Context().run(ServerProcess().start)
    return found


def started_process() -> ServerProcess | None:
    """Return the process object of the running event loop, or None if it has none yet."""
    return _processes.get(asyncio.get_running_loop())
