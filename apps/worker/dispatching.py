"""Sends the messages of waiting jobs whose turn has come, and sends lost messages again. Every worker does so.

A process that creates or ends a job sends the messages of the next jobs itself. This module sends them for processes
that died before they could.
"""

import math
import threading
import time
from datetime import timedelta

import structlog
from django.db import close_old_connections, connection
from redis.exceptions import RedisError

from academy import dispatch
from academy.adapters.queue.sqs import SqsJobQueue
from academy.dispatch import SentJob
from realtime import conf

log = structlog.get_logger(__name__)

TURN_SECONDS = 1.0
LONG_WAIT_SECONDS = 900.0
"""After this time without a worker, a job's message counts as lost even if the queue is not empty.

If the message was not lost but only late, workers receive two messages for the job.
"""
MOST_SEEN = 1000
"""The most rows that one search for lost messages reads. The next search continues after these rows."""
MOST_SENT = 100
"""The most messages that one search sends again."""


class Dispatching:
    """Sends the messages of one queue. Each worker process has an instance, and several may work at the same time.

    A message counts as lost when its job has had no worker for a certain time: for twice the visibility time if the
    queue is empty, else for `LONG_WAIT_SECONDS`.
    """

    def __init__(self, queue: SqsJobQueue, visibility_seconds: float) -> None:
        self._queue = queue
        self._patience = 2 * visibility_seconds
        self._look_at = 0.0
        self._idle_since: dict[int, float] = {}
        self._looked_until = 0

    def run(self, stop: threading.Event) -> None:
        """Call `look` every second until `stop` is set. Errors are logged and do not end this loop."""
        failing = False
        while not stop.wait(TURN_SECONDS):
            try:
                close_old_connections()
                self.look(time.monotonic())
                failing = False
            except Exception as problem:  # noqa: BLE001 - an outage ends by itself
                if not failing:  # log each outage once
                    log.warning("dispatching_failed", error=str(problem).strip())
                failing = True
        connection.close()

    def look(self, now: float) -> None:
        """Send the messages of jobs whose turn has come. Every half visibility time, also search for lost messages."""
        if released := dispatch.release(self._queue.short_name):
            log.info("turns_given", jobs=released)
        if now >= self._look_at:
            self._look_at = now + self._patience / 4  # half a visibility time
            self._send_lost_again(now)

    def _send_lost_again(self, now: float) -> None:
        idle = self._idle_jobs()
        since = {job.pk: self._idle_since.get(job.pk, now) for job in idle}
        lost = [job for job in idle if now - since[job.pk] >= self._patience]
        if lost:
            depth = self._queue.depth()
            if depth:
                lost = [job for job in lost if now - since[job.pk] >= LONG_WAIT_SECONDS]
                # The queue has `depth` messages, so the messages of about `depth` idle jobs are not lost.
                lost = lost[: max(1, len(idle) - depth)]
        for job in lost[:MOST_SENT]:
            if dispatch.send_again(self._queue.short_name, job):
                log.warning("message_sent_again", tenant=job.tenant_id, job=job.topic)
                del since[job.pk]
        self._idle_since |= since

    def _idle_jobs(self) -> list[SentJob]:
        """Read the next jobs whose messages were sent at least half a visibility time ago.

        Return those that no worker runs. If Redis does not answer, forget all idle times and return no jobs.
        """
        age = timedelta(seconds=self._patience / 4)
        sent = dispatch.sent_before(self._queue.short_name, age, after=self._looked_until, most=MOST_SEEN)
        try:
            left = conf.publisher().leases_seconds_left((job.tenant_id, job.topic) for job in sent)
        except RedisError:
            self._idle_since.clear()
            return []
        idle = [job for job, seconds in zip(sent, left, strict=True) if seconds == 0]
        self._forget(sent, {job.pk for job in idle})
        return idle

    def _forget(self, seen: list[SentJob], idle: set[int]) -> None:
        """Forget the idle times of jobs that are not idle any more, and note where the next search begins.

        `seen` has the jobs that this search read, and `idle` the ids of those that no worker runs. The idle times of
        jobs whose ids are outside the range of this search are kept.
        """
        last = seen[-1].pk if len(seen) == MOST_SEEN else math.inf
        kept = {
            pk: since for pk, since in self._idle_since.items() if pk in idle or not self._looked_until < pk <= last
        }
        self._idle_since, self._looked_until = kept, int(last) if last < math.inf else 0
