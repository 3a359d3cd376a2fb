"""Sends waiting jobs to their queues, so that all tenants get a fair share of the workers.

A new job waits in the database until its turn (`academy.domain.turns`). At its turn its message is sent to the queue.
From then on the job counts as running until it ends, through all its messages and attempts. The process that commits a
new job, or the end of a job, sends the jobs whose turn has come. Workers do the same from time to time, because that
process may die before it sends them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Generic

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from academy.adapters.db.django import repositories_ai, repositories_turns, repositories_video
from academy.adapters.db.django.repositories_turns import Row
from academy.adapters.queue.sqs import AI_QUEUE, MESSAGING_QUEUE, VIDEO_QUEUE
from academy.domain.jobs import BULK_MESSAGE, job_topic
from academy.domain.turns import Line, choose
from academy.domain.videos import video_topic
from realtime.outbox import send_on_commit
from realtime.outbox.after_commit import run_after_commit

log = structlog.get_logger(__name__)

QUEUES = {BULK_MESSAGE: MESSAGING_QUEUE}
"""Maps types of jobs to queues. Jobs of all other types go to the AI worker's queue."""


@dataclass(frozen=True, slots=True)
class SentJob:
    """An unfinished job whose message was sent to its queue."""

    pk: int
    tenant_id: int
    topic: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class _Lane(Generic[Row]):
    """The rows whose messages go through one queue. The setting named `slots` has the number of slots of the fleet."""

    queue: str
    unfinished: Callable[[], QuerySet[Row]]
    message: Callable[[Row], dict[str, Any]]
    topic: Callable[[Row], str]
    slots: str
    named_by: tuple[str, ...] = ()
    """The columns, besides the primary key, from which the topic of a row is made."""

    def any_waiting(self) -> bool:
        return repositories_turns.any_waiting(self.unfinished())

    def lines(self, most: int) -> list[Line]:
        return repositories_turns.lines_of(self.unfinished(), most)

    def load(self) -> repositories_turns.Load:
        return repositories_turns.load_of(self.unfinished())

    def loads(self) -> dict[int, repositories_turns.Load]:
        return repositories_turns.loads_by_tenant(self.unfinished())

    def running_for(self, age: timedelta, most: int) -> list[tuple[int, str]]:
        rows = repositories_turns.running_for(age, self.unfinished(), columns=self.named_by, most=most)
        return [(row.tenant_id, self.topic(row)) for row in rows]

    def send(self, pks: list[int]) -> int:
        """Send the messages of these jobs, except jobs that are being cancelled. Return how many were sent."""
        rows = repositories_turns.mark_sent(self.unfinished(), pks)
        for row in rows:
            self._send_on_commit(row)
        return len(rows)

    def send_again(self, job: SentJob) -> bool:
        row = repositories_turns.mark_sent_again(self.unfinished(), job.pk, job.sent_at)
        if row is not None:
            self._send_on_commit(row)
        return row is not None

    def sent_before(self, age: timedelta, *, after: int, most: int) -> list[SentJob]:
        rows = repositories_turns.sent_before(self.unfinished(), age, columns=self.named_by, after=after, most=most)
        return [
            SentJob(row.pk, row.tenant_id, self.topic(row), row.dispatched_at)
            for row in rows
            if row.dispatched_at is not None
        ]

    def _send_on_commit(self, row: Row) -> None:
        body = self.message(row)
        send_on_commit("queue", row.tenant_id, {"queue": self.queue, "body": body})


_LANES: dict[str, _Lane[Any]] = {
    AI_QUEUE: _Lane(
        AI_QUEUE,
        partial(repositories_ai.unfinished_jobs, but=tuple(QUEUES)),
        repositories_ai.message_of,
        lambda job: job_topic(job.job_id),
        "AI_WORKER_MAX_CONCURRENCY",
        ("job_id",),
    ),
    MESSAGING_QUEUE: _Lane(
        MESSAGING_QUEUE,
        partial(repositories_ai.unfinished_jobs, only=(BULK_MESSAGE,)),
        repositories_ai.message_of,
        lambda job: job_topic(job.job_id),
        "MESSAGING_WORKER_MAX_CONCURRENCY",
        ("job_id",),
    ),
    VIDEO_QUEUE: _Lane(
        VIDEO_QUEUE,
        repositories_video.unfinished_videos,
        repositories_video.message_of,
        lambda video: video_topic(video.pk),
        "VIDEO_WORKER_MAX_CONCURRENCY",
    ),
}


def queue_of(job_type: str) -> str:
    return QUEUES.get(job_type, AI_QUEUE)


def release_on_commit(queue: str) -> None:
    """When the current transaction commits, send the jobs whose turn it is.

    Call this function in each transaction that makes a job PENDING or ends a job.
    """
    run_after_commit(_release_after_commit, queue)


def release(queue: str) -> int:
    """Send the jobs whose turn it is, and return how many were sent.

    Only the holder of a lock sends jobs. Without the lock, two callers at the same moment could send the same job
    twice, or more jobs together than there are slots. A caller that does not get the lock returns at once, because the
    holder checks for waiting jobs once more after its commit. Call this outside of transactions, because the messages
    are sent after the commit.
    """
    sent = 0
    while _chosen(queue):
        with transaction.atomic():
            if not repositories_turns.lock_queue(queue):
                return sent
            chosen = _chosen(queue)
            number = _LANES[queue].send(chosen)
        sent += number
        if chosen and not number:  # all of them are being cancelled
            return sent
    return sent


def _chosen(queue: str) -> list[int]:
    """Return the ids of the jobs whose turn it is."""
    lane = _LANES[queue]
    if not lane.any_waiting():
        return []
    slots: int = getattr(settings, lane.slots)
    return choose(lane.lines(most=max(1, slots)), slots=slots, reserved=settings.WORKER_RESERVED_SLOTS)


def sent_before(queue: str, age: timedelta, *, after: int, most: int) -> list[SentJob]:
    """Return the first `most` unfinished jobs with ids above `after` that were sent longer than `age` ago."""
    return _LANES[queue].sent_before(age, after=after, most=most)


def send_again(queue: str, job: SentJob) -> bool:
    """Send the message of a job again, because it may have been lost.

    Return False if the job has ended, or if another process has sent the message again since `job` was read. Two
    messages for one job are harmless, because only one worker can claim the job.
    """
    with transaction.atomic():
        return _LANES[queue].send_again(job)


def load_of(queue: str) -> repositories_turns.Load:
    """Return the load of the queue: how many of its jobs are PENDING, and how many PROCESSING."""
    return _LANES[queue].load()


def loads_of(queue: str) -> dict[int, repositories_turns.Load]:
    """Return the load of each tenant that has unfinished jobs in the queue, keyed by the id of the tenant."""
    return _LANES[queue].loads()


def running_for(queue: str, age: timedelta, *, most: int) -> list[tuple[int, str]]:
    """Return the tenant and the topic of each job of the queue that was claimed longer than `age` ago and still runs.

    Return no more than `most` jobs.
    """
    return _LANES[queue].running_for(age, most)


def slots_of(queue: str) -> int:
    """Return how many jobs of the queue may run at once, in all workers."""
    slots: int = getattr(settings, _LANES[queue].slots)
    return slots


def _release_after_commit(queue: str) -> None:
    try:
        release(queue)
    except DatabaseError as problem:
        log.warning("release_left_to_workers", queue=queue, error=str(problem).strip())
