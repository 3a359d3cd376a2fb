"""How slowly a request body may come."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """A body may be silent for `grace_seconds`, and has to bring `bytes_per_second` on average."""

    grace_seconds: float = 20.0
    bytes_per_second: float = 2_000.0


class Pace:
    """The patience that is left with one body.

    Waiting uses it up, and bytes give it back, up to the grace time: what came fast at first buys no silence later.
    """

    def __init__(self, limits: PaceLimits) -> None:
        self._limits = limits
        self.seconds_left = limits.grace_seconds

    def waited(self, seconds: float, received: int) -> None:
        """Count a wait for bytes, and the bytes that came."""
        gained = received / self._limits.bytes_per_second
        self.seconds_left = min(self._limits.grace_seconds, self.seconds_left - seconds + gained)
