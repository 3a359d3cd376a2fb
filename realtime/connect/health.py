"""Looks after what nobody tells: links that look healthy and bring nothing, and revocations whose message was lost.

Every 15 seconds the mirrors' epochs and offsets are compared with Redis, and the marks of revocation are read, for all
tenants in one round trip. Every second it is seen whether Redis takes writes; while it takes none, the marks that it
does not hold are read from the database (`realtime.connect.unwritten`).

What this process knows of revocations is believed while the link that brings them shows every second that it lives.
Otherwise Redis is asked, and where it does not answer, the database.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from redis.exceptions import RedisError

from realtime.connect.connections import Connections
from realtime.connect.database_marks import DatabaseMarks, log_failure
from realtime.connect.marks import KEPT_SECONDS, Issued, Marks
from realtime.connect.revocation import Revocations
from realtime.connect.unwritten import LOOK_SECONDS
from realtime.feed.hub import Hub
from realtime.feed.reader import FeedReader, Probed
from realtime.records.errors import BadRecordError, FeedUnavailableError
from realtime.redis.clock import clock

log = structlog.get_logger(__name__)

BEHIND_SECONDS = 1.0
"""A message may be on its way; who is behind for longer was not told."""
MARKS_SECONDS = 5.0
SILENT_SECONDS = 1.0
"""So long a Redis is waited for whose link shows no sign of life. Then the database is asked."""
HEARD_SECONDS = 2.0
"""A link that has shown no sign of life for so long may have lost a revocation."""
STALE_PERIODS = 3
"""Marks that could not be read for this many periods are no longer trusted."""


@dataclass
class _Known:
    marks: Marks = field(default_factory=lambda: Marks({}))
    read_at: float = float("-inf")


def _in_a_thread(read: Callable[[float], None]) -> Callable[[float], Awaitable[None]]:
    return lambda seconds: asyncio.to_thread(read, seconds)


class Health:
    """Of one process."""

    def __init__(
        self,
        reader: FeedReader,
        hub: Hub,
        connections: Connections,
        period_seconds: float,
        revocations: Revocations,
        look: Callable[[], Awaitable[None]] | None = None,
        read_committed: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        """`look` and `read_committed` call those of `revocations.unwritten` without blocking the event loop."""
        self._reader, self._hub, self._connections = reader, hub, connections
        self._period = period_seconds
        self._revocations = revocations
        self._look = look or partial(asyncio.to_thread, revocations.unwritten.look)
        self._committed = DatabaseMarks(read_committed or _in_a_thread(revocations.unwritten.read_committed))
        self._probe_soon = asyncio.Event()
        self._seen = False
        self._known: dict[int, _Known] = {}
        self._readings: dict[int, asyncio.Task[object]] = {}
        self._confirmed_at = float("-inf")
        self._silent_since: float | None = None

    async def run(self) -> None:
        """Probes for ever. Ends by cancellation only."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._probe_soon.wait(), self._period)
            self._probe_soon.clear()
            try:
                await self.probe()
            except (RedisError, OSError) as problem:
                log.debug("probe_failed", error=str(problem))
            except Exception:
                log.exception("probe_failed")

    async def watch(self) -> None:
        """Looks for ever whether Redis takes writes, and ends whom a mark concerns that it does not hold."""
        while True:
            await self._see()
            self._end_revoked()
            await asyncio.sleep(LOOK_SECONDS)

    async def guard(self) -> None:
        """Sees to it for ever that open connections end as soon as others while Redis does not answer."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if not self._hears() and (tenants := set(self._connections.tenants)):
                    await self._ask(lambda: self._started(self._read(tenants)))
                    self._end_revoked()
            except FeedUnavailableError as problem:
                log.debug("guard_failed", error=str(problem))
            except Exception:
                log.exception("guard_failed")

    async def probe(self) -> None:
        """One look at everything. Raises RedisError or OSError."""
        await self._reader.check_link()
        tenants = {*self._hub.positions(), *self._connections.tenants}
        self._known = {tenant: known for tenant, known in self._known.items() if tenant in tenants}
        if not tenants:
            return
        before = self._hub.positions()
        probed = await self._read(tenants)
        if back := _gone_back(before, probed):
            log.warning("feeds_gone_back", tenants=len(back))
            self._hub.recover(back)
        if behind := self._behind(probed):
            await asyncio.sleep(BEHIND_SECONDS)
            if still := [tenant for tenant in self._behind(probed) if tenant in behind]:
                log.warning("feeds_behind", tenants=len(still))
                self._hub.recover(still)

    async def is_revoked(self, issued: Issued) -> bool:
        """Whether a mark ends this, in Redis or not yet there. Raises FeedUnavailableError where that is not known.

        However many ask at once, Redis is asked once, and so is the database. Nobody waits long.
        """
        if said := self._revocations.unwritten.unreadable:
            raise FeedUnavailableError(said)
        if not self._knows(issued.tenant_id):
            await self._ask(lambda: self._reading_of(issued.tenant_id))
        if not self._silent():
            await self._know()
        known = self._known.get(issued.tenant_id, _Known())
        return known.marks.concern(issued) or self._revocations.unwritten.concern(issued)

    def _hears(self) -> bool:
        """Whether a revocation would be heard of: the link lives, and brings what is told."""
        return asyncio.get_running_loop().time() - self._reader.link.heard_until <= HEARD_SECONDS

    def _knows(self, tenant_id: int) -> bool:
        """Whether the marks of this tenant are known: they were read, and nothing later can have been lost."""
        known, now = self._known.get(tenant_id), asyncio.get_running_loop().time()
        if known is None or known.read_at < self._confirmed_at or now - known.read_at > STALE_PERIODS * self._period:
            return False
        return self._hears()

    def _silent(self) -> bool:
        """Whether Redis did not answer when it was last asked, and has shown no sign of life since."""
        if self._silent_since is not None and self._reader.link.heard_until > self._silent_since:
            self._silent_since = None
        return self._silent_since is not None

    async def _ask(self, read: Callable[[], asyncio.Task[object]]) -> None:
        """Reads marks from Redis or, where it does not answer, from the database. Raises FeedUnavailableError."""
        if not self._silent():
            lost = self._confirmed_at > float("-inf") and not self._hears()
            try:
                await asyncio.wait_for(asyncio.shield(read()), SILENT_SECONDS if lost else MARKS_SECONDS)
            except (RedisError, OSError) as problem:
                if not self._silent():
                    log.warning("redis_silent", error=str(problem) or "It did not answer in time.")
                    self._committed.begin()
                self._silent_since = asyncio.get_running_loop().time()
            else:
                return
        await self._committed.refresh()

    def _end_revoked(self) -> None:
        """Ends the connections that a mark concerns which Redis may not hold."""
        for tenant_id in self._revocations.unwritten.tenants:
            try:
                self._connections.end_revoked(tenant_id, self._revocations.unwritten.concern)
            except Exception:
                log.exception("end_revoked_failed", tenant=tenant_id)

    async def redis_problem(self) -> str:
        """What Redis answers to a write, in one sentence; empty where it takes them.

        Raises FeedUnavailableError where revocations cannot be known.
        """
        await self._know()
        return self._revocations.unwritten.problem

    @property
    def refuses_marks(self) -> bool:
        """Whether Redis takes no writes at all, as far as this process knows."""
        return self._revocations.unwritten.refuses_marks

    async def _know(self) -> None:
        """Raises FeedUnavailableError where it is not known who was revoked."""
        if not self._seen:
            await self._see()  # later `watch` does so
        if self._revocations.unwritten.unreadable:
            raise FeedUnavailableError(self._revocations.unwritten.unreadable)

    async def _see(self) -> None:
        """Looks once. A Redis that cannot be reached changes nothing: no revocation is said to be done meanwhile."""
        try:
            await self._look()
            self._seen = True
        except (RedisError, OSError) as problem:
            log.debug("look_failed", error=str(problem))
        except Exception:
            log.exception("look_failed")

    def _reading_of(self, tenant_id: int) -> asyncio.Task[object]:
        """The read of this tenant's marks that is under way, or a new one."""
        reading = self._readings.get(tenant_id)
        if reading is None:
            reading = self._readings[tenant_id] = self._started(self._read_marks(tenant_id))
        return reading

    @staticmethod
    def _started(read: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """A read as a task that goes on after everybody has stopped waiting for it."""
        reading = asyncio.get_running_loop().create_task(read)
        reading.add_done_callback(log_failure)
        return reading

    async def _read_marks(self, tenant_id: int) -> None:
        try:
            await self._read({tenant_id})
        finally:
            del self._readings[tenant_id]

    def on_revocation(self, message: bytes) -> None:
        """Some process, perhaps this one, has revoked somebody (`realtime.feed.pubsub_link.RevocationListener`)."""
        try:
            told = self._revocations.hear(message)
        except BadRecordError as problem:
            log.warning("bad_revocation", error=str(problem))
            return
        known = self._known.setdefault(told.tenant_id, _Known())
        known.marks.add({told.subject: told.at})
        self._connections.end_revoked(told.tenant_id, known.marks.concern)

    def on_revocations_confirmed(self) -> None:
        """Some may have been missed before: the marks are read again, now."""
        self._confirmed_at = asyncio.get_running_loop().time()
        self._probe_soon.set()

    async def _read(self, tenants: set[int]) -> dict[int, Probed]:
        started = asyncio.get_running_loop().time()
        probed = await self._reader.probe(sorted(tenants))
        self._silent_since = None
        oldest = 1000 * (clock.now() - KEPT_SECONDS)
        for tenant, found in probed.items():
            entry = self._known.setdefault(tenant, _Known())
            entry.read_at = started
            entry.marks.add(found.marks)
            entry.marks.forget_before(oldest)
            if found.marks:
                self._connections.end_revoked(tenant, entry.marks.concern)
        return probed

    def _behind(self, probed: dict[int, Probed]) -> set[int]:
        """Feeds whose mirror is of another epoch than Redis, or has less, or was never loaded."""
        positions = self._hub.positions()
        return {
            tenant
            for tenant, found in probed.items()
            if (position := positions.get(tenant)) is not None
            and (
                found.epoch != position[0] or found.offset > position[1]
                if position[0]
                else self._hub.waits_for_load(tenant, BEHIND_SECONDS)
            )
        }


def _gone_back(before: Mapping[int, tuple[str, int]], probed: Mapping[int, Probed]) -> set[int]:
    """Feeds of which Redis has less than this process had before it asked: the read that follows begins a new epoch."""
    return {
        tenant
        for tenant, (epoch, offset) in before.items()
        if (found := probed.get(tenant)) is not None and found.epoch == epoch and found.offset < offset
    }
