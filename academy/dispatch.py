"""Sends waiting jobs to their queues, so that the slots of each fleet are shared fairly between tenants.

A new job waits in the database. It is sent to its queue when it is its turn (`academy.domain.turns`), and keeps its
place from then until it ends, whatever becomes of its messages and attempts. Whoever commits a new job or the end of
one sends what may go next; each worker looks again from time to time, for processes that died in between.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from academy.adapters.db.django import repositories_ai, repositories_turns, repositories_video
from academy.adapters.queue.sqs import AI_QUEUE, MESSAGING_QUEUE, VIDEO_QUEUE
from academy.domain.jobs import BULK_MESSAGE
from academy.domain.turns import choose
from realtime.outbox import send_on_commit
from realtime.outbox.after_commit import run_after_commit

log = structlog.get_logger(__name__)

QUEUES = {BULK_MESSAGE: MESSAGING_QUEUE}
"""Whose worker does which kind of job; every other kind is the AI worker's."""


@dataclass(frozen=True, slots=True)
class _Lane:
    """The rows whose messages go through one queue, and the setting that says how many run at once."""

    unfinished: Callable[[], QuerySet[Any]]
    message: Callable[[Any], dict[str, Any]]
    slots: str
    named_by: tuple[str, ...] = ()
    """The columns that its topic tells, besides the primary key."""


_LANES = {
    AI_QUEUE: _Lane(
        partial(repositories_ai.unfinished_jobs, but=tuple(QUEUES)),
        repositories_ai.message_of,
        "AI_WORKER_MAX_CONCURRENCY",
        ("job_id",),
    ),
    MESSAGING_QUEUE: _Lane(
        partial(repositories_ai.unfinished_jobs, only=(BULK_MESSAGE,)),
        repositories_ai.message_of,
        "MESSAGING_WORKER_MAX_CONCURRENCY",
        ("job_id",),
    ),
    VIDEO_QUEUE: _Lane(
        repositories_video.unfinished_videos, repositories_video.message_of, "VIDEO_WORKER_MAX_CONCURRENCY"
    ),
}


def queue_of(job_type: str) -> str:
    return QUEUES.get(job_type, AI_QUEUE)


def release_on_commit(queue: str) -> None:
    """Send what may go next, once the current transaction is committed. Call it where a job is created or ends."""
    run_after_commit(_release_after_commit, queue)


def release(queue: str) -> int:
    """Send the jobs whose turn it is; return how many. Two callers never send the same job, nor too many together.

    Call it outside of transactions: the lock is held for some statements, and the messages leave after the commit.
    Nobody waits for the lock. A caller that finds it taken leaves its job to the holder, which looks once more after
    its commit.
    """
    sent = 0
    while _chosen(queue):
        with transaction.atomic():
            if not repositories_turns.lock_queue(queue):
                return sent
            chosen = _chosen(queue)
            rows = repositories_turns.mark_sent(_LANES[queue].unfinished(), chosen)
            for row in rows:
                _send_on_commit(queue, _LANES[queue].message(row))
        sent += len(rows)
        if chosen and not rows:  # all of them are being cancelled
            return sent
    return sent


def _chosen(queue: str) -> list[int]:
    """The ids of the jobs whose turn it is."""
    lane = _LANES[queue]
    if not repositories_turns.somebody_waits(lane.unfinished()):
        return []
    slots: int = getattr(settings, lane.slots)
    lines = repositories_turns.lines_of(lane.unfinished(), most=max(1, slots))
    return choose(lines, slots=slots, reserved=settings.WORKER_RESERVED_SLOTS)


def sent_before(queue: str, age: timedelta, *, after: int, most: int) -> list[Any]:
    """The first rows behind the id `after` of unfinished jobs that were sent to the queue longer ago than this.

    They have the columns alone that tell their topics and that `send_again` needs.
    """
    lane = _LANES[queue]
    return repositories_turns.sent_before(lane.unfinished(), age, columns=lane.named_by, after=after, most=most)


def send_again(queue: str, row: Any) -> bool:
    """Send another message of a job whose message was lost. False if that was done, or the job ended, meanwhile.

    A message too many is harmless: the claim of the first one decides.
    """
    lane = _LANES[queue]
    with transaction.atomic():
        again = repositories_turns.mark_sent_again(lane.unfinished(), row.pk, row.dispatched_at)
        if again is not None:
            _send_on_commit(queue, lane.message(again))
    return again is not None


def load_of(queue: str) -> repositories_turns.Load:
    """How many jobs of the queue wait and run now."""
    return repositories_turns.load_of(_LANES[queue].unfinished())


def _send_on_commit(queue: str, message: dict[str, Any]) -> None:
    send_on_commit("queue", message["tenant_id"], {"queue": queue, "body": message})


def _release_after_commit(queue: str) -> None:
    try:
        release(queue)
    except DatabaseError as problem:
        log.warning("release_left_to_workers", queue=queue, error=str(problem).strip())
