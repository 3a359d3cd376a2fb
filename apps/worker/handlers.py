"""What a job kind is: a function that does one claimed job and returns its result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from academy.adapters.cache.redis_progress_adapter import RedisProgressAdapter
from academy.domain.jobs import ClaimedJob
from apps.worker.stopping import Stopping, WorkerStopsError


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How a handler says how far it is: best effort, never an error."""

    job: ClaimedJob
    adapter: RedisProgressAdapter
    steps: tuple[str, ...]
    stopping: Stopping = field(default_factory=Stopping)

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
        extra: dict[str, Any] = {
            "attempt": self.job.attempt,
            "percent": round(percent, 1),
            "step_index": self.steps.index(step) + 1,
            "step_total": len(self.steps),
            "step_percent": round(step_percent, 1),
            "remaining_seconds": remaining,
            "data": self.job.shown | dict(counts or {}),
            "milestone": milestone,
        }
        self.adapter.record_progress(self.job.tenant_id, self.job.job_id, step, extra)

    def go_on(self, remaining: float) -> None:
        """To be called where a job can be left and taken up again.

        Raises WorkerStopsError if this worker is about to end and `remaining` seconds of work are too many: the job is
        then another worker's at once.
        """
        if not self.stopping.leaves_time_for(remaining):
            raise WorkerStopsError


@dataclass(frozen=True, slots=True)
class Handler:
    """`do` returns the result of the job.

    It raises JobFailedError where trying again would not help, AttemptSupersededError where the job is no longer its
    own, lets WorkerStopsError of `progress.go_on` pass, and raises anything else to be tried again.
    """

    steps: tuple[str, ...]
    do: Callable[[ClaimedJob, JobProgress], dict[str, Any]]
    after_done: Callable[[ClaimedJob], None] | None = None
    """Tidies up after DONE; what it raises is only logged."""
