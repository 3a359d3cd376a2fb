"""The loop of every worker: takes messages, claims their jobs, does them, and keeps what it holds alive meanwhile.

A job is idempotent: a message may come twice, and a worker may die at any line. What protects the result is the
attempt: whoever does not hold the current one can neither save nor publish.
"""

import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import structlog
from django.db import close_old_connections

from academy.adapters.queue.sqs import Delivery, QueueUnavailableError, SqsJobQueue
from apps.worker.delivery import Deliveries
from apps.worker.handlers import Handler
from apps.worker.running import RunningJobs
from apps.worker.timing import Timing
from realtime.relay import Relay

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 10  # SQS hands over ten messages at the most
IDLE_SECONDS = 0.2
RETRY_SECONDS = 2.0


class Worker:
    """One process: a thread that polls, one for each job, one heartbeat, and the relay of the outbox."""

    def __init__(self, queue: SqsJobQueue, handlers: dict[str, Handler], concurrency: int, timing: Timing) -> None:
        self._queue = queue
        self._concurrency = concurrency
        self._timing = timing
        self._stop = threading.Event()
        self._running = RunningJobs(queue, timing)
        self._deliveries = Deliveries(queue, handlers, self._running, timing)
        self._futures: set[Future[None]] = set()

    def run(self) -> None:
        """Works until SIGTERM or SIGINT; then takes nothing new, and finishes or gives back what runs."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        relay = threading.Thread(target=Relay().run, args=[self._stop], name="relay", daemon=True)
        heartbeat = threading.Thread(target=self._running.beat, name="heartbeat", daemon=True)
        relay.start()
        heartbeat.start()
        log.info("worker_started", queue=self._queue.name, concurrency=self._concurrency)
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="job") as pool:
            self._poll(pool)
            self._drain()
        self._running.stop()
        heartbeat.join()
        relay.join()
        log.info("worker_stopped")

    def _poll(self, pool: ThreadPoolExecutor) -> None:
        ready = False
        while not self._stop.is_set():
            self._futures = {future for future in self._futures if not future.done()}
            free = self._concurrency - len(self._futures)
            if free == 0:
                self._stop.wait(IDLE_SECONDS)
                continue
            try:
                # The first look does not wait: it shows that the queue is there.
                wait_seconds = self._timing.poll_seconds if ready else 0
                deliveries = self._queue.receive(min(free, MOST_AT_ONCE), wait_seconds)
            except QueueUnavailableError as problem:
                log.warning("queue_unavailable", error=str(problem))
                self._stop.wait(RETRY_SECONDS)
                continue
            if not ready:
                ready = True
                self._timing.say_ready()
            for delivery in deliveries:
                self._futures.add(pool.submit(self._work, delivery))

    def _work(self, delivery: Delivery) -> None:
        close_old_connections()
        try:
            self._deliveries.handle(delivery)
        except Exception:  # nothing that a message brings about may end the loop
            log.exception("delivery_failed", message=delivery.message_id)
        finally:
            close_old_connections()

    def _drain(self) -> None:
        """Lets what runs finish for a while, then gives it back: its own next write then tells it to stop."""
        deadline = time.monotonic() + self._timing.drain_seconds
        while any(not future.done() for future in self._futures) and time.monotonic() < deadline:
            time.sleep(IDLE_SECONDS)
        for future in self._futures:
            future.cancel()
        self._running.give_back_all()
