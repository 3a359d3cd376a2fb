"""Publishes again what other processes may have written to a Redis that was replaced.

After a change of master the links of other processes may lead to the old master for up to half a minute
(`realtime.redis.links`). If the old master still accepts writes, a terminal record may be written to a server that
nobody reads, even after the relay has filled the new master.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

import structlog
from django.db.models import QuerySet

from realtime import conf
from realtime.models import OutboxEntry
from realtime.outbox.outbox import RECORD, draft_of, in_pages, sent_in_last
from realtime.outbox.revoke import REVOCATION, restore_marks
from realtime.records.record import Draft
from realtime.records.script_batches import note_isolated
from realtime.records.scripts import Published
from realtime.records.transitions import Verdict
from realtime.redis.links import OLD_SECONDS

log = structlog.get_logger(__name__)

LOOKS = (10.0, OLD_SECONDS + 10.0, 120.0)
"""When a `Republisher` looks for rows to publish again, in seconds after a call of its method `plan`: first soon, then
after all links have reconnected, and last after DNS caches have expired. Each look publishes again the rows that were
sent since the previous look."""
OVERLAP_SECONDS = 30.0
"""By how much the periods of two successive looks overlap. A relay marks rows as sent only after it has sent all rows
of a claim, so the earlier look may have missed some."""
TAKEN_OVER_SECONDS = 180.0
"""How far back a relay looks when it takes the lease over. The previous relay may have filled Redis, and ended before
its last look."""


class Republisher:
    """Publishes rows again at planned times (looks). It belongs to the relay that holds the lease."""

    def __init__(self) -> None:
        self._due: list[float] = []
        self._since = 0.0

    def plan(self, back_seconds: float = 0.0) -> None:
        """Plan a look after each of `LOOKS` seconds. The first look also covers the last `back_seconds` before now."""
        now = time.monotonic()
        self._since = now - back_seconds
        self._due = [now + seconds for seconds in LOOKS]

    def if_due(self, between: Callable[[], object]) -> None:
        """If a look is due, send again the records and revocation marks that were sent since the previous look.

        `between` is called between two steps, and may raise any error. Raise RedisError if Redis fails, and
        DatabaseError if the database fails. After an error the look is still due.
        """
        now = time.monotonic()
        if not self._due or now < self._due[0]:
            return
        age = timedelta(seconds=now - self._since + OVERLAP_SECONDS)
        marks = sent_in_last(REVOCATION, age)
        restore_marks(conf.redis(), key_prefix=conf.key_prefix(), between=between, rows=marks)
        found = publish_again(sent_in_last(RECORD, age), between)
        self._since = now
        self._due = [due for due in self._due if due > now]
        if found:
            log.warning("records_were_elsewhere", records=found)


def publish_again(rows: QuerySet[OutboxEntry], between: Callable[[], object]) -> int:
    """Publish the records of these rows, oldest first. Return how many of them Redis accepted.

    `between` is called before each page of rows, and may raise any error. Raise RedisError if Redis fails.
    """
    accepted = 0
    for page in in_pages(rows):
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
        except Exception as problem:  # noqa: BLE001 - a bad row must not stop the others
            log.warning("outbox_row_bad", id=entry.pk, error=str(problem))
