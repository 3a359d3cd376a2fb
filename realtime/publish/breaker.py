"""What a Redis that is slow or away may cost: a wait that is used up once, and a circuit that opens.

Pure rules: they are told what time it is, and what became of what was sent. One thing is under way at a time.
"""

import math


class Patience:
    """How long calls may still wait for an answer. Slow answers use it up; a quick one gives all of it back."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.left = seconds

    def spend(self, seconds: float) -> None:
        self.left = max(0.0, self.left - seconds)

    def answered(self, seconds: float) -> None:
        """Redis answered after so many seconds. Quick: a tenth of what a call would wait at the most."""
        if seconds <= self._seconds / 10:
            self.left = self._seconds


class Breaker:
    """Closed: what comes is sent. Open: it is not, and Redis is asked now and then whether it answers again.

    It opens with an error, and when an answer takes longer than `overdue_seconds`; it closes with an answer in time.
    Questions come at longer and longer intervals, until something was sent with success while it was closed.
    """

    def __init__(self, *, overdue_seconds: float, first_probe_seconds: float, longest_probe_seconds: float) -> None:
        self._overdue = overdue_seconds
        self._first, self._longest = first_probe_seconds, longest_probe_seconds
        self._rest = first_probe_seconds
        self._sent_at = math.inf
        self.open = False
        self.probe_at = math.inf
        """When to ask Redis next; infinity while it is closed, or something is under way."""

    def sent(self, now: float) -> None:
        """Something, or a probe, is on its way to Redis."""
        self._sent_at = now
        self.probe_at = math.inf

    def overdue(self, now: float) -> bool:
        """True if what is under way takes too long: the circuit is open then, and its answer comes too late."""
        if now - self._sent_at > self._overdue:
            self.open = True
            return True
        return False

    def answered(self, now: float) -> None:
        """Redis answered. Too late is as good as not at all."""
        if self.overdue(now):
            self.failed(now)
            return
        if not self.open:
            self._rest = self._first
        self.open = False
        self._sent_at = math.inf

    def failed(self, now: float) -> None:
        """Redis could not be reached, or refused."""
        self.open = True
        self._sent_at = math.inf
        self.probe_at = now + self._rest
        self._rest = min(2 * self._rest, self._longest)
