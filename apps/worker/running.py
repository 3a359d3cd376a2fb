"""Renews the leases and the message visibility of this process's jobs. Gives the jobs back when the process stops."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

import structlog
from django.db import DatabaseError, close_old_connections, connection
from redis.exceptions import RedisError

from academy.adapters.queue.sqs import Delivery, QueueUnavailableError, SqsJobQueue
from academy.domain.jobs import AttemptSupersededError
from academy.lifecycle import C
from apps.worker.store import JobStore
from apps.worker.timing import Timing
from realtime import conf

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Running(Generic[C]):
    delivery: Delivery
    job: C

    @property
    def log(self) -> Any:
        """A logger that names the job, for threads other than the job's own."""
        return log.bind(tenant=self.job.tenant_id, job=self.job.topic, attempt=self.job.attempt)


class RunningJobs(Generic[C]):
    """The running jobs. Heartbeats renew their leases and the visibility of their messages.

    Any thread may call the methods.
    """

    def __init__(self, queue: SqsJobQueue, store: JobStore[Any, C], timing: Timing) -> None:
        self._queue = queue
        self._store = store
        self._timing = timing
        self._held: dict[str, Running[C]] = {}
        self._lock = threading.Lock()
        self._giving_back = threading.Lock()
        self._stopped = threading.Event()

    def add(self, running: Running[C]) -> None:
        with self._lock:
            self._held[running.delivery.receipt] = running

    def remove(self, running: Running[C]) -> bool:
        """Remove a job that has ended or is given back. Return False if it was removed already."""
        with self._lock:
            return self._held.pop(running.delivery.receipt, None) is not None

    def renew_leases(self, and_then: Callable[[], None] = lambda: None) -> None:
        """Renew the leases at each heartbeat until `stop` is called, and call `and_then` after each heartbeat.

        Run this and `renew_visibility` in separate threads, because a queue may hang.
        """
        self._beat(self._renew_lease, and_then)

    def renew_visibility(self) -> None:
        """Renew the visibility of the messages at each heartbeat until `stop` is called."""
        self._beat(self._renew_visibility)

    def stop(self) -> None:
        self._stopped.set()

    def give_back_all(self) -> None:
        """Make the running jobs PENDING again, and send their messages again, for other workers."""
        with self._giving_back:  # this also waits for threads that give back jobs, since the process may end afterwards
            for running in self._all():
                self._give_back(running)
        connection.close()

    def give_back(self, running: Running[C]) -> None:
        """Give one job back, as `give_back_all` does. Do nothing if it was given back already."""
        with self._giving_back:
            self._give_back(running)

    def _give_back(self, running: Running[C]) -> None:
        if not self.remove(running):
            return
        try:
            close_old_connections()
            self._store.give_back(running.job)
            self._queue.put_back(running.delivery, 0)  # as a new message, so that no failed attempt is counted
            running.log.info("job_given_back")
        except (AttemptSupersededError, DatabaseError, QueueUnavailableError) as problem:
            # If the attempt was superseded, nothing is left to do. Otherwise another worker gets the job when the job's
            # lease and the visibility of its message have ended.
            running.log.warning("job_not_given_back", error=str(problem))

    def _beat(self, renew: Callable[[Running[C]], None], and_then: Callable[[], None] = lambda: None) -> None:
        while not self._stopped.wait(self._timing.heartbeat_seconds):
            for running in self._all():
                if not self._stopped.is_set():
                    renew(running)
            try:
                and_then()
            except Exception:  # the heartbeat must continue for the jobs
                log.exception("heartbeat_failed")

    def _all(self) -> list[Running[C]]:
        with self._lock:
            return list(self._held.values())

    def _renew_lease(self, running: Running[C]) -> None:
        job = running.job
        try:
            conf.publisher().renew_lease(tenant_id=job.tenant_id, topic=job.topic, attempt=job.attempt)
            conf.publisher().refresh(job.tenant_id, job.topic)
        except RedisError as problem:
            running.log.warning("lease_not_renewed", error=str(problem))
        except Exception:  # the heartbeat must continue for the other jobs
            running.log.exception("lease_not_renewed")

    def _renew_visibility(self, running: Running[C]) -> None:
        try:
            self._queue.hide(running.delivery, self._timing.visibility_seconds)
        except QueueUnavailableError as problem:
            running.log.warning("visibility_not_renewed", error=str(problem))
        except Exception:
            running.log.exception("visibility_not_renewed")
