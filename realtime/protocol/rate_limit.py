"""A token bucket: limits how often something may happen."""

import time


class TokenBucket:
    """Allows `rate` events a second on average, and up to `burst` events at once."""

    __slots__ = ("_burst", "_rate", "_tokens", "_updated")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens = float(burst)
        self._updated = time.monotonic()

    def take(self, number: int = 1) -> bool:
        """Take this number of tokens, and return True. If fewer are left, take none and return False."""
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
        if self._tokens < number:
            return False
        self._tokens -= number
        return True

    def seconds_until(self, number: int = 1) -> float:
        """Return the seconds from the last `take` until this number of tokens is available."""
        return max(0.0, number - self._tokens) / self._rate
