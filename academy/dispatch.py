"""Sends waiting jobs to their queues, so that tenants share the slots of each fleet fairly.

A new job waits in the database until its turn comes (`academy.domain.turns`). Then its message is sent to the queue,
and the job counts as running until it ends, through all its messages and attempts. The process that commits a new job,
or the end of one, sends the jobs whose turn has come. Workers repeat this from time to time, because such a process may
die before it sends.
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
"""The queue of each kind of job. All other kinds go to the AI worker's queue."""


@dataclass(frozen=True, slots=True)
class _Lane:
    """The rows whose messages go through one queue. `slots` names the setting that limits how many run at once."""

    unfinished: Callable[[], QuerySet[Any]]
    message: Callable[[Any], dict[str, Any]]
    slots: str
    named_by: tuple[str, ...] = ()
    """The columns, besides the primary key, that its topic is made of."""


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
    """Send the jobs whose turn it is once the current transaction is committed. Call it where a job begins or ends."""
    run_after_commit(_release_after_commit, queue)


def release(queue: str) -> int:
    """Send the jobs whose turn it is, and return how many were sent.

    A lock keeps two callers from sending the same job, or too many jobs together. No caller waits for it. One that
    finds it taken returns, and the holder checks for waiting jobs once more after its commit. Call this outside of
    transactions, because the messages are sent after the commit.
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
    """Return the ids of the jobs whose turn it is."""
    lane = _LANES[queue]
    if not repositories_turns.any_waiting(lane.unfinished()):
        return []
    slots: int = getattr(settings, lane.slots)
    lines = repositories_turns.lines_of(lane.unfinished(), most=max(1, slots))
    return choose(lines, slots=slots, reserved=settings.WORKER_RESERVED_SLOTS)


def sent_before(queue: str, age: timedelta, *, after: int, most: int) -> list[Any]:
    """Return the unfinished jobs that were sent to the queue longer than `age` ago: the first `most` after id `after`.

    Only the columns are loaded that name their topics and that `send_again` needs.
    """
    lane = _LANES[queue]
    return repositories_turns.sent_before(lane.unfinished(), age, columns=lane.named_by, after=after, most=most)


def send_again(queue: str, row: Any) -> bool:
    """Send another message for a job whose message was lost.

    Return False if another process has done so meanwhile, or the job has ended. A second message is harmless: only one
    of the two claims the job.
    """
    lane = _LANES[queue]
    with transaction.atomic():
        again = repositories_turns.mark_sent_again(lane.unfinished(), row.pk, row.dispatched_at)
        if again is not None:
            _send_on_commit(queue, lane.message(again))
    return again is not None


def load_of(queue: str) -> repositories_turns.Load:
    """Return how many jobs of the queue are waiting and running now."""
    return repositories_turns.load_of(_LANES[queue].unfinished())


def _send_on_commit(queue: str, message: dict[str, Any]) -> None:
    send_on_commit("queue", message["tenant_id"], {"queue": queue, "body": message})


def _release_after_commit(queue: str) -> None:
    try:
        release(queue)
    except DatabaseError as problem:
        log.warning("release_left_to_workers", queue=queue, error=str(problem).strip())
