"""Fills a Redis that has lost something: it says what is true once more.

The mark of what was filled stands in Redis itself: it goes with the data, and a relay that was not there meanwhile
sees it too. No cursor and no transaction stays open while Redis is written.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

import structlog
from django.db.models.functions import Now
from redis.exceptions import RedisError

from realtime import conf
from realtime.models import OutboxEntry
from realtime.outbox.outbox import RECORD, draft_of, in_pages
from realtime.outbox.revoke import restore_marks
from realtime.records.batches import note_isolated
from realtime.records.errors import LeaseLostError
from realtime.records.record import Draft
from realtime.records.scripts import Published
from realtime.records.source import Source
from realtime.records.transitions import Verdict
from realtime.repair.rebuild import Rebuild, Rebuilt, each_alone
from realtime.repair.sweeper import Sweeper

log = structlog.get_logger(__name__)

KEPT = timedelta(hours=24)
AGAIN_SECONDS = 30.0
"""The pause after a fill that failed although Redis answers; each try publishes a day's records."""


class Refill:
    """Of one relay, which holds the lease meanwhile."""

    def __init__(self, source: Source, rebuild: Rebuild, sweeper: Sweeper) -> None:
        self._source, self._rebuild, self._sweeper = source, rebuild, sweeper
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
                self._left = each_alone(self._left, self._rebuild.everything, "fill", between)
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
        self._sweeper.settle()
        conf.publisher().mark_filling()
        marks = restore_marks(conf.redis(), key_prefix=conf.key_prefix(), between=between)
        records = self._publish_again(between)
        done = Rebuilt()
        left = each_alone(
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

    @staticmethod
    def _publish_again(between: Callable[[], object]) -> int:
        """Publishes the records of the last 24 h, and returns how many were new to Redis."""
        accepted = 0
        for page in in_pages(OutboxEntry.objects.filter(kind=RECORD, created_at__gt=Now() - KEPT)):
            between()
            drafts = list(_drafts(page))
            answers = conf.publisher().publish_each(drafts, at_the_limit=True)
            for (tenant_id, _), answer in zip(drafts, answers, strict=True):
                if isinstance(answer, Published):
                    accepted += answer.verdict is Verdict.ACCEPTED
                else:
                    note_isolated("fill", answer, tenant=tenant_id)
        return accepted


def _drafts(rows: Iterable[OutboxEntry]) -> Iterator[tuple[int, Draft]]:
    for entry in rows:
        try:
            yield entry.tenant_id, draft_of(entry)
        except Exception as problem:  # noqa: BLE001 - one bad row must not keep Redis empty of all others
            log.warning("outbox_row_bad", id=entry.pk, error=str(problem))
