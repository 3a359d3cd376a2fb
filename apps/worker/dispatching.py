"""Looks after the jobs that wait, while a worker runs.

It gives the turns that a process did not give because it died, and sends lost messages again.
"""

import threading
import time
from datetime import timedelta
from typing import Any

import structlog
from django.db import close_old_connections, connection
from redis.exceptions import RedisError

from academy import dispatch
from academy.adapters.queue.sqs import SqsJobQueue
from apps.worker.store import JobStore
from realtime import conf

log = structlog.get_logger(__name__)

TURN_SECONDS = 1.0
LONG_WAIT_SECONDS = 900.0
"""After this a message counts as lost although others still wait in the queue: it may only be slow, and comes twice."""


class Dispatching:
    """One for each worker process; several of them at once do no harm.

    A message counts as lost when nobody was at work on its job for two visibility times and the queue shows no
    messages.
    """

    def __init__(self, queue: SqsJobQueue, store: JobStore[Any], visibility_seconds: float) -> None:
        self._queue, self._store = queue, store
        self._patience = 2 * visibility_seconds
        self._look_at = 0.0
        self._idle_since: dict[int, float] = {}

    def run(self, stop: threading.Event) -> None:
        """Look again and again, until `stop` is set. No outage ends it."""
        failing = False
        while not stop.wait(TURN_SECONDS):
            try:
                close_old_connections()
                self.look(time.monotonic())
                failing = False
            except Exception as problem:  # noqa: BLE001 - whatever is away comes back
                if not failing:  # once an outage
                    log.warning("dispatching_failed", error=str(problem).strip())
                failing = True
        connection.close()

    def look(self, now: float) -> None:
        """Give the turns that are due and, four times in the patience, look for lost messages."""
        if released := dispatch.release(self._queue.short_name):
            log.info("turns_given", jobs=released)
        if now >= self._look_at:
            self._look_at = now + self._patience / 4
            self._send_lost_again(now)

    def _send_lost_again(self, now: float) -> None:
        idle = self._idle_jobs()
        since = {row.pk: self._idle_since.get(row.pk, now) for row in idle}
        self._idle_since = since
        lost = [row for row in idle if now - since[row.pk] >= self._patience]
        if not lost:
            return
        patience = self._patience if self._queue.depth() == 0 else LONG_WAIT_SECONDS
        for row in lost:
            if now - since[row.pk] >= patience and dispatch.send_again(self._queue.short_name, row):
                log.warning("message_sent_again", tenant=row.tenant_id, job=self._store.topic_of(row))
                del self._idle_since[row.pk]

    def _idle_jobs(self) -> list[Any]:
        """The jobs that were sent and that nobody is at work on. None while Redis is away, which knows that."""
        sent = dispatch.sent_before(self._queue.short_name, timedelta(seconds=self._patience / 4))
        try:
            return [row for row in sent if not self._at_work(row)]
        except RedisError:
            return []

    def _at_work(self, row: Any) -> bool:
        topic = self._store.topic_of(row)
        return conf.publisher().lease_seconds_left(tenant_id=row.tenant_id, topic=topic) > 0
