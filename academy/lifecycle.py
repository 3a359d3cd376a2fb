"""The life cycle that jobs and videos share. `academy.jobs` and `academy.videos` define what differs.

Each step is one transaction. It changes the row, writes the new record into the outbox
(`academy.adapters.db.django.published_rows`), and sends the next job of the queue if this one has ended or waits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from redis.exceptions import RedisError

from academy.adapters.db.django.connections import give_back_connection
from academy.adapters.db.django.published_rows import PublishedRows, R, State, nothing_more
from academy.adapters.db.django.tenancy import rows_of
from academy.dispatch import release_on_commit
from academy.domain.jobs import Claimed, ClaimRefusal, JobStatus
from realtime import conf
from realtime.records.transitions import Status

log = structlog.get_logger(__name__)

RowId = TypeVar("RowId", bound=UUID | int)
C = TypeVar("C", bound=Claimed)


@dataclass(frozen=True, slots=True)
class Lifecycle(Generic[R, RowId, C]):
    """The steps of one kind of row. Call the methods that take a row in the transaction that locked the row."""

    rows: PublishedRows[R]
    lock: Callable[[int, RowId], R | None]
    """Lock the row with this id until the transaction ends; None if the tenant has none."""
    claimed: Callable[[R], C]
    row_of: Callable[[C], QuerySet[R]]
    """Select the row of a claimed job, in whatever state it is by now."""
    queue_of: Callable[[R], str]

    def insert(self, row: R) -> None:
        """Write a new row. Its message is sent when its turn comes."""
        self.rows.insert(row)
        self._release(row)

    def begin(self, row: R, **changes: Any) -> None:
        """Change a locked row so that it is ready to be worked on, and queue it."""
        self._release(self.change(row, **changes))

    def claim(self, tenant_id: int, row_id: RowId, *, lease_alive: bool) -> C | ClaimRefusal:
        """Claim a row to work on it, or return why that was refused.

        A PENDING row keeps its attempt. A PROCESSING row whose lease has run out continues as the next attempt.
        """
        with transaction.atomic():
            row = self.lock(tenant_id, row_id)
            if row is None or not self.rows.in_feed(row):
                return ClaimRefusal.ABSENT
            if Status(row.status).terminal:
                return ClaimRefusal.ENDED
            running = row.status == JobStatus.PROCESSING
            if running and lease_alive:
                return ClaimRefusal.BUSY
            row = self.change(
                row,
                status=JobStatus.PROCESSING,
                attempt=row.attempt + running,
                dispatched_at=row.dispatched_at or Now(),  # NULL if an older version sent the message itself
            )
        return self.claimed(row)

    def end(
        self, job: C, status: JobStatus | str, *, also: Callable[[R], object] = nothing_more, **changes: Any
    ) -> None:
        """End a job that this attempt holds. If it does not, raise AttemptSupersededError and write nothing."""
        with transaction.atomic():
            self._release(self._write_held(job, status=status, finished_at=Now(), also=also, **changes))

    def give_back(self, job: C, pause: float) -> None:
        """Make a job PENDING as the next attempt, whose message shows after `pause` seconds.

        Other jobs may use its slot meanwhile. Raises AttemptSupersededError.
        """
        shows_at = Now() + timedelta(seconds=pause)
        with transaction.atomic():
            self._release(
                self._write_held(job, status=JobStatus.PENDING, attempt=job.attempt + 1, dispatched_at=shows_at)
            )

    def cancel(self, row: R, **changes: Any) -> None:
        """Make a locked row CANCELLED. A worker that runs it stops at its next write."""
        self._release(self.change(row, status=JobStatus.CANCELLED, finished_at=Now(), **changes))

    def retry(self, row: R, **changes: Any) -> None:
        """Make a locked row that has ended PENDING again, as the next attempt."""
        begins = {"attempt": row.attempt + 1, "error": None, "finished_at": None, "dispatched_at": None}
        self._release(self.change(row, status=JobStatus.PENDING, **begins, **changes))

    def change(self, row: R, **changes: Any) -> R:
        """Write a locked row."""
        found = rows_of(row.tenant_id, type(row)).filter(pk=row.pk)
        return self.rows.write(found, State(row.attempt, row.status), **changes)

    def mend(self, row: R) -> None:
        """Publish the state of a row that was read, if the feed has an older state or none.

        Errors of Redis are only logged, because the caller's own work does not depend on the feed.
        """
        if not self.rows.in_feed(row):
            return
        state = self.rows.state_of(row)
        give_back_connection()  # Redis may be slow
        try:
            conf.publisher().mend(state.tenant_id, state.draft())
        except RedisError as problem:
            log.info("feed_not_mended", topic=state.topic, tenant=state.tenant_id, error=str(problem))

    def _write_held(self, job: C, **changes: Any) -> R:
        return self.rows.write(self.row_of(job), State(job.attempt, JobStatus.PROCESSING), **changes)

    def _release(self, row: R) -> None:
        """Send the next jobs of this row's queue after the commit."""
        if self.rows.in_feed(row):
            release_on_commit(self.queue_of(row))
