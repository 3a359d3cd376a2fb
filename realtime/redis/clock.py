"""The clock by which this process compares times with other processes: that of Redis, which all of them share.

Clocks of hosts differ, and jump when somebody sets them. The times of tickets, tokens and marks of revocation come from
one process and are judged by another, so all of them take these from one clock. A process asks Redis once a second and
counts on in between with its monotonic clock, which never jumps.
"""

import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

STEP_SECONDS = 1.0
"""A difference up to here is followed at once: clocks drift apart."""
MOST_SECONDS = 2.0**40
"""No time that is meant lies later; NaN and infinity are no times either."""
DOUBT_SECONDS = 10.0
"""A larger difference has to last for so long: a clock that is wrong for a moment misleads nobody."""


class RedisClock:
    """Threads may share it. Until Redis was heard it is the clock of this host."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._ahead = wall() - monotonic()
        """Of the monotonic clock."""
        self._heard = False
        self._doubted: float | None = None
        self._doubted_since = 0.0

    def now(self) -> float:
        """Return Unix seconds."""
        return self._monotonic() + self._ahead

    def hear(self, redis_time: float, asked_at: float) -> None:
        """Take in the time that Redis answered, in Unix seconds; `asked_at` is by the monotonic clock.

        Redis looked at its clock after it was asked and before it was heard. While this clock agrees with that, it
        stays as it is, so it does not waver with the time that answers take.
        """
        with self._lock:
            now = self._monotonic()
            ahead = min(max(self._ahead, redis_time - now), redis_time - asked_at)
            if not self._heard or abs(ahead - self._ahead) <= STEP_SECONDS:
                self._follow(ahead)
            elif self._doubted is None or abs(ahead - self._doubted) > STEP_SECONDS:
                self._doubted, self._doubted_since = ahead, now
            elif now - self._doubted_since >= DOUBT_SECONDS:
                log.warning("clock_of_redis_set", by_seconds=round(ahead - self._ahead, 3))
                self._follow(ahead)

    def hear_answer(self, answer: tuple[int, int], asked_at: float) -> None:
        """`hear` the answer to `TIME`: seconds and microseconds."""
        seconds, microseconds = answer
        self.hear(seconds + microseconds / 1_000_000, asked_at)

    @property
    def heard(self) -> bool:
        """Whether Redis was ever heard."""
        return self._heard

    def _follow(self, ahead: float) -> None:
        self._ahead, self._heard, self._doubted = ahead, True, None


def is_time(value: object) -> bool:
    """Whether a claim of a token is a time that can be compared: a finite number of seconds (RFC 7519, NumericDate)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MOST_SECONDS


clock = RedisClock()
"""The process's own."""
