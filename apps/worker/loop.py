"""The loop of every worker: takes messages, claims their jobs, does them, and keeps what it holds alive meanwhile.

A job is idempotent: a message may come twice, and a worker may die at any line. What protects the result is the
attempt: whoever does not hold the current one can neither save nor publish.
"""

import os
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait

import structlog
from django.db import close_old_connections

from academy.adapters.queue.sqs import Delivery, QueueUnavailableError, SqsJobQueue
from apps.worker.delivery import Deliveries
from apps.worker.handlers import Handler
from apps.worker.running import RunningJobs
from apps.worker.stopping import Stopping
from apps.worker.timing import Timing
from realtime import conf
from realtime.exposition import serve_metrics
from realtime.relay import Relay

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 10  # SQS hands over ten messages at the most
IDLE_SECONDS = 0.2
RETRY_SECONDS = 2.0


class Worker:
    """One process: a thread that polls, one for each job, two heartbeats, and the relay of the outbox."""

    def __init__(self, queue: SqsJobQueue, handlers: dict[str, Handler], concurrency: int, timing: Timing) -> None:
        self._queue = queue
        self._concurrency = concurrency
        self._timing = timing
        self._stopping = Stopping(timing.drain_seconds)
        self._stop = self._stopping.asked
        self._running = RunningJobs(queue, timing)
        self._deliveries = Deliveries(queue, handlers, self._running, timing, self._stopping)
        self._futures: set[Future[None]] = set()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Works until SIGTERM or SIGINT; then takes nothing new, and finishes or gives back what runs."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.ask())
        relay = threading.Thread(target=Relay().run, args=[self._stop], name="relay")
        leases = threading.Thread(target=self._running.renew_leases, name="leases")
        visibility = threading.Thread(target=self._running.renew_visibility, name="visibility")
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="job")
        # A daemon: the end does not wait for a queue that hangs.
        poll = threading.Thread(target=self._poll, args=[pool], name="poll", daemon=True)
        for thread in (relay, leases, visibility, poll):
            thread.start()
        serve_metrics(self._timing.metrics_port)
        log.info("worker_started", queue=self._queue.name, concurrency=self._concurrency)
        self._stop.wait()
        finished = self._drain()
        self._running.stop()
        for thread in (relay, leases, visibility):
            thread.join()
        conf.publisher().close()
        log.info("worker_stopped")
        if not finished:
            os._exit(0)  # what was given back is another worker's now; nothing that this process still does can count

    def _poll(self, pool: ThreadPoolExecutor) -> None:
        try:
            self._poll_until_asked(pool)
        finally:
            self._stopping.polls_ended.set()

    def _poll_until_asked(self, pool: ThreadPoolExecutor) -> None:
        ready = False
        while not self._stop.is_set():
            with self._lock:
                self._futures = {future for future in self._futures if not future.done()}
                free = self._concurrency - len(self._futures)
            if free == 0:
                self._stop.wait(IDLE_SECONDS)
                continue
            try:
                # The first look does not wait: it shows that the queue is there.
                wait_seconds = self._timing.poll_seconds if ready else 0
                deliveries = self._queue.receive(min(free, MOST_AT_ONCE), wait_seconds)
                if not ready:
                    ready = True
                    self._timing.say_ready()
                for delivery in deliveries:
                    self._take(pool, delivery)
            except QueueUnavailableError as problem:
                log.warning("queue_unavailable", error=str(problem))
                self._stop.wait(RETRY_SECONDS)
            except Exception:  # a worker that no longer polls looks alive and does nothing
                log.exception("poll_failed")
                self._stop.wait(RETRY_SECONDS)

    def _take(self, pool: ThreadPoolExecutor, delivery: Delivery) -> None:
        with self._lock:
            if not self._stop.is_set():
                self._futures.add(pool.submit(self._work, delivery))
                return
        self._queue.put_back(delivery, 0)  # it came while this process was about to end

    def _work(self, delivery: Delivery) -> None:
        close_old_connections()
        try:
            self._deliveries.handle(delivery)
        except Exception:  # nothing that a message brings about may end the loop
            log.exception("delivery_failed")
        finally:
            close_old_connections()

    def _drain(self) -> bool:
        """Lets what runs finish for a while, then gives it back. False if something still runs."""
        with self._lock:
            running = set(self._futures)
        _, unfinished = wait(running, self._stopping.seconds_left)
        self._stopping.wait_for_polls(self._timing.poll_end_seconds)
        self._running.give_back_all()
        return not unfinished
