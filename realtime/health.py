"""Looks after what nobody tells: links that look healthy and bring nothing, and revocations whose message was lost.

Every 15 seconds the mirrors' epochs and offsets are compared with Redis, and the marks of revocation are read, for all
tenants in one round trip.
"""

import asyncio
from dataclasses import dataclass, field

import structlog
from redis.exceptions import RedisError

from realtime.connections import Connections
from realtime.errors import FeedUnavailableError
from realtime.hub import Hub
from realtime.reader import FeedReader, Probed
from realtime.revocation import Marks

log = structlog.get_logger(__name__)

BEHIND_SECONDS = 1.0
"""A message may be on its way; who is behind for longer was not told."""
OVERLAP_MS = 60_000
"""Marks are made by clocks of several machines: so much of what was read before is read again."""
STALE_PERIODS = 3
"""Marks that could not be read for so many periods are not trusted any more."""


@dataclass
class _Known:
    marks: Marks = field(default_factory=lambda: Marks({}))
    read_at: float = 0.0


class Health:
    """Of one process."""

    def __init__(self, reader: FeedReader, hub: Hub, connections: Connections, period_seconds: float) -> None:
        self._reader, self._hub, self._connections = reader, hub, connections
        self._period = period_seconds
        self._known: dict[int, _Known] = {}

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
        """Who was revoked in this tenant, as known within the last few periods. Raises FeedUnavailableError."""
        known = self._known.get(tenant_id)
        if known is None or asyncio.get_running_loop().time() - known.read_at > STALE_PERIODS * self._period:
            try:
                await self._read({tenant_id})
            except (RedisError, OSError):
                raise FeedUnavailableError("Whether this session still holds cannot be known at the moment.") from None
        return self._known[tenant_id].marks

    def revoked(self, tenant_id: int, subject: str, at: float) -> None:
        """Another process says that a subject was revoked (Unix ms)."""
        known = self._known.setdefault(tenant_id, _Known())
        known.marks.add({subject: at})
        self._connections.revoke(tenant_id, known.marks)

    async def _read(self, tenants: set[int]) -> dict[int, Probed]:
        known = {tenant: self._known.get(tenant, _Known()) for tenant in tenants}
        since = {tenant: entry.marks.newest - OVERLAP_MS if entry.read_at else 0.0 for tenant, entry in known.items()}
        probed = await self._reader.probe(since)
        now = asyncio.get_running_loop().time()
        for tenant, found in probed.items():
            entry = self._known.setdefault(tenant, _Known())
            entry.read_at = now
            entry.marks.add(found.marks)
            if found.marks:
                self._connections.revoke(tenant, entry.marks)
        return probed

    def _behind(self, probed: dict[int, Probed]) -> set[int]:
        """Feeds whose mirror is of another epoch than Redis, or has less."""
        positions = self._hub.positions()
        return {
            tenant
            for tenant, found in probed.items()
            if tenant in positions
            and (epoch := positions[tenant][0])
            and (found.epoch != epoch or found.offset > positions[tenant][1])
        }
