"""Which progress leaves, which waits, and which is dropped: the rules that `Publisher` and `AsyncPublisher` share.

A `Pacer` knows no clock, no lock and no Redis. Its owner hands it what is said (`offer`), and one sender, a thread or a
task, takes out what leaves (`take`), sends it, and reports what became of it. One sender, so that nothing is overtaken.
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
"""It was under way when Redis failed; it may have arrived all the same."""
REFUSED = "refused"
"""Redis takes no writes: it is at its memory limit, or worse."""
CIRCUIT_OPEN = "circuit_open"
"""Redis was not asked, since it did not answer before."""
NO_THREAD = "no_thread"
"""The process is ending, and starts no thread any more."""

IDLE_SECONDS = 10.0
"""A sender that has nothing to do for so long ends; the next progress starts another."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much progress leaves, and what it may cost."""

    interval_seconds: float = 0.2
    """Between two updates of one topic."""
    patience_seconds: float = 0.1
    """How long calls wait for a Redis that is slow or away: altogether, not each."""
    overdue_seconds: float = 1.0
    """Redis counts as away when an answer takes longer."""
    first_probe_seconds: float = 0.5
    longest_probe_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Sending:
    """An update that leaves. `answer` is None in the end if Redis did not take it."""

    update: Update
    answer: "Future[Published | None]" = field(default_factory=Future)

    @property
    def addressed(self) -> tuple[int, Draft]:
        """Tenant and record, as `publish_many` takes them."""
        return self.update.tenant_id, self.update.draft


def progress_update(
    tenant_id: int, topic: str, attempt: int, progress: Progress, *, data: Mapping[str, Any] | None, milestone: bool
) -> Update:
    """Checks and encodes progress. Raises BadTopicError or BadRecordError."""
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
    """The progress of one process, on its way to one Redis."""

    def __init__(self, pace: Pace) -> None:
        self._throttle = Throttle(pace.interval_seconds)
        self._patience = Patience(pace.patience_seconds)
        self._breaker = Breaker(
            overdue_seconds=pace.overdue_seconds,
            first_probe_seconds=pace.first_probe_seconds,
            longest_probe_seconds=pace.longest_probe_seconds,
        )
        self._awaited: list[Sending] = []
        self._unawaited: dict[TopicKey, Sending] = {}  # Redis is slow: the newest of each topic is enough
        self._sent_at = self._opened_at = 0.0
        self._dropped_before = 0
        self.dropped: Counter[str] = Counter()
        """Updates that no Redis took, by reason. A throttled one was replaced by a newer one and is not among them."""

    @property
    def patience_seconds(self) -> float:
        """How long a call may still wait for its answer."""
        return self._patience.left

    def offer(self, update: Update, now: float) -> Sending | None:
        """What the call should wait for, at most `patience_seconds`; None if there is nothing to wait for."""
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
        """A call has waited so long for its answer; infinitely if it gave up."""
        self._patience.spend(seconds)

    def settle(self, tenant_id: int, draft: Draft) -> None:
        """A status is about to be published: progress that waits and would go back is discarded."""
        self._throttle.settle((tenant_id, draft.topic), draft.attempt, terminal=draft.status.terminal)

    def hurry(self) -> None:
        """What waits for its turn leaves with the next `take`."""
        for update in self._throttle.clear():
            self._unawaited[update.key] = Sending(update)

    @property
    def next_at(self) -> float:
        """When the sender has something to do; infinity if it has nothing."""
        if self._breaker.open:
            return self._breaker.probe_at
        return -math.inf if self._awaited or self._unawaited else self._throttle.next_at

    def take(self, now: float) -> list[Sending]:
        """What leaves now, of each topic in the order in which it was said. Empty: probe, if `next_at` has come."""
        if self._breaker.open:
            return []
        leaving = [*self._awaited, *self._unawaited.values(), *map(Sending, self._throttle.due(now))]
        self._awaited, self._unawaited = [], {}
        if leaving:
            self.sent(now)
        return leaving

    def sent(self, now: float) -> None:
        """A batch, or a probe, is under way; `answered` or `failed` has to follow."""
        self._sent_at = now
        self._breaker.sent(now)

    def answered(self, now: float) -> None:
        """Redis answered what was sent."""
        was_open = self._breaker.open
        self._patience.answered(now - self._sent_at)
        self._breaker.answered(now)
        if self._breaker.open and not was_open:
            self._opened(now, "Redis answers too slowly.")
        elif was_open and not self._breaker.open:
            dropped = self.dropped.total() - self._dropped_before
            log.info("progress_circuit_closed", dropped=dropped, seconds=round(now - self._opened_at, 3))

    def failed(self, now: float, problem: BaseException, batch: Sequence[Sending] = ()) -> None:
        """What was sent could not be, or not all of it."""
        was_open = self._breaker.open
        self._breaker.failed(now)
        if not was_open:
            self._opened(now, str(problem) or type(problem).__name__)
        self.dropped[REFUSED if refusal(problem) else UNREACHABLE] += len(batch)

    def drop_all(self, reason: str) -> None:
        """What waits will not be sent."""
        lost = [*self._awaited, *self._unawaited.values()]
        self.dropped[reason] += len(lost) + len(self._throttle.clear())
        self._awaited, self._unawaited = [], {}
        for sending in lost:
            sending.answer.set_result(None)

    def _opened(self, now: float, problem: str) -> None:
        self._opened_at, self._dropped_before = now, self.dropped.total()
        log.warning("progress_circuit_opened", error=problem)
        self.drop_all(CIRCUIT_OPEN)
