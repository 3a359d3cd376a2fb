"""How slowly a request body may come."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """A body may be silent for `grace_seconds`, and has to bring `bytes_per_second` on average.

    It is waited for no longer than `total_seconds` in all, so a large one has to bring more than a small one.
    """

    grace_seconds: float = 20.0
    bytes_per_second: float = 2_000.0
    total_seconds: float = 6 * 3600.0


class Pace:
    """The patience that is left with one body.

    Waiting uses it up, and bytes give it back, up to the grace time: what came fast at first buys no silence later.
    """

    def __init__(self, limits: PaceLimits) -> None:
        self._limits = limits
        self._bytes_per_second = limits.bytes_per_second
        self._patience, self._total = limits.grace_seconds, limits.total_seconds

    def expect(self, size: int) -> None:
        """Expect up to `size` bytes. Their least pace is the one that brings them within the total time."""
        self._bytes_per_second = max(self._limits.bytes_per_second, size / self._limits.total_seconds)

    @property
    def seconds_left(self) -> float:
        return min(self._patience, self._total)

    def waited(self, seconds: float, received: int) -> None:
        """Count a wait for bytes, and the bytes that came."""
        gained = received / self._bytes_per_second
        self._patience = min(self._limits.grace_seconds, self._patience - seconds + gained)
        self._total -= seconds
