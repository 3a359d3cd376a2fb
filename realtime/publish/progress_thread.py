"""The thread that sends progress for `Publisher`. It runs while there is progress to send."""

import math
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from typing import TypeVar
from weakref import WeakSet

from realtime.publish.pacing import IDLE_SECONDS, NO_THREAD, Pace, Pacer, Sending
from realtime.publish.throttle import Update
from realtime.records.record import Draft
from realtime.records.scripts import Published

Answer = TypeVar("Answer")
Work = Callable[[], None]


class ProgressThread:
    """Sends updates with `publish_many`, and finds out with `probe` whether Redis accepts them.

    Threads may share an instance. An exception of `publish_many` or `probe` opens the breaker. In a forked child an
    instance starts without updates.
    """

    def __init__(
        self,
        publish_many: Callable[[Sequence[tuple[int, Draft]]], list[Published]],
        probe: Callable[[], object],
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish_many = publish_many
        self._probe_redis = probe
        self._pace = pace
        self._clock = clock
        self.reset()
        _all.add(self)

    def reset(self) -> None:
        """Forget all updates and make a new lock. A forked child has no thread, and may inherit a lock that is held."""
        self._changed = threading.Condition()
        self._pacer = Pacer(self._pace)
        self._forget_thread()

    @property
    def dropped(self) -> Counter[str]:
        return self._pacer.dropped

    def send(self, update: Update) -> Published | None:
        """Send an update. Return Redis' answer, or None if the update waits, was dropped, or was answered too late."""
        with self._changed:
            sending = self._pacer.offer(update, self._clock())
            patience = self._pacer.patience_seconds
            self._wake()
        return self._wait(sending, patience) if sending is not None else None

    def discard_superseded(self, tenant_id: int, draft: Draft) -> None:
        """Discard waiting progress that this status supersedes."""
        with self._changed:
            self._pacer.discard_superseded(tenant_id, draft)

    def close(self) -> None:
        """Let the thread send the waiting updates and end. The object may be used again afterwards.

        Wait at most `Pace.patience_seconds` for the end of the thread. A thread that takes longer goes on by itself.
        """
        with self._changed:
            self._pacer.flush()
            thread = self._thread
            self._forget_thread()
            self._changed.notify_all()
        if thread is not None:
            thread.join(self._pace.patience_seconds)

    def _wait(self, sending: Sending, patience: float) -> Published | None:
        started = self._clock()
        try:
            answer = sending.answer.result(patience)
            seconds = self._clock() - started
        except TimeoutError:
            answer, seconds = None, math.inf  # the update is still under way
        with self._changed:
            self._pacer.waited(seconds)
        return answer

    def _forget_thread(self) -> None:
        """Forget the thread. If it still runs, it ends when it has nothing more to do."""
        self._thread: threading.Thread | None = None
        self._wakes_at = math.inf

    def _wake(self) -> None:
        """Wake the thread, or start one, if something has to be done before the thread would wake by itself.

        If no thread can be started, drop all waiting updates.
        """
        if self._pacer.next_at >= self._wakes_at:
            return
        if self._thread is not None:
            self._changed.notify_all()
            return
        thread = threading.Thread(target=self._run, name="realtime-progress", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._pacer.drop_all(NO_THREAD)
        else:
            self._thread = thread
            self._wakes_at = -math.inf

    def _run(self) -> None:
        while (work := self._next_work()) is not None:
            work()

    def _next_work(self) -> Work | None:
        """Wait until something has to be done. Return the function that does it, or None if the thread has to end."""
        with self._changed:
            idle = False
            while True:
                now = self._clock()
                if batch := self._pacer.take(now):
                    return partial(self._send, batch)
                if self._pacer.next_at <= now:
                    self._pacer.sent(now)
                    return self._probe
                if self._thread is not threading.current_thread():
                    return None
                if idle and self._pacer.next_at == math.inf:
                    self._forget_thread()
                    return None
                idle = not self._sleep(now)

    def _sleep(self, now: float) -> bool:
        """Sleep until there is something to do, for at most `IDLE_SECONDS`. Return whether the thread was woken."""
        self._wakes_at = self._pacer.next_at
        woken = self._changed.wait(min(self._wakes_at - now, IDLE_SECONDS))
        if self._thread is threading.current_thread():
            self._wakes_at = -math.inf  # the thread is awake, and looks for work before it sleeps again
        return woken

    def _send(self, batch: list[Sending]) -> None:
        answers = self._ask(partial(self._publish_many, [sending.addressed for sending in batch]), batch)
        for sending, answer in zip_longest(batch, answers or ()):
            sending.answer.set_result(answer)

    def _probe(self) -> None:
        self._ask(self._probe_redis)

    def _ask(self, question: Callable[[], Answer], batch: Sequence[Sending] = ()) -> Answer | None:
        try:
            answer = question()
        except Exception as problem:  # noqa: BLE001 - no job fails because of progress
            with self._changed:
                self._pacer.failed(self._clock(), problem, batch)
            return None
        with self._changed:
            self._pacer.answered(self._clock())
        return answer


_all: "WeakSet[ProgressThread]" = WeakSet()


def _reset_in_child() -> None:
    for thread in list(_all):
        thread.reset()


os.register_at_fork(after_in_child=_reset_in_child)
