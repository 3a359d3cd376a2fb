"""The life cycle that jobs and videos share. `academy.jobs` and `academy.videos` define what differs.

Each step is one transaction, which changes the row and writes the new record into the outbox
(`academy.adapters.db.django.published_rows`). After each step except `claim`, the waiting jobs whose turn has come
are sent to the queue.
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
    """The steps of jobs, or of videos.

    A method with an argument `row` must be called in the transaction that locked the row. There are two exceptions:
    `insert`, whose row is new, and `mend`, which must be called outside transactions.
    """

    rows: PublishedRows[R]
    lock: Callable[[int, RowId], R | None]
    """Locks the tenant's row with this id until the transaction ends. Returns the row, or None if there is none."""
    claimed: Callable[[R], C]
    row_of: Callable[[C], QuerySet[R]]
    """Selects the row of a claimed job, whatever its present state."""
    queue_of: Callable[[R], str]

    def insert(self, row: R) -> None:
        """Write a new row. Its message is sent at the turn of the row, but not before the commit."""
        self.rows.insert(row)
        self._release(row)

    def begin(self, row: R, **changes: Any) -> None:
        """Write the changes that make a locked row ready to be processed. Its message is sent like a new row's."""
        self._release(self.change(row, **changes))

    def claim(self, tenant_id: int, row_id: RowId, *, lease_alive: bool) -> C | ClaimRefusal:
        """Claim a row to process it. Return the claimed job, or why the claim was refused.

        `lease_alive` tells whether the row has a lease. A PENDING row keeps its attempt. A PROCESSING row without a
        lease continues as the next attempt, and a PROCESSING row with a lease is refused as BUSY.
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
        """End a job with this status.

        If the attempt does not hold the job any more, raise AttemptSupersededError and write nothing.
        """
        with transaction.atomic():
            self._release(self._write_held(job, status=status, finished_at=Now(), also=also, **changes))

    def give_back(self, job: C, pause: float) -> None:
        """End this attempt, and make the job PENDING again. Its next attempt may begin after `pause` seconds.

        Other jobs may use its slot during the pause. Raises AttemptSupersededError if this attempt does not hold the
        job any more.
        """
        shows_at = Now() + timedelta(seconds=pause)
        with transaction.atomic():
            self._release(
                self._write_held(job, status=JobStatus.PENDING, attempt=job.attempt + 1, dispatched_at=shows_at)
            )

    def cancel(self, row: R, **changes: Any) -> None:
        """Make a locked row CANCELLED. A worker that processes the row stops at its next write."""
        self._release(self.change(row, status=JobStatus.CANCELLED, finished_at=Now(), **changes))

    def retry(self, row: R, **changes: Any) -> None:
        """Make a row PENDING again, as its next attempt. The row must have ended, and be locked."""
        begins = {"attempt": row.attempt + 1, "error": None, "finished_at": None, "dispatched_at": None}
        self._release(self.change(row, status=JobStatus.PENDING, **begins, **changes))

    def change(self, row: R, **changes: Any) -> R:
        """Write these changes to a locked row, and return the row as it is now."""
        found = rows_of(row.tenant_id, type(row)).filter(pk=row.pk)
        return self.rows.write(found, State(row.attempt, row.status), **changes)

    def mend(self, row: R) -> None:
        """Write the state of this row to Redis, if Redis has an older state of the row or none.

        Errors of Redis are only logged, because the caller's own work does not depend on Redis.
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
        """After the commit, send the jobs of this row's queue whose turn it is."""
        if self.rows.in_feed(row):
            release_on_commit(self.queue_of(row))
