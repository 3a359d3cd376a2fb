"""Decides which progress is sent, which waits and which is dropped, for `Publisher` and `AsyncPublisher`.

A `Pacer` has no clock, no lock and no connection to Redis. Callers pass it updates (`offer`). One sender, a thread
or a task, takes the updates that are due (`take`), sends them, and reports the result. There is only one sender, so
updates keep their order.
"""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import structlog

from realtime.publish.breaker import Breaker, Patience
from realtime.publish.throttle import Throttle, TopicKey, Update
from realtime.records.record import Draft, Progress, draft_record
from realtime.records.scripts import Published
from realtime.records.transitions import Status
from realtime.redis.refused_writes import refusal

log = structlog.get_logger(__name__)

UNREACHABLE = "unreachable"
"""The update was under way when Redis failed. It may have arrived."""
REFUSED = "refused"
"""Redis refuses writes, for example at its memory limit."""
CIRCUIT_OPEN = "circuit_open"
"""The update was not sent, because earlier requests to Redis had failed."""
NO_THREAD = "no_thread"
"""The update was not sent, because the process is ending and can start no thread."""

IDLE_SECONDS = 10.0
"""A sender that has nothing to do for this long ends. The next update starts another."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often progress is sent, and how long sending it may delay a job."""

    interval_seconds: float = 0.2
    """The shortest time between two updates of one topic."""
    patience_seconds: float = 0.1
    """How long all calls together wait for a Redis that is slow or does not answer. A quick answer resets this time."""
    overdue_seconds: float = 1.0
    """Redis counts as unreachable if an answer takes longer."""
    first_probe_seconds: float = 0.5
    longest_probe_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Sending:
    """An update that is being sent. The result of `answer` is None if sending failed."""

    update: Update
    answer: "Future[Published | None]" = field(default_factory=Future)

    @property
    def addressed(self) -> tuple[int, Draft]:
        """The tenant and the record, as `publish_many` takes them."""
        return self.update.tenant_id, self.update.draft


def progress_update(
    tenant_id: int, topic: str, attempt: int, progress: Progress, *, data: Mapping[str, Any] | None, milestone: bool
) -> Update:
    """Check and encode progress, and return it as an update.

    Raise BadTopicError or BadRecordError if the topic or the progress is not valid.
    """
    draft = draft_record(
        topic=topic,
        attempt=attempt,
        status=Status.PROCESSING,
        published_at=time.time(),
        progress=progress,
        data=data,
    )
    return Update(tenant_id, draft, progress.step, milestone)


class Pacer:
    """Paces the progress that one process sends to one Redis."""

    def __init__(self, pace: Pace) -> None:
        self._throttle = Throttle(pace.interval_seconds)
        self._patience = Patience(pace.patience_seconds)
        self._breaker = Breaker(
            overdue_seconds=pace.overdue_seconds,
            first_probe_seconds=pace.first_probe_seconds,
            longest_probe_seconds=pace.longest_probe_seconds,
        )
        self._awaited: list[Sending] = []
        self._unawaited: dict[TopicKey, Sending] = {}  # no call waits for these: the newest of each topic
        self._sent_at = self._opened_at = 0.0
        self._dropped_before = 0
        self.dropped: Counter[str] = Counter()
        """The number of dropped updates, by reason. An update that a newer one replaced does not count."""

    @property
    def patience_seconds(self) -> float:
        """How long the next call may wait for Redis' answer: what is left of `Pace.patience_seconds`."""
        return self._patience.left

    def offer(self, update: Update, now: float) -> Sending | None:
        """Accept or drop an update. Return a `Sending` if the caller should wait for Redis' answer, else None.

        The caller should wait at most `patience_seconds`.
        """
        if not self._breaker.open and self._breaker.overdue(now):
            self._opened(now, "Redis does not answer.")
        if self._breaker.open:
            self.dropped[CIRCUIT_OPEN] += 1
            return None
        if not self._throttle.offer(update, now):
            return None
        sending = Sending(update)
        self._unawaited.pop(update.key, None)
        if self.patience_seconds > 0:
            self._awaited.append(sending)
            return sending
        self._unawaited[update.key] = sending
        return None

    def waited(self, seconds: float) -> None:
        """Record that a call has waited this long for Redis' answer. Infinity means that the call gave up."""
        self._patience.spend(seconds)

    def discard_superseded(self, tenant_id: int, draft: Draft) -> None:
        """Discard waiting progress that this status supersedes. The caller is about to publish the status."""
        self._throttle.discard_superseded((tenant_id, draft.topic), draft.attempt, terminal=draft.status.terminal)

    def flush(self) -> None:
        """Make all waiting updates due, so that the next `take` returns them."""
        for update in self._throttle.clear():
            self._unawaited[update.key] = Sending(update)

    @property
    def next_at(self) -> float:
        """When the sender has something to do next; infinity if it has nothing to do."""
        if self._breaker.open:
            return self._breaker.probe_at
        return -math.inf if self._awaited or self._unawaited else self._throttle.next_at

    def take(self, now: float) -> list[Sending]:
        """Return the updates to send now, in order.

        If there are none although `next_at` is due, the caller has to probe whether Redis answers again.
        """
        if self._breaker.open:
            return []
        leaving = [*self._awaited, *self._unawaited.values(), *map(Sending, self._throttle.due(now))]
        self._awaited, self._unawaited = [], {}
        if leaving:
            self.sent(now)
        return leaving

    def sent(self, now: float) -> None:
        """Record that a batch or a probe was sent. `answered` or `failed` has to follow."""
        self._sent_at = now
        self._breaker.sent(now)

    def answered(self, now: float) -> None:
        """Record that Redis has answered."""
        was_open = self._breaker.open
        self._patience.answered(now - self._sent_at)
        self._breaker.answered(now)
        if self._breaker.open and not was_open:
            self._opened(now, "Redis answers too slowly.")
        elif was_open and not self._breaker.open:
            dropped = self.dropped.total() - self._dropped_before
            log.info("progress_circuit_closed", dropped=dropped, seconds=round(now - self._opened_at, 3))

    def failed(self, now: float, problem: BaseException, batch: Sequence[Sending] = ()) -> None:
        """Record that sending failed. `batch` contains the updates that may not have arrived."""
        was_open = self._breaker.open
        self._breaker.failed(now)
        if not was_open:
            self._opened(now, str(problem) or type(problem).__name__)
        self.dropped[REFUSED if refusal(problem) else UNREACHABLE] += len(batch)

    def drop_all(self, reason: str) -> None:
        """Drop all waiting updates, and count them under this reason."""
        lost = [*self._awaited, *self._unawaited.values()]
        self.dropped[reason] += len(lost) + len(self._throttle.clear())
        self._awaited, self._unawaited = [], {}
        for sending in lost:
            sending.answer.set_result(None)

    def _opened(self, now: float, problem: str) -> None:
        self._opened_at, self._dropped_before = now, self.dropped.total()
        log.warning("progress_circuit_opened", error=problem)
        self.drop_all(CIRCUIT_OPEN)
