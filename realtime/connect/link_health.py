"""Finds what no message reports: links that look healthy but deliver nothing, and revocations whose message was lost.

Every 15 seconds, `Health` compares the epochs and offsets of the mirrors with Redis. In the same round trip it reads
the revocation marks (`realtime.connect.revocation`) of all tenants. Every second it checks whether Redis accepts
writes. While Redis refuses even marks, the marks that Redis does not have are read from the database
(`realtime.connect.unwritten_revocations`).

A process trusts its copy of the marks while the link that delivers revocations shows every second that it is alive.
Otherwise it reads the marks from Redis or, if Redis does not answer, from the database.
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
from realtime.connect.revocation import Revocations
from realtime.connect.revocation_marks import KEPT_SECONDS, Issued, Marks
from realtime.connect.revocations_in_database import DatabaseMarks, log_failure
from realtime.connect.unwritten_revocations import LOOK_SECONDS
from realtime.feed.hub import Hub
from realtime.feed.reader import FeedReader, Probed
from realtime.records.errors import BadRecordError, FeedUnavailableError
from realtime.redis.clock import clock

log = structlog.get_logger(__name__)

BEHIND_SECONDS = 1.0
"""How long a mirror may be behind Redis. A message that has not arrived after this time counts as lost."""
MARKS_SECONDS = 5.0
"""How long to wait for Redis when marks are read. After that the database is read."""
SILENT_SECONDS = 1.0
"""How long to wait, in place of `MARKS_SECONDS`, while the link to Redis shows no sign of life."""
HEARD_SECONDS = 2.0
"""A link that has shown no sign of life for longer than this may have lost a revocation."""
STALE_PERIODS = 3
"""Marks are no longer trusted if they were last read more than this many probe periods ago."""


@dataclass
class _ReadMarks:
    """The marks of one tenant, and when they were last read from Redis, by the loop's clock."""

    marks: Marks = field(default_factory=lambda: Marks({}))
    read_at: float = float("-inf")


def _in_a_thread(read: Callable[[float], None]) -> Callable[[float], Awaitable[None]]:
    return lambda seconds: asyncio.to_thread(read, seconds)


class Health:
    """Checks the mirrors, the links and the revocations of one process."""

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
        """Make an object that checks the given reader, hub and connections.

        `look` and `read_committed` must call the methods of `revocations.unwritten` that have these names, without
        blocking the event loop. By default, the methods are called in a thread.
        """
        self._reader, self._hub, self._connections = reader, hub, connections
        self._period = period_seconds
        self._revocations = revocations
        self._look = look or partial(asyncio.to_thread, revocations.unwritten.look)
        self._committed = DatabaseMarks(read_committed or _in_a_thread(revocations.unwritten.read_committed))
        self._probe_soon = asyncio.Event()
        self._checked = False
        self._marks: dict[int, _ReadMarks] = {}
        self._readings: dict[int, asyncio.Task[object]] = {}
        self._confirmed_at = float("-inf")
        self._silent_since: float | None = None

    async def run(self) -> None:
        """Call `probe` periodically, until cancelled."""
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
        """Check every second whether Redis accepts writes. End connections revoked by marks that Redis may not have."""
        while True:
            await self._check_writes()
            self._end_revoked()
            await asyncio.sleep(LOOK_SECONDS)

    async def guard(self) -> None:
        """While the link to Redis shows no sign of life, read the marks every second, and end revoked connections."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if not self._link_lives() and (tenants := set(self._connections.tenants)):
                    await self._read_anywhere(lambda: self._started(self._read(tenants)))
                    self._end_revoked()
            except FeedUnavailableError as problem:
                log.debug("guard_failed", error=str(problem))
            except Exception:
                log.exception("guard_failed")

    async def probe(self) -> None:
        """Compare all mirrors with Redis, recover those that differ, and read all marks.

        Raise RedisError or OSError if Redis does not answer.
        """
        await self._reader.check_link()
        tenants = {*self._hub.positions(), *self._connections.tenants}
        self._marks = {tenant: marks for tenant, marks in self._marks.items() if tenant in tenants}
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
        """Return whether a mark revokes a ticket or token. Marks that are not yet in Redis count, too.

        Callers that wait at the same time share one read of Redis for each tenant, and one read of the database. No
        caller waits longer than a few seconds. Raise FeedUnavailableError if the marks cannot be read.
        """
        if reason := self._revocations.unwritten.unreadable:
            raise FeedUnavailableError(reason)
        if not self._has_current_marks(issued.tenant_id):
            await self._read_anywhere(lambda: self._reading_of(issued.tenant_id))
        if not self._silent():
            await self._require_check()
        read = self._marks.get(issued.tenant_id, _ReadMarks())
        return read.marks.concern(issued) or self._revocations.unwritten.concern(issued)

    @property
    def hears_redis(self) -> bool:
        """Whether the link to Redis works, as far as this process knows."""
        return self._link_lives() and not self._silent()

    def _link_lives(self) -> bool:
        """Return whether the link has recently shown that it delivers messages, such as revocations."""
        return asyncio.get_running_loop().time() - self._reader.link.delivered_until <= HEARD_SECONDS

    def _has_current_marks(self, tenant_id: int) -> bool:
        """Return whether the marks of this tenant were read, and no revocation can have been lost since."""
        read, now = self._marks.get(tenant_id), asyncio.get_running_loop().time()
        if read is None or read.read_at < self._confirmed_at or now - read.read_at > STALE_PERIODS * self._period:
            return False
        return self._link_lives()

    def _silent(self) -> bool:
        """Return whether Redis did not answer the last read, and the link has shown no sign of life since."""
        if self._silent_since is not None and self._reader.link.delivered_until > self._silent_since:
            self._silent_since = None
        return self._silent_since is not None

    async def _read_anywhere(self, read: Callable[[], asyncio.Task[object]]) -> None:
        """Read marks from Redis or, if Redis fails, from the database. Raise FeedUnavailableError if both fail."""
        if not self._silent():
            lost = self._confirmed_at > float("-inf") and not self._link_lives()
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
        """End the connections that are revoked by marks which Redis may not have."""
        for tenant_id in self._revocations.unwritten.tenants:
            try:
                self._connections.end_revoked(tenant_id, self._revocations.unwritten.concern)
            except Exception:
                log.exception("end_revoked_failed", tenant=tenant_id)

    async def redis_problem(self) -> str:
        """Return why Redis refuses writes, in one sentence, or "" if it accepts them.

        Raise FeedUnavailableError if revocations cannot be checked.
        """
        await self._require_check()
        return self._revocations.unwritten.problem

    @property
    def refuses_marks(self) -> bool:
        """Whether Redis refuses all writes, even marks, as far as this process knows."""
        return self._revocations.unwritten.refuses_marks

    async def _require_check(self) -> None:
        """Raise FeedUnavailableError if revocations cannot be checked."""
        if not self._checked:
            await self._check_writes()  # only the first time: after that, `watch` does it
        if self._revocations.unwritten.unreadable:
            raise FeedUnavailableError(self._revocations.unwritten.unreadable)

    async def _check_writes(self) -> None:
        """Check once whether Redis accepts writes. If Redis cannot be reached, keep the last result.

        This is safe: while Redis cannot be reached, no revocation is reported as done.
        """
        try:
            await self._look()
            self._checked = True
        except (RedisError, OSError) as problem:
            log.debug("look_failed", error=str(problem))
        except Exception:
            log.exception("look_failed")

    def _reading_of(self, tenant_id: int) -> asyncio.Task[object]:
        """Return the task that is reading this tenant's marks. If there is none, begin one."""
        reading = self._readings.get(tenant_id)
        if reading is None:
            reading = self._readings[tenant_id] = self._started(self._read_marks(tenant_id))
        return reading

    @staticmethod
    def _started(read: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """Begin a read and return its task, which continues even if no caller waits for it any more."""
        reading = asyncio.get_running_loop().create_task(read)
        reading.add_done_callback(log_failure)
        return reading

    async def _read_marks(self, tenant_id: int) -> None:
        try:
            await self._read({tenant_id})
        finally:
            del self._readings[tenant_id]

    def on_revocation(self, message: bytes) -> None:
        """End the connections that a revocation concerns. The link calls this with each message about a revocation."""
        try:
            revoked = self._revocations.receive(message)
        except BadRecordError as problem:
            log.warning("bad_revocation", error=str(problem))
            return
        marks = self._marks.setdefault(revoked.tenant_id, _ReadMarks()).marks
        marks.add({revoked.subject: revoked.at})
        self._connections.end_revoked(revoked.tenant_id, marks.concern)

    def on_revocations_confirmed(self) -> None:
        """Read all marks again soon. Called by the link after it subscribed, because earlier messages may be lost."""
        self._confirmed_at = asyncio.get_running_loop().time()
        self._probe_soon.set()

    async def _read(self, tenants: set[int]) -> dict[int, Probed]:
        started = asyncio.get_running_loop().time()
        probed = await self._reader.probe(sorted(tenants))
        self._silent_since = None
        oldest = 1000 * (clock.now() - KEPT_SECONDS)
        for tenant, found in probed.items():
            read = self._marks.setdefault(tenant, _ReadMarks())
            read.read_at = started
            read.marks.add(found.marks)
            read.marks.forget_before(oldest)
            if found.marks:
                self._connections.end_revoked(tenant, read.marks.concern)
        return probed

    def _behind(self, probed: dict[int, Probed]) -> set[int]:
        """Return the tenants whose mirror has another epoch or a lower offset than Redis, or was not loaded in time."""
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
    """Return the tenants whose feed has a lower offset in Redis than their mirror had before the probe.

    A lower offset means that Redis went back to an earlier state. The next read of the feed begins a new epoch.
    """
    return {
        tenant
        for tenant, (epoch, offset) in before.items()
        if (found := probed.get(tenant)) is not None and found.epoch == epoch and found.offset < offset
    }
