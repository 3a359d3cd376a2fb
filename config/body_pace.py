"""Limits how slowly a request body may arrive."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """How slowly a body may arrive: at `bytes_per_second` on average, with no pause longer than `grace_seconds`.

    It must arrive within `total_seconds`, so a very large body must arrive faster.
    """

    grace_seconds: float = 20.0
    bytes_per_second: float = 2_000.0
    total_seconds: float = 6 * 3600.0


class Pace:
    """The remaining time for which the server waits for one body.

    Each wait reduces this time. Received bytes lengthen it, but only up to the grace time, so that a fast beginning
    does not allow a longer pause later.
    """

    def __init__(self, limits: PaceLimits) -> None:
        self._limits = limits
        self._bytes_per_second = limits.bytes_per_second
        self._patience, self._total = limits.grace_seconds, limits.total_seconds

    def expect(self, size: int) -> None:
        """Set the minimum pace, so that a body of `size` bytes arrives within the total time."""
        self._bytes_per_second = max(self._limits.bytes_per_second, size / self._limits.total_seconds)

    @property
    def seconds_left(self) -> float:
        return min(self._patience, self._total)

    def waited(self, seconds: float, received: int) -> None:
        """Count the seconds of a wait, and the bytes that were received at its end."""
        gained = received / self._bytes_per_second
        self._patience = min(self._limits.grace_seconds, self._patience - seconds + gained)
        self._total -= seconds
