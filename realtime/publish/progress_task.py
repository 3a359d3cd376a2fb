"""The task that sends progress for `AsyncPublisher`. `progress_thread.py` does the same in a thread."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import TypeVar

from realtime.publish.pacing import IDLE_SECONDS, Pace, Pacer, Sending
from realtime.publish.throttle import Update
from realtime.records.record import Draft
from realtime.records.scripts import Published

Answer = TypeVar("Answer")


class ProgressTask:
    """Sends updates with `publish_many`, and finds out with `probe` whether Redis accepts them.

    An instance belongs to one event loop. An exception of `publish_many` or `probe` opens the breaker.
    """

    def __init__(
        self,
        publish_many: Callable[[Sequence[tuple[int, Draft]]], Awaitable[list[Published]]],
        probe: Callable[[], Awaitable[object]],
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish_many = publish_many
        self._probe_redis = probe
        self._pace = pace
        self._clock = clock
        self._pacer = Pacer(pace)
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    @property
    def dropped(self) -> Counter[str]:
        return self._pacer.dropped

    async def send(self, update: Update) -> Published | None:
        """Send an update. Return Redis' answer, or None if the update waits, was dropped, or was answered too late."""
        sending = self._pacer.offer(update, self._clock())
        patience = self._pacer.patience_seconds
        self._wake()
        return await self._wait(sending, patience) if sending is not None else None

    def discard_superseded(self, tenant_id: int, draft: Draft) -> None:
        """Discard the waiting progress that `draft` supersedes."""
        self._pacer.discard_superseded(tenant_id, draft)

    async def close(self) -> None:
        """Let the task send the waiting updates and end. The object may be used again afterwards.

        If the task has not ended after `Pace.patience_seconds`, cancel it. Updates that it has not sent are dropped.
        """
        self._pacer.flush()
        task, self._task = self._task, None
        if task is None:
            return
        self._changed.set()
        await asyncio.wait([task], timeout=self._pace.patience_seconds)
        task.cancel()
        await asyncio.wait([task])

    async def _wait(self, sending: Sending, patience: float) -> Published | None:
        started = self._clock()
        answer = asyncio.wrap_future(sending.answer)
        done, _ = await asyncio.wait([answer], timeout=patience)
        self._pacer.waited(self._clock() - started if done else math.inf)
        return answer.result() if done else None

    def _wake(self) -> None:
        if self._pacer.next_at == math.inf:
            return
        self._changed.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="realtime-progress")

    async def _run(self) -> None:
        idle = False
        while True:
            now = self._clock()
            if batch := self._pacer.take(now):
                await self._send(batch)
            elif self._pacer.next_at <= now:
                await self._probe(now)
            elif self._task is not asyncio.current_task():
                return
            elif idle and self._pacer.next_at == math.inf:
                self._task = None
                return
            else:
                idle = not await self._sleep(min(self._pacer.next_at - now, IDLE_SECONDS))

    async def _sleep(self, seconds: float) -> bool:
        """Wait until an update is offered or the task has to end. Return False if neither happens within `seconds`."""
        self._changed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
        return self._changed.is_set()

    async def _send(self, batch: list[Sending]) -> None:
        answers = await self._ask(self._publish_many([sending.addressed for sending in batch]), batch)
        for sending, answer in zip_longest(batch, answers or ()):
            sending.answer.set_result(answer)

    async def _probe(self, now: float) -> None:
        self._pacer.sent(now)
        await self._ask(self._probe_redis())

    async def _ask(self, question: Awaitable[Answer], batch: Sequence[Sending] = ()) -> Answer | None:
        try:
            answer = await question
        except BaseException as problem:  # progress must not fail a job, so only a cancellation is raised again
            self._pacer.failed(self._clock(), problem, batch)
            if isinstance(problem, Exception):
                return None
            raise
        self._pacer.answered(self._clock())
        return answer
