"""The counters of this process. Counting is a plain addition, because it happens in the hottest paths.

`operate/exposition.py` gives each counter its public name.
"""

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
    """Counts observations by the bounds between which their values lie, and adds up all values."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[int]:
        """Return the number of observations at or below each bound, and at the end their total number."""
        return list(accumulate(self._counts))


class Counts:
    """Counters since the process started, except `connections`: the number of connections that are open now."""

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
    """If Redis refuses a write within the block, count the refusal by its error code. Raise the error again."""
    try:
        yield
    except ResponseError as problem:
        count_refused(problem)
        raise


def count_refused(problem: ResponseError) -> None:
    """Count a refused write by the code of this error. Do nothing if the error is not the refusal of a write."""
    if (code := refusal(problem)) is not None:
        counts.refused_writes[code] += 1


def count_published(answers: Iterable[Published]) -> list[Published]:
    """Count Redis' answers to publishes by their verdict, and return them."""
    counted = list(answers)
    for answer in counted:
        counts.published[answer.verdict] += 1
    return counted
