"""Handles one message: claims and runs its job; or puts the message back, deletes it, or makes it a dead letter."""

from typing import Any, Generic

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections
from redis.exceptions import RedisError
from structlog.contextvars import bind_contextvars, clear_contextvars

from academy.adapters.queue.sqs import Delivery, SqsJobQueue
from academy.domain.jobs import AttemptSupersededError, ClaimRefusal, JobFailedError
from academy.lifecycle import C, RowId
from apps.worker.handlers import Handler, JobProgress
from apps.worker.running import Running, RunningJobs
from apps.worker.stopping import Stopping, WorkerStopsError
from apps.worker.store import JobStore, RefusedMessageError, find_row
from apps.worker.timing import Timing
from realtime import conf

log = structlog.get_logger(__name__)

DATABASE_RETRY_SECONDS = 5.0


class Deliveries(Generic[RowId, C]):
    """Handles messages. Each message is handled in the thread that calls `handle`."""

    def __init__(
        self,
        queue: SqsJobQueue,
        store: JobStore[RowId, C],
        handlers: dict[str, Handler[C]],
        running: RunningJobs[C],
        timing: Timing,
        stopping: Stopping | None = None,
    ) -> None:
        self._queue = queue
        self._store = store
        self._stopping = stopping or Stopping(timing.drain_seconds)
        self._handlers = handlers
        self._running = running
        self._timing = timing

    def handle(self, delivery: Delivery) -> None:
        """Handle a message. Log lines name the message and, as soon as they are known, its tenant, job and attempt."""
        clear_contextvars()
        bind_contextvars(message=delivery.message_id)
        try:
            claimed = self._claim(delivery, *find_row(self._store, delivery.body))
        except RefusedMessageError as problem:
            log.warning("message_moved_to_dead_letters", reason=str(problem))
            self._queue.move_to_dead_letters(delivery, str(problem))
            return
        except (OperationalError, InterfaceError) as problem:
            # The job has not begun, so an outage of the database must not count as a failed attempt.
            log.warning("database_unavailable", error=str(problem).strip())
            self._queue.put_back(delivery, DATABASE_RETRY_SECONDS)
            return
        if claimed is not None:
            log.info("job_started", receives=delivery.receives)
            self._do(delivery, claimed)

    def _claim(self, delivery: Delivery, tenant_id: int, ident: RowId) -> C | None:
        bind_contextvars(tenant=tenant_id, job=self._store.topic(ident))
        try:
            lease_left = conf.publisher().lease_seconds_left(tenant_id=tenant_id, topic=self._store.topic(ident))
        except RedisError as problem:
            # Treat the lease as ended. If another worker still runs the job, this claim begins a new attempt, and the
            # other worker can no longer save its result.
            log.warning("lease_not_read", error=str(problem))
            lease_left = 0.0
        claimed = self._store.claim(tenant_id, ident, lease_alive=lease_left > 0)
        if not isinstance(claimed, ClaimRefusal):
            bind_contextvars(attempt=claimed.attempt, job_type=claimed.job_type)
            if delivery.receives > self._timing.max_receives:
                self._give_up(delivery, claimed, "Its worker died each time it was tried.")
                return None
            return claimed
        if claimed is ClaimRefusal.BUSY:
            self._queue.put_back(delivery, max(1.0, lease_left))
        else:
            self._queue.delete(delivery)
        return None

    def _do(self, delivery: Delivery, job: C) -> None:
        running = Running(delivery, job)
        self._running.add(running)
        try:
            self._do_attempt(running)
        except AttemptSupersededError:
            # Keep the message, since it may belong to another attempt now. If the job has ended, the worker that
            # receives the message next deletes it.
            log.info("job_superseded")
        finally:
            self._running.remove(running)

    def _do_attempt(self, running: Running[C]) -> None:
        try:
            self._store.finish(running.job, self._run_handler(running.job))
        except AttemptSupersededError:
            raise
        except WorkerStopsError:
            self._stopping.wait_for_polls(self._timing.poll_end_seconds)
            self._running.give_back(running)
        except JobFailedError as problem:
            log.info("job_failed", code=problem.code, reason=str(problem), cause=str(problem.__cause__ or ""))
            self._store.fail(running.job, problem.code, str(problem))
            self._queue.delete(running.delivery)
        except Exception as problem:  # noqa: BLE001 - a handler may raise anything
            self._try_again(running, problem)
        else:
            log.info("job_done")
            self._tidy_up(running.job)  # before the message is deleted, because deleting it may fail
            self._queue.delete(running.delivery)

    def _run_handler(self, job: C) -> dict[str, Any]:
        handler = self._handlers.get(job.job_type)
        if handler is None:
            raise JobFailedError("unknown_job_type", f"No worker knows jobs of the type {job.job_type!r}.")
        return handler.do(job, JobProgress(job, handler.steps, self._stopping))

    def _tidy_up(self, job: C) -> None:
        handler = self._handlers[job.job_type]
        try:
            if handler.after_done:
                handler.after_done(job)
        except Exception:  # the job is done, even if something is left behind
            log.exception("job_not_tidied_up")

    def _try_again(self, running: Running[C], problem: Exception) -> None:
        """Give the job back, so that another attempt continues it after a pause.

        If no attempt is left, fail the job.
        """
        log.warning("job_attempt_failed", receives=running.delivery.receives, exc_info=problem)
        if not self._running.remove(running):
            return  # the job was given back already, because this process stops
        close_old_connections()  # a broken connection would make the next write fail, too
        if running.delivery.receives >= self._timing.max_receives:
            self._give_up(running.delivery, running.job, "It could not be done, although it was tried several times.")
        else:
            pause = self._timing.pause_after(running.delivery.receives)
            self._store.give_back(running.job, pause)
            self._queue.hide(running.delivery, pause)

    def _give_up(self, delivery: Delivery, job: C, message: str) -> None:
        log.error("job_given_up", reason=message)
        sentence = f"The job was given up. {message} The administrator can see why in the log."
        self._store.fail(job, "dead_letter", sentence)
        self._queue.move_to_dead_letters(delivery, message)
