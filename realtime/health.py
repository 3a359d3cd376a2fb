"""Looks after what nobody tells: links that look healthy and bring nothing, and revocations whose message was lost.

Every 15 seconds the mirrors' epochs and offsets are compared with Redis, and the marks of revocation are read, for all
tenants in one round trip. Every second it is seen whether Redis takes writes; while it takes none, the marks that it
does not hold are read from the database (`realtime.unwritten`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import structlog
from redis.exceptions import RedisError

from realtime.connections import Connections
from realtime.errors import BadRecordError, FeedUnavailableError
from realtime.hub import Hub
from realtime.marks import KEPT_SECONDS, Issued, Marks
from realtime.reader import FeedReader, Probed
from realtime.revocation import Revocations
from realtime.unwritten import LOOK_SECONDS

log = structlog.get_logger(__name__)

BEHIND_SECONDS = 1.0
"""A message may be on its way; who is behind for longer was not told."""
MARKS_SECONDS = 5.0
STALE_PERIODS = 3
"""Marks that could not be read for so many periods are not trusted any more."""
UNKNOWN = "Whether this session still holds cannot be known at the moment."


@dataclass
class _Known:
    marks: Marks = field(default_factory=lambda: Marks({}))
    read_at: float = float("-inf")


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
    ) -> None:
        """`look` calls that of `revocations.unwritten` without blocking the event loop."""
        self._reader, self._hub, self._connections = reader, hub, connections
        self._period = period_seconds
        self._revocations = revocations
        self._look = look or partial(asyncio.to_thread, revocations.unwritten.look)
        self._probe_soon = asyncio.Event()
        self._seen = False
        self._known: dict[int, _Known] = {}
        self._readings: dict[int, asyncio.Task[Marks]] = {}

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
            for tenant_id in self._revocations.unwritten.tenants:
                try:
                    self._connections.end_revoked(tenant_id, self._revocations.unwritten.concern)
                except Exception:
                    log.exception("end_revoked_failed", tenant=tenant_id)
            await asyncio.sleep(LOOK_SECONDS)

    async def probe(self) -> None:
        """One look at everything. Raises RedisError or OSError."""
        await self._reader.check_link()
        tenants = {*self._hub.positions(), *self._connections.tenants}
        self._known = {tenant: known for tenant, known in self._known.items() if tenant in tenants}
        if not tenants:
            return
        probed = await self._read(tenants)
        if behind := self._behind(probed):
            await asyncio.sleep(BEHIND_SECONDS)
            if still := [tenant for tenant in self._behind(probed) if tenant in behind]:
                log.warning("feeds_behind", tenants=len(still))
                self._hub.heal(still)

    async def marks(self, tenant_id: int) -> Marks:
        """Who was revoked in this tenant, as known within the last few periods. Raises FeedUnavailableError.

        However many ask at once, Redis is asked once, and nobody waits long.
        """
        known = self._known.get(tenant_id)
        if known is None or asyncio.get_running_loop().time() - known.read_at > STALE_PERIODS * self._period:
            if (reading := self._readings.get(tenant_id)) is None:
                reading = asyncio.get_running_loop().create_task(self._read_marks(tenant_id))
                self._readings[tenant_id] = reading
                reading.add_done_callback(lambda _: self._readings.pop(tenant_id, None))
            try:
                return await asyncio.wait_for(asyncio.shield(reading), MARKS_SECONDS)
            except (RedisError, OSError):
                raise FeedUnavailableError(UNKNOWN) from None
        return known.marks

    async def is_revoked(self, issued: Issued) -> bool:
        """Whether a mark ends this, in Redis or not yet there. Raises FeedUnavailableError where that is not known."""
        marks = await self.marks(issued.tenant_id)
        await self._know()
        return marks.concern(issued) or self._revocations.unwritten.concern(issued)

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

    async def _read_marks(self, tenant_id: int) -> Marks:
        await self._read({tenant_id})
        return self._known[tenant_id].marks

    def on_revocation(self, message: bytes) -> None:
        """Some process, perhaps this one, has revoked somebody (`realtime.reader.RevocationListener`)."""
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
        self._probe_soon.set()

    async def _read(self, tenants: set[int]) -> dict[int, Probed]:
        probed = await self._reader.probe(sorted(tenants))
        oldest = 1000 * (time.time() - KEPT_SECONDS)
        now = asyncio.get_running_loop().time()
        for tenant, found in probed.items():
            entry = self._known.setdefault(tenant, _Known())
            entry.read_at = now
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
