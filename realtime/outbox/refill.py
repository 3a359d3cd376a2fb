"""Fills a Redis that has lost something: it says what is true once more.

The mark of what was filled stands in Redis itself: it goes with the data, and a relay that was not there meanwhile
sees it too. No cursor and no transaction stays open while Redis is written.
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
from realtime.outbox.revoke import restore_marks
from realtime.outbox.second_look import SecondLook, publish_again
from realtime.records.errors import LeaseLostError
from realtime.records.source import Source
from realtime.repair.rebuild import Rebuild, Rebuilt, run_in_batches
from realtime.repair.sweeper import Sweeper

log = structlog.get_logger(__name__)

KEPT = timedelta(hours=24)
AGAIN_SECONDS = 30.0
"""The pause after a fill that failed although Redis answers; each try publishes a day's records."""


class Refill:
    """Of one relay, which holds the lease meanwhile."""

    def __init__(self, source: Source, rebuild: Rebuild, sweeper: Sweeper, second_look: SecondLook) -> None:
        self._source, self._rebuild, self._sweeper = source, rebuild, sweeper
        self._second_look = second_look
        self._again_at = 0.0
        self._run_id = ""
        self._left: list[int] = []
        """Tenants of whom the source could not tell when this life of Redis was filled."""

    def if_needed(self, between: Callable[[], object]) -> None:
        """Fills Redis where it is another, older or empty one. `between` is called between two steps, and may raise.

        Raises RedisError, or what the source raises.
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
            publisher.mark_filled(run_id)  # not if Redis was emptied meanwhile: the next round begins anew
        except (RedisError, LeaseLostError):
            self._again_at = 0.0
            raise
        self._again_at = 0.0

    def _fill(self, run_id: str, between: Callable[[], object]) -> list[int]:
        """Marks again what is revoked, publishes the records of the last 24 h, what is unfinished and what is wrong.

        Returns the tenants of whom the source could not tell.
        """
        started, self._run_id = time.monotonic(), run_id
        self._sweeper.pause_stalling()
        self._second_look.plan()
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
