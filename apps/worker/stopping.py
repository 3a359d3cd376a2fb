"""The state of a worker that was asked to stop: how long its running jobs may still take."""

import math
import threading
import time


class WorkerStopsError(Exception):
    """The job cannot end in time, because its worker stops. The job is given back, which is not a failed attempt."""


class Stopping:
    """Records whether this process was asked to stop. After `ask`, running jobs may continue for `drain_seconds`.

    `asked` is set when the process is asked to stop, and `polls_ended` when it receives no more messages. Jobs are
    given back after `polls_ended`: otherwise the last poll could receive their messages and hide them from other
    workers.
    """

    def __init__(self, drain_seconds: float = math.inf) -> None:
        self.asked = threading.Event()
        self.polls_ended = threading.Event()
        self._drain_seconds = drain_seconds
        self._asked_at = self._until = math.inf

    def ask(self) -> None:
        """Ask the process to stop. This may be called several times."""
        if not self.asked.is_set():
            self._asked_at = time.monotonic()
            self._until = self._asked_at + self._drain_seconds
            self.asked.set()

    def leaves_time_for(self, seconds: float) -> bool:
        """Return whether work that needs this many more seconds can end within the drain time. True before `ask`."""
        return time.monotonic() + seconds <= self._until

    def wait_for_polls(self, longest: float) -> None:
        """Wait for `polls_ended`, but only until `longest` seconds after `ask`, because a queue may hang."""
        self.polls_ended.wait(max(0.0, self._asked_at + longest - time.monotonic()))

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._until - time.monotonic())
