"""Both publishers behind one face, so that one suite holds for both."""

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

PATIENCE_SECONDS = 30.0
PATIENT = Pace(patience_seconds=PATIENCE_SECONDS, overdue_seconds=PATIENCE_SECONDS)
"""For a busy machine: a test that reads an answer waits for it, and one that comes late does not open the circuit."""
NEVER_DUE = replace(PATIENT, interval_seconds=3600.0)
"""What waits leaves with `close` only."""


class InLoop:
    """An AsyncPublisher in the loop of a thread of its own; its methods block as the twin's do."""

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
"""A Publisher, or an AsyncPublisher that looks like one."""
MakeTwin = Callable[..., Twin]


@contextmanager
def twins(kind: str, redis: Redis) -> Iterator[MakeTwin]:
    """Makes publishers to that Redis, with the pace given; they are closed in the end."""
    options = redis.connection_pool.connection_kwargs
    url = f"redis://{options['host']}:{options['port']}/{options.get('db', 0)}"
    made: list[Publisher | InLoop] = []

    def make(
        pace: Pace = PATIENT,
        *,
        url: str = url,
        socket_timeout: float | None = PATIENCE_SECONDS,  # the library's is 5 s
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
    """Time that passes when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def clock_of(publisher: Twin) -> Clock:
    """From here on the clock that a publisher which has not said anything yet goes by."""
    clock = _progress_of(publisher)._clock = Clock()
    return clock
