"""The relay: sends what processes left behind in the outbox, fills a Redis that has lost something, and sweeps.

It runs in every worker process and as `manage.py realtime_relay`; an advisory lock lets one of them work at a time.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from datetime import timedelta

import structlog
from django.db import DatabaseError, close_old_connections, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from redis.exceptions import RedisError

from realtime import conf
from realtime.batches import batched
from realtime.models import OutboxEntry
from realtime.outbox import RECORD, draft_of, give_back_pooled_connection, send, unsent
from realtime.rebuild import TENANTS_AT_ONCE, Rebuild, Rebuilt
from realtime.record import Draft
from realtime.revoke import REVOCATION, note_times, restore_marks
from realtime.sweeper import Sweeper
from realtime.transitions import Status, Verdict

log = structlog.get_logger(__name__)

ADVISORY_LOCK = 0x5245_4C41  # "RELA"
LEFT_BEHIND = timedelta(seconds=2)
"""Younger rows belong to the process that wrote them, which is about to send them."""
KEPT = timedelta(hours=24)
BATCH = 200
TERMINAL = [status.value for status in Status if status.terminal]
ENDED_RECORDS = "ended records"
MAX_FAILURES = 3
"""So many rows of a kind in succession that cannot be sent mean that its way is closed, and not that they are bad."""
PAUSE_SECONDS = 0.5
"""A revocation that only a relay sends has to be heard within a second."""
PURGE_SECONDS = 300.0
FILL_AGAIN_SECONDS = 30.0
"""The pause after a fill that failed although Redis answers; each try publishes a day's records."""


class Relay:
    """Works in rounds; `run` makes rounds until told to stop."""

    def __init__(self) -> None:
        self._purged_at = 0.0
        self._failing: set[str] = set()
        self._start_after: dict[str, int] = {}
        self._fill_at = 0.0
        source, prefix, limits = conf.source(), conf.key_prefix(), conf.limits()
        self._source = source
        self._rebuild = Rebuild(conf.redis(), source, key_prefix=prefix, limits=limits)
        old_workers = conf.old_keys() is not None
        self._sweeper = Sweeper(conf.redis(), source, key_prefix=prefix, limits=limits, old_workers=old_workers)

    def run(self, stop: threading.Event) -> None:
        """Makes two rounds a second. No outage of the database, Redis or a queue ends it."""
        while not stop.is_set():
            try:
                close_old_connections()
                busy = self.round()
            except (DatabaseError, RedisError, OSError) as problem:
                log.warning("relay_round_failed", error=str(problem).strip())
                busy = False
            except Exception:
                log.exception("relay_round_failed")
                busy = False
            if not busy:
                stop.wait(PAUSE_SECONDS)
        connection.close()

    def round(self) -> bool:
        """One batch of rows of each kind, if no other relay is at work. True if there may be more at once."""
        self._send_revocations()
        with transaction.atomic():
            if not self._lock():
                return False
            filled = self._fill_new_redis()
            left = OutboxEntry.objects.filter(sent_at=None, created_at__lt=timezone.now() - LEFT_BEHIND)
            left = left.exclude(kind=REVOCATION)
            # Kind by kind: a queue that is down for an hour must not fill the batch that a terminal record waits for.
            kinds = list(left.order_by("kind").values_list("kind", flat=True).distinct())
            # Ends of jobs first: at its memory limit Redis takes these, and refuses what is unfinished.
            if RECORD in kinds:
                self._send_batch(RECORD, left.filter(kind=RECORD, payload__status__in=TERMINAL), ENDED_RECORDS)
            busy = [self._send_batch(kind, left.filter(kind=kind)) for kind in kinds]
            self._purge()
            if filled:
                self._sweep()
        return any(busy)

    def _send_revocations(self) -> None:
        """Sends these at once, also while another relay is busy with something slow.

        Their rows may come from a trigger or from SQL by hand: then no process sends them after its commit.
        """
        left = unsent(REVOCATION).select_for_update(skip_locked=True)
        with transaction.atomic():
            rows = self._next_batch(REVOCATION, left)
            note_times(rows)
        # Redis may be slow, so nothing is locked and no connection is held meanwhile. Another relay may send the same
        # rows: that does no harm.
        if rows:
            give_back_pooled_connection()
            self._send_rows(REVOCATION, rows)

    def _sweep(self) -> None:
        """A sweep that fails must not undo what the round has noted as sent."""
        try:
            with transaction.atomic():
                self._sweeper.sweep_if_due()
        except Exception as problem:  # noqa: BLE001 - the project's source may raise what it likes
            self._say_once("sweep", "sweep_failed", problem)
        else:
            self._failing.discard("sweep")

    def _say_once(self, what: str, event: str, problem: Exception) -> None:
        if what not in self._failing:
            self._failing.add(what)
            log.warning(event, error=str(problem).strip(), exc_info=not isinstance(problem, RedisError))

    @staticmethod
    def _lock() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [ADVISORY_LOCK])
            return bool(cursor.fetchone()[0])

    def _send_batch(self, kind: str, left: QuerySet[OutboxEntry], pass_name: str = "") -> bool:
        """Sends the rows of one kind. True if there may be more.

        Passes over the same kind have different names: each keeps its own place.
        """
        rows = self._next_batch(pass_name or kind, left)
        sent = self._send_rows(pass_name or kind, rows)
        return len(rows) == BATCH and bool(sent)

    def _next_batch(self, pass_name: str, left: QuerySet[OutboxEntry]) -> list[OutboxEntry]:
        return list(left.filter(id__gt=self._start_after.pop(pass_name, 0)).order_by("id")[:BATCH])

    def _send_rows(self, pass_name: str, rows: list[OutboxEntry]) -> int:
        """Sends rows of one kind, notes which were sent, and returns their number."""
        sent: list[int] = []
        failures, problem = 0, None
        for entry in rows:
            try:
                # A sender of the project may use SQL, and fail in it.
                with nullcontext() if entry.kind in {RECORD, REVOCATION} else transaction.atomic():
                    send(entry)
            except Exception as raised:  # noqa: BLE001 - a sender may raise what it likes; the row stays
                failures, problem = failures + 1, raised
                if failures == MAX_FAILURES:
                    # Do not wait for the time-out of each row. The next round begins behind this one, since a few rows
                    # that can never be sent must not hold up all others.
                    self._start_after[pass_name] = entry.pk
                    break
            else:
                failures = 0
                sent.append(entry.pk)
        if problem is None:
            self._failing.discard(pass_name)
        elif pass_name not in self._failing:
            self._failing.add(pass_name)
            log.warning("outbox_rows_not_sent", kind=rows[0].kind, error=str(problem))
        if sent:
            OutboxEntry.objects.filter(pk__in=sent).update(sent_at=timezone.now())
        return len(sent)

    def _fill_new_redis(self) -> bool:
        """Says what is true once more where Redis is another, older or empty one. False as long as that is not done.

        The mark stands in Redis itself: it goes with the data, and a relay that was not there meanwhile sees it too.
        """
        publisher = conf.publisher()
        try:
            run_id = publisher.run_id()
            if publisher.filled_run_id() == run_id:
                return True
            if time.monotonic() < self._fill_at:
                return False
            self._sweeper.settle()
            publisher.mark_filling()
            with transaction.atomic():
                self._fill()
            if not publisher.mark_filled(run_id):
                return False  # Redis was emptied meanwhile: the next round begins anew
        except RedisError as problem:
            self._say_once("fill", "redis_not_filled", problem)
            return False
        except Exception as problem:  # noqa: BLE001 - the project's source may raise what it likes; rows go out all the same
            self._say_once("fill", "redis_not_filled", problem)
            self._fill_at = time.monotonic() + FILL_AGAIN_SECONDS
            return False
        self._failing.discard("fill")
        return True

    def _fill(self) -> None:
        """Marks again what is revoked, publishes the records of the last 24 h, what is unfinished and what is wrong."""
        started = time.monotonic()
        marks = restore_marks(conf.redis(), key_prefix=conf.key_prefix())
        rows = OutboxEntry.objects.filter(kind=RECORD, created_at__gt=timezone.now() - KEPT).order_by("id")
        answers = conf.publisher().publish_again(_drafts(rows.iterator(BATCH)))
        done = Rebuilt()
        for tenant_ids in batched(self._source.tenants(), TENANTS_AT_ONCE):
            done.add(self._rebuild.everything(tenant_ids))
        log.info(
            "redis_filled",
            records=sum(answer.verdict is Verdict.ACCEPTED for answer in answers),
            rebuilt=done.published,
            restored=done.restored,
            revocations=marks,
            seconds=round(time.monotonic() - started, 3),
        )

    def _purge(self) -> None:
        if time.monotonic() - self._purged_at < PURGE_SECONDS:
            return
        self._purged_at = time.monotonic()
        OutboxEntry.objects.filter(sent_at__lt=timezone.now() - KEPT).delete()


def _drafts(rows: Iterable[OutboxEntry]) -> Iterator[tuple[int, Draft]]:
    for entry in rows:
        try:
            yield entry.tenant_id, draft_of(entry)
        except Exception as problem:  # noqa: BLE001 - one bad row must not keep Redis empty of all others
            log.warning("outbox_row_bad", id=entry.pk, error=str(problem))
