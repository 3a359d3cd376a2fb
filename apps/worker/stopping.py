"""That a worker was asked to end, and how long what it runs may still take."""

import math
import threading
import time


class WorkerStopsError(Exception):
    """Raised in a handler whose job cannot end in time: the job goes back, and this was no failed try of it."""


class Stopping:
    """One for each process. `drain_seconds` is how long running jobs may go on once the end was asked for.

    `asked` is set from then on, and `polls_ended` once this process takes no more messages: what was given back before
    that, its own last poll could take, and keep from the others until its visibility is over.
    """

    def __init__(self, drain_seconds: float = math.inf) -> None:
        self.asked = threading.Event()
        self.polls_ended = threading.Event()
        self._drain_seconds = drain_seconds
        self._asked_at = self._until = math.inf

    def ask(self) -> None:
        """To be called once or more often, from a signal handler too."""
        if not self.asked.is_set():
            self._asked_at = time.monotonic()
            self._until = self._asked_at + self._drain_seconds
            self.asked.set()

    def leaves_time_for(self, seconds: float) -> bool:
        """Whether work that needs so long may go on."""
        return time.monotonic() + seconds <= self._until

    def wait_for_polls(self, longest: float) -> None:
        """Returns when `polls_ended`, or `longest` seconds after the end was asked for: a queue may hang."""
        self.polls_ended.wait(max(0.0, self._asked_at + longest - time.monotonic()))

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._until - time.monotonic())
