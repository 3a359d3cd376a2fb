"""The clock that all processes share: the clock of Redis.

The clocks of hosts differ, and jump when somebody sets them. The times in tickets, tokens and revocation marks are
written by one process and compared by another, so all processes take them from one clock. Each process asks Redis for
the time once a second. Between two answers it uses its monotonic clock, which never jumps.
"""

import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

STEP_SECONDS = 1.0
"""A difference from Redis' clock of up to this size is drift, and is corrected at once."""
MOST_SECONDS = 2.0**40
"""Every time in a token is below this, in Unix seconds. A later time, NaN and infinity are mistakes."""
DOUBT_SECONDS = 10.0
"""A difference above STEP_SECONDS is corrected after it has lasted this long: Redis' clock may be wrong briefly."""


class RedisClock:
    """Shows the time of Redis or, until Redis has answered once, the time of this host. Threads may share it."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._ahead = wall() - monotonic()
        """Seconds to add to the monotonic clock to get Unix seconds."""
        self._synchronized = False
        self._doubted: float | None = None
        self._doubted_since = 0.0

    def now(self) -> float:
        """Return the time in Unix seconds."""
        return self._monotonic() + self._ahead

    def synchronize(self, redis_time: float, asked_at: float) -> None:
        """Adjust this clock to the time that Redis answered.

        `redis_time` is in Unix seconds; `asked_at` is the monotonic time at which the command TIME was sent. Redis
        read its clock at some moment between `asked_at` and now. If this clock showed `redis_time` within that
        period, it is not changed: slow and fast answers must not make it jitter. Otherwise a difference of up to
        STEP_SECONDS is corrected at once, and a larger one only after DOUBT_SECONDS. The first answer of Redis is
        always taken over at once.
        """
        with self._lock:
            now = self._monotonic()
            ahead = min(max(self._ahead, redis_time - now), redis_time - asked_at)
            if not self._synchronized or abs(ahead - self._ahead) <= STEP_SECONDS:
                self._follow(ahead)
            elif self._doubted is None or abs(ahead - self._doubted) > STEP_SECONDS:
                self._doubted, self._doubted_since = ahead, now
            elif now - self._doubted_since >= DOUBT_SECONDS:
                log.warning("clock_of_redis_set", by_seconds=round(ahead - self._ahead, 3))
                self._follow(ahead)

    def synchronize_with_answer(self, answer: tuple[int, int], asked_at: float) -> None:
        """Call `synchronize` with the answer to the command TIME."""
        self.synchronize(seconds_of(answer), asked_at)

    @property
    def synchronized(self) -> bool:
        """Whether this clock was ever set to the time of Redis."""
        return self._synchronized

    def _follow(self, ahead: float) -> None:
        self._ahead, self._synchronized, self._doubted = ahead, True, None


def seconds_of(answer: tuple[int, int]) -> float:
    """Convert an answer to the command TIME (seconds, microseconds) to Unix seconds."""
    seconds, microseconds = answer
    return seconds + microseconds / 1_000_000


def is_time(value: object) -> bool:
    """Return whether the value of a token's claim is a time: a finite number of seconds (RFC 7519, NumericDate)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MOST_SECONDS


clock = RedisClock()
"""The clock of this process."""
