"""The intervals and time limits of a worker, from the settings."""

import os
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

_LONGER = 10
"""Each pause before a new attempt is this many times as long as the previous pause."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The timing of a worker.

    `visibility_seconds` is greater than `lease_seconds`, so that a dead worker's lease has ended when another worker
    receives the message of the job.
    """

    heartbeat_seconds: float
    lease_seconds: float
    visibility_seconds: int
    poll_seconds: int = 10
    """How long a poll waits for a message. A poll cannot be interrupted, so a worker waits for its end before stopping.

    Shorter polls would cost more requests.
    """
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
        """How long a worker that was asked to stop waits for its last poll: not forever, because a queue may hang."""
        return self.poll_seconds + 3.0

    def pause_after(self, receives: int) -> float:
        """Return how many seconds a job waits after a failed attempt. Its message was received `receives` times.

        Later pauses are longer, since an outage may last for minutes.
        """
        return float(self.retry_seconds * _LONGER ** (receives - 1))

    def say_ready(self) -> None:
        """Write the ready file, to show that this worker polls its queue. The file's time is that of the last poll."""
        if self.ready_file:
            Path(self.ready_file).write_text(str(os.getpid()))
