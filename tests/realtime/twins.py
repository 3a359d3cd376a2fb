"""Gives AsyncPublisher the interface of Publisher, so that the same tests run with both."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from realtime.publish import AsyncPublisher, Pace, Publisher
from realtime.publish.pacing import Pacer
from realtime.publish.progress_task import ProgressTask
from realtime.publish.progress_thread import ProgressThread

PATIENCE_SECONDS = 60.0
PATIENT = Pace(patience_seconds=PATIENCE_SECONDS, overdue_seconds=PATIENCE_SECONDS)
"""With this pace, a publisher waits for a late answer, and its breaker stays closed: the machine may be busy."""
NEVER_DUE = replace(PATIENT, interval_seconds=3600.0)
"""With this pace, only `close` sends waiting progress."""


class InLoop:
    """An AsyncPublisher in the event loop of its own thread. Its methods block like those of Publisher."""

    def __init__(self, make: Callable[[], AsyncPublisher]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.twin = make()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.twin, name)
        return lambda *args, **fields: self.run(method(*args, **fields))

    @property
    def dropped(self) -> Counter[str]:
        return self.twin.dropped

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def end(self) -> None:
        self.run(self.twin.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


Twin = Any
"""A Publisher, or an AsyncPublisher in an `InLoop`, whose methods are called without `await`."""
MakeTwin = Callable[..., Twin]


@contextmanager
def twins(kind: str, redis: Redis) -> Iterator[MakeTwin]:
    """Yield a function that makes publishers of this kind for a Redis. The publishers are closed at the end."""
    options = redis.connection_pool.connection_kwargs
    url = f"redis://{options['host']}:{options['port']}/{options.get('db', 0)}"
    made: list[Publisher | InLoop] = []

    def make(
        pace: Pace = PATIENT,
        *,
        url: str = url,
        socket_timeout: float | None = PATIENCE_SECONDS,  # the library's default is 5 s
    ) -> Twin:
        if kind == "sync":
            made.append(Publisher(Redis.from_url(url, socket_timeout=socket_timeout), pace=pace))
        else:
            made.append(
                InLoop(lambda: AsyncPublisher(AsyncRedis.from_url(url, socket_timeout=socket_timeout), pace=pace))
            )
        return made[-1]

    try:
        yield make
    finally:
        for publisher in made:
            publisher.close() if isinstance(publisher, Publisher) else publisher.end()


def pacer_of(publisher: Twin) -> Pacer:
    return _progress_of(publisher)._pacer


def _progress_of(publisher: Twin) -> ProgressThread | ProgressTask:
    own: Publisher | AsyncPublisher = publisher.twin if isinstance(publisher, InLoop) else publisher
    return own._progress


@dataclass
class Clock:
    """A clock that only moves when a test sets it."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def clock_of(publisher: Twin) -> Clock:
    """Replace the clock of a publisher that has not published anything yet, and return the new clock."""
    clock = _progress_of(publisher)._clock = Clock()
    return clock
