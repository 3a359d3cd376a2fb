"""How often and how long: the clock of a worker, from the settings."""

import os
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

_LONGER = 10
"""How many times as long each pause of a job is as the one before."""


@dataclass(frozen=True, slots=True)
class Timing:
    """`visibility_seconds` exceeds `lease_seconds`: when a dead worker's message comes back, its lease is over."""

    heartbeat_seconds: float
    lease_seconds: float
    visibility_seconds: int
    poll_seconds: int = 10
    """A poll cannot be interrupted, and whoever stops waits for its end; each costs a request."""
    drain_seconds: float = 20.0
    max_receives: int = 3
    retry_seconds: float = 30.0
    ready_file: str | None = None
    metrics_port: int = 0

    @classmethod
    def from_settings(cls) -> "Timing":
        return cls(
            heartbeat_seconds=settings.WORKER_HEARTBEAT_SECONDS,
            lease_seconds=settings.WORKER_LEASE_SECONDS,
            visibility_seconds=settings.WORKER_VISIBILITY_SECONDS,
            poll_seconds=settings.WORKER_POLL_SECONDS,
            retry_seconds=settings.WORKER_RETRY_SECONDS,
            drain_seconds=settings.WORKER_DRAIN_SECONDS,
            ready_file=settings.WORKER_READY_FILE,
            metrics_port=settings.WORKER_METRICS_PORT,
        )

    @property
    def poll_end_seconds(self) -> float:
        """How long after a stop the last poll may still last; a queue that hangs is not waited for."""
        return self.poll_seconds + 3.0

    def pause_after(self, receives: int) -> float:
        """How many seconds a job waits after this try of it failed: what was in the way may last for minutes."""
        return float(self.retry_seconds * _LONGER ** (receives - 1))

    def say_ready(self) -> None:
        """Tell whoever started this worker that it polls its queue now: the file's time is that of the last poll."""
        if self.ready_file:
            Path(self.ready_file).write_text(str(os.getpid()))
