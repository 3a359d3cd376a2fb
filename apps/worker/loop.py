"""The loop of every worker: receives messages, claims and runs their jobs, and renews the leases of running jobs.

Jobs are idempotent, because a message may be received twice and a worker may die at any moment. The attempt number
protects the result: a worker that does not hold the current attempt can neither save nor publish.
"""

import os
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic

import structlog
from django.db import close_old_connections

from academy.adapters.queue.sqs import Delivery, QueueUnavailableError, SqsJobQueue
from academy.lifecycle import C, RowId
from academy.sessions import sweep_sessions
from apps.worker.delivery import Deliveries
from apps.worker.dispatching import Dispatching
from apps.worker.fleet import FleetSlots
from apps.worker.handlers import Handler
from apps.worker.reporting import report_until
from apps.worker.running import RunningJobs
from apps.worker.stopping import Stopping
from apps.worker.store import JobStore
from apps.worker.sweeping import SOON_SECONDS, sweep_until
from apps.worker.timing import Timing
from apps.worker.workspace import sweep_workspaces
from realtime import conf
from realtime.operate.exposition import serve_metrics
from realtime.outbox.relay import Relay

log = structlog.get_logger(__name__)

IDLE_SECONDS = 0.2
RETRY_SECONDS = 2.0
SIGNAL_SECONDS = 1.0
"""How often the main thread looks for signals that the kernel gave to another thread. Such a signal does not wake the
main thread, and Python handles signals only there."""


class Worker(Generic[RowId, C]):
    """A worker process.

    Each job has a thread of its own. Further threads poll the queue, renew leases, renew visibility, run two groups of
    sweeps, send the messages of waiting jobs, report this worker to Redis, and run the relay.

    The worker polls for one message at a time, and takes one of the fleet's slots before each poll. So waiting messages
    are spread over all processes, and no process receives a message whose job it may not begin.
    """

    def __init__(
        self,
        queue: SqsJobQueue,
        store: JobStore[RowId, C],
        handlers: dict[str, Handler[C]],
        fleet: FleetSlots,
        concurrency: int,
        timing: Timing,
    ) -> None:
        """Make a worker that runs at most `concurrency` jobs at once, even if the fleet has more free slots."""
        self._queue = queue
        self._fleet = fleet
        self._concurrency = concurrency
        self._timing = timing
        self._stopping = Stopping(timing.drain_seconds)
        self._stop = self._stopping.asked
        self._running = RunningJobs(queue, store, timing)
        self._dispatching = Dispatching(queue, timing.visibility_seconds)
        own = (handler.sweep for handler in handlers.values() if handler.sweep)
        self._sweeps = [sweep_workspaces, sweep_sessions, *own]
        self._sweeps_soon = [handler.sweep_soon for handler in handlers.values() if handler.sweep_soon]
        self._deliveries = Deliveries(queue, store, handlers, self._running, timing, self._stopping)
        self._futures: set[Future[None]] = set()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Work until SIGTERM or SIGINT. Then receive no more messages, and finish or give back the running jobs."""
        signals: SimpleQueue[int] = SimpleQueue()  # a signal handler may use it at any moment, unlike an Event
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda caught, _frame: signals.put(caught))
        relay = threading.Thread(target=Relay().run, args=[self._stop], name="relay")
        leases = threading.Thread(target=self._running.renew_leases, args=[self._fleet.renew], name="leases")
        visibility = threading.Thread(target=self._running.renew_visibility, name="visibility")
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="job")
        # These threads are daemons, so that a queue or a storage that hangs does not keep the process from ending.
        poll = threading.Thread(target=self._poll, args=[pool], name="poll", daemon=True)
        sweep = threading.Thread(target=sweep_until, args=[self._stop, self._sweeps], name="sweep", daemon=True)
        soon_args = [self._stop, self._sweeps_soon, SOON_SECONDS]
        soon = threading.Thread(target=sweep_until, args=soon_args, name="sweep_soon", daemon=True)
        turns = threading.Thread(target=self._dispatching.run, args=[self._stop], name="turns", daemon=True)
        report_args = [self._stop, self._queue.short_name, self._concurrency, self._busy]
        report = threading.Thread(target=report_until, args=report_args, name="report", daemon=True)
        for thread in (relay, leases, visibility, poll, sweep, soon, turns, report):
            thread.start()
        serve_metrics(self._timing.metrics_port)
        log.info("worker_started", queue=self._queue.name, concurrency=self._concurrency)
        while not self._stop.is_set():
            with suppress(Empty):
                signals.get(timeout=SIGNAL_SECONDS)
                self._stopping.ask()
        finished = self._drain()
        self._running.stop()
        for thread in (relay, leases, visibility):
            thread.join()
        self._fleet.give_all()  # those of jobs that were given back: another worker may begin them now
        conf.publisher().close()
        log.info("worker_stopped")
        if not finished:
            os._exit(0)  # the jobs that still run here were given back to other workers, so do not wait for them

    def _busy(self) -> int:
        with self._lock:
            return sum(not future.done() for future in self._futures)

    def _poll(self, pool: ThreadPoolExecutor) -> None:
        try:
            self._poll_until_asked(pool)
        finally:
            self._stopping.polls_ended.set()

    def _poll_until_asked(self, pool: ThreadPoolExecutor) -> None:
        ready = False
        while not self._stop.is_set():
            try:
                if not ready:
                    self._queue.depth()  # raises if the queue does not exist
                    ready = True
                self._timing.say_ready()
                if not self._poll_once(pool):
                    self._stop.wait(IDLE_SECONDS)
            except QueueUnavailableError as problem:
                log.warning("queue_unavailable", error=str(problem))
                self._stop.wait(RETRY_SECONDS)
            except Exception:  # continue: if this thread ended, the process would stay alive without polling
                log.exception("poll_failed")
                self._stop.wait(RETRY_SECONDS)

    def _poll_once(self, pool: ThreadPoolExecutor) -> bool:
        """Poll the queue once. If a message arrives, start its job.

        Return False, without polling, if no more jobs may begin now.
        """
        with self._lock:
            self._futures = {future for future in self._futures if not future.done()}
            full = len(self._futures) >= self._concurrency
        slot = None if full else self._fleet.take()
        if slot is None:
            return False
        try:
            deliveries = self._queue.receive(1, self._timing.poll_seconds)
        except BaseException:
            self._fleet.give(slot)
            raise
        if not deliveries:
            self._fleet.give(slot)
        for delivery in deliveries:
            self._take(pool, delivery, slot)
        return True

    def _take(self, pool: ThreadPoolExecutor, delivery: Delivery, slot: str) -> None:
        with self._lock:
            if not self._stop.is_set():
                self._futures.add(pool.submit(self._work, delivery, slot))
                return
        self._fleet.give(slot)
        self._queue.put_back(delivery, 0)  # this process was asked to stop while it polled

    def _work(self, delivery: Delivery, slot: str) -> None:
        close_old_connections()
        try:
            self._deliveries.handle(delivery)
        except Exception:  # log it here, since nobody reads the errors of the pool's futures
            log.exception("delivery_failed")
        finally:
            self._fleet.give(slot)
            close_old_connections()

    def _drain(self) -> bool:
        """Wait until the running jobs have ended, at most for the drain time. Give back the jobs that still run.

        Return whether all jobs ended in time.
        """
        with self._lock:
            running = set(self._futures)
        _, unfinished = wait(running, self._stopping.seconds_left)
        self._stopping.wait_for_polls(self._timing.poll_end_seconds)
        self._running.give_back_all()
        return not unfinished
