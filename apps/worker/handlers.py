"""What a job kind is: a function that does one claimed job and returns its result."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

import structlog
from redis.exceptions import RedisError

from academy.domain.jobs import AttemptSupersededError, Claimed
from academy.lifecycle import C
from apps.worker.stopping import Stopping, WorkerStopsError
from realtime import conf
from realtime.publish import Publisher, Step

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5


class JobProgress:
    """How a handler says how far it is (best effort, never an error), and learns whether it may go on."""

    def __init__(
        self,
        job: Claimed,
        steps: tuple[str, ...],
        stopping: Stopping | None = None,
        publisher: Publisher | None = None,
    ) -> None:
        self.job = job
        self._steps = steps
        self._stopping = stopping or Stopping()
        self._publisher = publisher or conf.publisher()
        self._looked_at = -math.inf

    def report(
        self,
        step: str,
        percent: float,
        *,
        step_percent: float = 0.0,
        remaining: float | None = None,
        counts: Mapping[str, int] | None = None,
        milestone: bool = False,
    ) -> None:
        """`percent` of the whole job and `step_percent` of the step, 0 to 100; `remaining` in seconds.

        `counts` joins the record's data, for people who watch: `{"rows_done": 1200, "rows_total": 2000}`. At most five
        reports a second leave, the newest ones; a change of step and a `milestone` (a finished chunk) always do.
        """
        self._publisher.progress(
            tenant_id=self.job.tenant_id,
            topic=self.job.topic,
            attempt=self.job.attempt,
            percent=round(percent, 1),
            step=Step(self._steps.index(step) + 1, len(self._steps), step, round(step_percent, 1)),
            remaining_seconds=remaining,
            data=self.job.shown | dict(counts or {}),
            milestone=milestone,
        )

    def go_on(self, remaining: float) -> None:
        """To be called where a job can be left and taken up again, as often as one likes.

        Raises WorkerStopsError if this worker is about to end and `remaining` seconds of work are too many: the job is
        then another worker's at once. Raises AttemptSupersededError if the job was cancelled, or is another attempt's.
        """
        if not self._stopping.leaves_time_for(remaining):
            raise WorkerStopsError
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._check_still_ours()

    def _check_still_ours(self) -> None:
        job = self.job
        try:
            ours = self._publisher.renew_lease(tenant_id=job.tenant_id, topic=job.topic, attempt=job.attempt)
        except RedisError as problem:
            # The write at the end is fenced all the same.
            log.debug("lease_not_read", error=str(problem))
        else:
            if not ours:
                raise AttemptSupersededError


@dataclass(frozen=True, slots=True)
class Handler(Generic[C]):
    """`do` returns the result of the job.

    It raises JobFailedError where trying again would not help, lets AttemptSupersededError and WorkerStopsError (of
    `progress.go_on` and of writes) pass, and raises anything else to be tried again.
    """

    steps: tuple[str, ...]
    do: Callable[[C, JobProgress], dict[str, Any]]
    after_done: Callable[[C], None] | None = None
    """Tidies up after DONE; what it raises is only logged."""
    sweep: Callable[[], object] | None = None
    """Deletes what this kind of job keeps for a while only: called when a worker begins, and every hour."""
    sweep_soon: Callable[[], object] | None = None
    """Does what requests leave to the worker, such as deleting files: called every few seconds."""
