"""Limits what a slow or unreachable Redis may cost: a budget of waiting time, and a circuit breaker.

These classes do no I/O and read no clock: the caller passes the time and reports each result. At most one request is
under way at a time.
"""

import math


class Patience:
    """The time that calls may still wait for answers. Slow answers use it up; a quick answer restores all of it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.left = seconds

    def spend(self, seconds: float) -> None:
        """Subtract this time from `left`."""
        self.left = max(0.0, self.left - seconds)

    def answered(self, seconds: float) -> None:
        """Restore the whole budget if Redis answered quickly, that is, within a tenth of the budget."""
        if seconds <= self._seconds / 10:
            self.left = self._seconds


class Breaker:
    """A circuit breaker. While it is closed, requests are sent. While it is open, only probes are sent.

    It opens at an error, and when an answer takes longer than `overdue_seconds`. It closes when an answer arrives in
    time. The pause between probes doubles each time, up to `longest_probe_seconds`. The pause is reset to its first
    length when a request succeeds while the breaker is closed.
    """

    def __init__(self, *, overdue_seconds: float, first_probe_seconds: float, longest_probe_seconds: float) -> None:
        self._overdue = overdue_seconds
        self._first, self._longest = first_probe_seconds, longest_probe_seconds
        self._pause = first_probe_seconds
        self._sent_at = math.inf
        self.open = False
        self.probe_at = math.inf
        """When to send the next probe; infinity while the breaker is closed or something is under way."""

    def sent(self, now: float) -> None:
        """Record that a request or a probe was sent to Redis."""
        self._sent_at = now
        self.probe_at = math.inf

    def overdue(self, now: float) -> bool:
        """Return whether the request that is under way takes too long. If so, open the breaker."""
        if now - self._sent_at > self._overdue:
            self.open = True
            return True
        return False

    def answered(self, now: float) -> None:
        """Record an answer of Redis. A late answer counts as a failure."""
        if self.overdue(now):
            self.failed(now)
            return
        if not self.open:
            self._pause = self._first
        self.open = False
        self._sent_at = math.inf

    def failed(self, now: float) -> None:
        """Record that Redis could not be reached, or refused the request."""
        self.open = True
        self._sent_at = math.inf
        self.probe_at = now + self._pause
        self._pause = min(2 * self._pause, self._longest)
