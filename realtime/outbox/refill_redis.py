"""Fills a Redis that has lost data, by publishing the current state again.

The note that Redis was filled is in Redis itself. So every relay can read the note, and it is lost together with the
data. No cursor and no transaction stays open while Redis is written.
"""

import time
from collections.abc import Callable
from datetime import timedelta

import structlog
from django.db.models.functions import Now
from redis.exceptions import RedisError

from realtime import conf
from realtime.models import OutboxEntry
from realtime.outbox.outbox import RECORD
from realtime.outbox.publish_again import Republisher, publish_again
from realtime.outbox.revoke import restore_marks
from realtime.records.errors import LeaseLostError
from realtime.records.source import Source
from realtime.repair.rebuild import Rebuild, Rebuilt, run_in_batches
from realtime.repair.sweeper import Sweeper

log = structlog.get_logger(__name__)

KEPT = timedelta(hours=24)
AGAIN_SECONDS = 30.0
"""The pause after a fill that failed while Redis answered. A whole fill is costly: it publishes a day's records."""


class Refill:
    """Fills Redis for the relay that holds the lease."""

    def __init__(self, source: Source, rebuild: Rebuild, sweeper: Sweeper, republisher: Republisher) -> None:
        self._source, self._rebuild, self._sweeper = source, rebuild, sweeper
        self._republisher = republisher
        self._again_at = 0.0
        self._run_id = ""
        self._left: list[int] = []
        """The tenants that are not filled yet, because the source failed for them."""

    def if_needed(self, between: Callable[[], object]) -> None:
        """Fill Redis if it was replaced, restarted or emptied since a relay last filled it.

        `between` is called between two steps, and may raise any error. Raise RedisError if Redis fails, DatabaseError
        if the database fails, and any error of the source's `tenants`. If the source fails for some tenants, a later
        call tries these again.
        """
        publisher = conf.publisher()
        run_id, mark = publisher.run_id(), publisher.filled_run_id()
        if mark == run_id or time.monotonic() < self._again_at:
            return
        self._again_at = time.monotonic() + AGAIN_SECONDS
        try:
            if self._left and mark and run_id == self._run_id:
                self._left = run_in_batches(self._left, self._rebuild.everything, "fill", between)
            else:
                self._left = self._fill(run_id, between)
            between()
            if self._left:
                return
            # If Redis was emptied during the fill, this does nothing, and the next round fills Redis once more.
            publisher.mark_filled(run_id)
        except (RedisError, LeaseLostError):
            self._again_at = 0.0
            raise
        self._again_at = 0.0

    def _fill(self, run_id: str, between: Callable[[], object]) -> list[int]:
        """Write revocation marks, publish the records of the last 24 h, and repair what differs from the database.

        Return the tenants that could not be repaired, because the source failed for them.
        """
        started, self._run_id = time.monotonic(), run_id
        self._sweeper.leases.pause_stalling()
        self._republisher.plan()
        conf.publisher().mark_filling()
        marks = restore_marks(conf.redis(), key_prefix=conf.key_prefix(), between=between)
        day = OutboxEntry.objects.filter(kind=RECORD, created_at__gt=Now() - KEPT)
        records = publish_again(day, between)
        done = Rebuilt()
        left = run_in_batches(
            self._source.tenants(),
            lambda tenant_ids: done.add(self._rebuild.everything(tenant_ids)),
            "fill",
            between,
        )
        log.info(
            "redis_filled",
            records=records,
            rebuilt=done.published,
            restored=done.restored,
            revocations=marks,
            tenants_left=len(left),
            seconds=round(time.monotonic() - started, 3),
        )
        return left
