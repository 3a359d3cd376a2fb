"""What the lives of jobs and of videos have in common. `academy.jobs` and `academy.videos` say what differs.

Each step is one transaction. It changes the row, writes the record that follows from it into the outbox
(`academy.adapters.db.django.published_rows`), and lets the next job have its turn where one ends or waits.
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
from academy.domain.jobs import Claim, Claimed, JobStatus
from realtime import conf
from realtime.records.transitions import Status

log = structlog.get_logger(__name__)

RowId = TypeVar("RowId", bound=UUID | int)
C = TypeVar("C", bound=Claimed)


@dataclass(frozen=True, slots=True)
class Lifecycle(Generic[R, RowId, C]):
    """The steps of one kind of row. Those that take a row have to be called in the transaction that locked it."""

    rows: PublishedRows[R]
    lock: Callable[[int, RowId], R | None]
    """Lock the row with this id until the transaction ends; None if the tenant has none."""
    claimed: Callable[[R], C]
    row_of: Callable[[C], QuerySet[R]]
    """Find the row that was claimed, in whatever state it is by now."""
    queue_of: Callable[[R], str]

    def insert(self, row: R) -> None:
        """Write a new row. Its message leaves when it is its turn."""
        self.rows.insert(row)
        self._release(row)

    def begin(self, row: R, **changes: Any) -> None:
        """Change a locked row in such a way that it is somebody's work from now on."""
        self._release(self.change(row, **changes))

    def claim(self, tenant_id: int, row_id: RowId, *, lease_alive: bool) -> C | Claim:
        """Take a row to work on it, or return why not.

        One that is PENDING keeps its attempt. One whose worker is gone goes on as the next attempt.
        """
        with transaction.atomic():
            row = self.lock(tenant_id, row_id)
            if row is None or not self.rows.in_feed(row):
                return Claim.ABSENT
            if Status(row.status).terminal:
                return Claim.ENDED
            running = row.status == JobStatus.PROCESSING
            if running and lease_alive:
                return Claim.BUSY
            row = self.change(
                row,
                status=JobStatus.PROCESSING,
                attempt=row.attempt + running,
                dispatched_at=row.dispatched_at or Now(),  # an old sender did not wait for its turn
            )
        return self.claimed(row)

    def end(
        self, job: C, status: JobStatus | str, *, also: Callable[[R], object] = nothing_more, **changes: Any
    ) -> None:
        """End what this attempt holds. Raise AttemptSupersededError, and write nothing, if it does not hold it."""
        with transaction.atomic():
            self._release(self._write_held(job, status=status, finished_at=Now(), also=also, **changes))

    def give_back(self, job: C, pause: float) -> None:
        """Make it PENDING as the next attempt, whose message comes after `pause` seconds. Others may go meanwhile.

        Raise AttemptSupersededError.
        """
        shows_at = Now() + timedelta(seconds=pause)
        with transaction.atomic():
            self._release(
                self._write_held(job, status=JobStatus.PENDING, attempt=job.attempt + 1, dispatched_at=shows_at)
            )

    def cancel(self, row: R, **changes: Any) -> None:
        """End a locked row. A worker that works on it stops at its next write."""
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
        """Bring the feed in line with a row that was read, where it tells something older or nothing.

        What the row was read for does not depend on it: a Redis that is away is only logged.
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
        """Let the next one have its turn, in the queue of this one."""
        if self.rows.in_feed(row):
            release_on_commit(self.queue_of(row))
