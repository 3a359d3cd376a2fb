"""Looks after what nobody tells: links that look healthy and bring nothing, and revocations whose message was lost.

Every 15 seconds the mirrors' epochs and offsets are compared with Redis, and the marks of revocation are read, for all
tenants in one round trip.
"""

import asyncio
import time
from dataclasses import dataclass, field

import structlog
from redis.exceptions import RedisError

from realtime.connections import Connections
from realtime.errors import FeedUnavailableError
from realtime.hub import Hub
from realtime.reader import FeedReader, Probed
from realtime.revocation import KEPT_SECONDS, Marks

log = structlog.get_logger(__name__)

BEHIND_SECONDS = 1.0
"""A message may be on its way; who is behind for longer was not told."""
MARKS_SECONDS = 5.0
STALE_PERIODS = 3
"""Marks that could not be read for so many periods are not trusted any more."""


@dataclass
class _Known:
    marks: Marks = field(default_factory=lambda: Marks({}))
    read_at: float = float("-inf")


class Health:
    """Of one process."""

    def __init__(self, reader: FeedReader, hub: Hub, connections: Connections, period_seconds: float) -> None:
        self._reader, self._hub, self._connections = reader, hub, connections
        self._period = period_seconds
        self._known: dict[int, _Known] = {}
        self._readings: dict[int, asyncio.Task[Marks]] = {}

    async def run(self) -> None:
        """Probes for ever. Ends by cancellation only."""
        while True:
            await asyncio.sleep(self._period)
            try:
                await self.probe()
            except (RedisError, OSError) as problem:
                log.debug("probe_failed", error=str(problem))
            except Exception:
                log.exception("probe_failed")

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
                raise FeedUnavailableError("Whether this session still holds cannot be known at the moment.") from None
        return known.marks

    async def _read_marks(self, tenant_id: int) -> Marks:
        await self._read({tenant_id})
        return self._known[tenant_id].marks

    def revoked(self, tenant_id: int, subject: str, at: float) -> None:
        """Another process says that a subject was revoked (Unix ms)."""
        known = self._known.setdefault(tenant_id, _Known())
        known.marks.add({subject: at})
        self._connections.revoke(tenant_id, known.marks)

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
                self._connections.revoke(tenant, entry.marks)
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
