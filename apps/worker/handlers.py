"""The handler of a kind of job (`Handler`), and the object by which it reports progress (`JobProgress`)."""

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
    """Reports the progress of one job for its handler, and checks whether the job may continue.

    Progress is best effort: if Redis cannot be reached, a report is lost, and no error is raised.
    """

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
        """Report progress: `percent` of the job and `step_percent` of the step, 0 to 100; `remaining` in seconds.

        `counts`, such as `{"rows_done": 1200, "rows_total": 2000}`, is added to the record's data. The first report of
        a step and a `milestone` (a finished chunk) are sent at once. Of other reports, the newest is sent every 0.2 s.
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
        """Raise an error if the job must stop here. Call this often, wherever a new attempt can continue the work.

        Raises WorkerStopsError if this worker is stopping and has no time for `remaining` more seconds of work: the job
        is then given back to other workers. Raises AttemptSupersededError if the job was cancelled or has a newer
        attempt.
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
            # Continue: when the result is saved, the attempt is checked in any case.
            log.debug("lease_not_read", error=str(problem))
        else:
            if not ours:
                raise AttemptSupersededError


@dataclass(frozen=True, slots=True)
class Handler(Generic[C]):
    """How the worker does one kind of job. `do` runs a claimed job and returns its result.

    `do` raises JobFailedError if another attempt would not help. It must not catch WorkerStopsError, which
    `JobProgress.go_on` raises, or AttemptSupersededError, which `go_on` and the functions that save results raise.
    After any other error the job is tried again.
    """

    steps: tuple[str, ...]
    do: Callable[[C, JobProgress], dict[str, Any]]
    after_done: Callable[[C], None] | None = None
    """Tidies up after the job is DONE. Its errors are only logged."""
    sweep: Callable[[], object] | None = None
    """Deletes stored files that nobody needs any more. It is called when a worker starts and then every hour."""
    sweep_soon: Callable[[], object] | None = None
    """Does work that requests do not do themselves, such as deleting files. It is called every few seconds."""
