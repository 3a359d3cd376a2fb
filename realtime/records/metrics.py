"""What this process counts. Counting stands in the hottest paths, so it is plain addition; `exposition.py` names it."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate

from redis.exceptions import ResponseError

from realtime.records.scripts import Published
from realtime.redis.refused_writes import refusal

LATENCY_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)


class Histogram:
    """How many observations fell below each bound, and their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[int]:
        """Of each bound, how many were at or below it; then how many there were."""
        return list(accumulate(self._counts))


class Counts:
    """Counters since the process began; of `connections`, how many there are now."""

    def __init__(self) -> None:
        self.delivered = 0
        self.conflated = 0
        self.published: Counter[str] = Counter()
        self.connections: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.reads: Counter[str] = Counter()
        self.sql: Counter[str] = Counter()
        self.refused_writes: Counter[str] = Counter()
        self.isolated: Counter[str] = Counter()


counts = Counts()
LATENCY = Histogram(LATENCY_SECONDS)


@contextmanager
def counting_refusals() -> Iterator[None]:
    """Counts, by its code, a write that Redis refuses within this block, and raises what it raised."""
    try:
        yield
    except ResponseError as problem:
        count_refused(problem)
        raise


def count_refused(problem: ResponseError) -> None:
    """Counts an error of Redis by its code, if it is the refusal of a write."""
    if (code := refusal(problem)) is not None:
        counts.refused_writes[code] += 1


def count_published(answers: Iterable[Published]) -> list[Published]:
    """The answers of Redis to publishes, counted by their verdict."""
    counted = list(answers)
    for answer in counted:
        counts.published[answer.verdict] += 1
    return counted
