"""The relay: sends rows that processes left in the outbox, fills a Redis that has lost data, and runs the sweeper.

It runs in every worker process and as `manage.py realtime_relay`. All relays send rows, and each row is claimed by one
relay at a time. Only the relay that holds a lease fills Redis and sweeps. Each kind of row is sent in a thread of its
own, and one more thread fills Redis and sweeps. So a terminal record never waits for a queue that hangs, for slow
queries of the project's source, or for a large fill.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeVar

import structlog
from django.db import DatabaseError, close_old_connections, connection
from django.db.models.functions import Now
from redis.exceptions import RedisError

from realtime import conf
from realtime.models import OutboxEntry
from realtime.outbox.claims import set_aside_rows
from realtime.outbox.delivery import Delivery, Outcome, deliveries
from realtime.outbox.lease import Lease
from realtime.outbox.outbox import give_back_pooled_connection
from realtime.outbox.publish_again import TAKEN_OVER_SECONDS, Republisher
from realtime.outbox.refill_redis import KEPT, Refill
from realtime.records.errors import LeaseLostError
from realtime.repair.rebuild import Rebuild
from realtime.repair.sweeper import Sweeper

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

PAUSE_SECONDS = 0.5
"""The pause between rounds. It is short, because a revocation that its own process could not send must reach all
processes within a second."""
PURGE_SECONDS = 300.0
SET_ASIDE_KEPT = timedelta(days=30)
END_SECONDS = 5.0
"""How long `Relay.run` waits at its end for the rows that are being sent."""


class Relay:
    """Delivers rows and maintains Redis until it is stopped.

    One thread claims the rows of all kinds and notes the results, so that this needs only one database connection. Each
    kind is sent in its own thread, and another thread maintains Redis.
    """

    def __init__(self) -> None:
        self._deliveries = deliveries()
        self._maintenance = Maintenance()
        self._failures: Counter[str] = Counter()
        self._idle = list(self._deliveries)
        self._results: SimpleQueue[tuple[Delivery, Outcome | None]] = SimpleQueue()
        self._rows: dict[str, SimpleQueue[list[OutboxEntry]]] = {part.kind: SimpleQueue() for part in self._deliveries}

    def run(self, stop: threading.Event) -> None:
        """Look twice a second for due rows, and maintain Redis, until `stop` is set.

        An outage of the database, of Redis or of a queue does not end this loop.
        """
        threads = [threading.Thread(target=self._maintain, args=[stop], name="relay-maintenance", daemon=True)]
        for delivery in self._deliveries:
            delivery.stop = stop
            # Daemon threads, so that the end of the process does not wait for a queue that hangs.
            name = f"relay-{delivery.kind}"
            threads.append(threading.Thread(target=self._send, args=[delivery, stop], name=name, daemon=True))
        for thread in threads:
            thread.start()
        while not stop.is_set():
            close_old_connections()
            self._claim()
            self._note(PAUSE_SECONDS)
        until = time.monotonic() + END_SECONDS
        while len(self._idle) < len(self._deliveries) and time.monotonic() < until:
            self._note(max(0.0, until - time.monotonic()))
        threads[0].join(max(0.0, until - time.monotonic()))
        connection.close()

    def round(self) -> bool:
        """Send all due rows, maintain Redis once, and give the lease up, all in this thread.

        Return whether any row was sent.
        """
        sent = False
        for delivery in self._deliveries:
            while rows := self._claimed(delivery):
                outcome = delivery.send(rows)
                self._once(f"note {delivery.kind}", partial(delivery.note, outcome), None)
                sent = sent or bool(outcome.sent)
                if not (outcome.sent or outcome.unsendable):
                    break
        self._once("relay-maintenance", self._maintenance.round, None)
        self._once("relay-maintenance", self._maintenance.end, None)
        return sent

    def _claim(self) -> None:
        for delivery in list(self._idle):
            if rows := self._claimed(delivery):
                self._idle.remove(delivery)
                self._rows[delivery.kind].put(rows)

    def _claimed(self, delivery: Delivery) -> list[OutboxEntry]:
        nothing: list[OutboxEntry] = []
        rows = self._once(f"claim {delivery.kind}", delivery.claim, nothing)
        give_back_pooled_connection()
        return rows

    def _note(self, seconds: float) -> None:
        """Wait up to `seconds` for the outcome of a delivery. Store this outcome and all others that have arrived."""
        with suppress(Empty):
            while True:
                delivery, outcome = self._results.get(timeout=seconds) if seconds else self._results.get_nowait()
                self._idle.append(delivery)
                if outcome is not None:
                    self._once(f"note {delivery.kind}", partial(delivery.note, outcome), None)
                    if not (outcome.sent or outcome.unsendable):
                        continue  # nothing could be sent: keep waiting, so that the next claim comes after the pause
                seconds = 0.0

    def _send(self, delivery: Delivery, stop: threading.Event) -> None:
        while True:
            try:
                rows = self._rows[delivery.kind].get(timeout=PAUSE_SECONDS)
            except Empty:
                if stop.is_set():
                    break
                continue
            close_old_connections()  # a sender of the project may use SQL
            outcome = self._once(f"send {delivery.kind}", partial(delivery.send, rows), None)
            self._results.put((delivery, outcome))
        connection.close()

    def _maintain(self, stop: threading.Event) -> None:
        while not stop.is_set():
            close_old_connections()
            self._once("relay-maintenance", self._maintenance.round, None)
            stop.wait(PAUSE_SECONDS)
        self._once("relay-maintenance", self._maintenance.end, None)
        connection.close()

    def _once(self, name: str, part: Callable[[], Answer], otherwise: Answer) -> Answer:
        """Call `part`. Return its answer, or `otherwise` if it raises an error.

        Log an error only if the previous call with this `name` raised none, and log the first success after errors.
        """
        try:
            answer = part()
        except (DatabaseError, RedisError, OSError, LeaseLostError) as problem:
            if not self._failures[name]:
                log.warning("relay_round_failed", part=name, error=str(problem).strip())
        except Exception:
            if not self._failures[name]:
                log.exception("relay_round_failed", part=name)
        else:
            if self._failures[name]:
                log.info("relay_works_again", part=name, failures=self._failures.pop(name))
            return answer
        self._failures[name] += 1
        return otherwise


class Maintenance:
    """The work of the relay that holds the lease: it fills a Redis that lost data, sweeps, and deletes old rows."""

    def __init__(self) -> None:
        source, prefix, limits = conf.source(), conf.key_prefix(), conf.limits()
        rebuild = Rebuild(conf.redis(), source, key_prefix=prefix, limits=limits)
        old_workers = conf.old_keys() is not None
        self._sweeper = Sweeper(conf.redis(), source, key_prefix=prefix, limits=limits, old_workers=old_workers)
        self._republisher = Republisher()
        self._refill = Refill(source, rebuild, self._sweeper, self._republisher)
        # Half as long as a worker's lease. If a worker dies together with its relay, another relay takes over early
        # enough to mark the worker's jobs as stalled in time.
        self._lease = Lease("tending", limits.lease_seconds / 2)
        self._tends = False
        self._failing: set[str] = set()
        self._purged_at = float("-inf")

    def round(self) -> None:
        """Do the work that is due, unless another relay holds the lease.

        Raise LeaseLostError if another relay takes the lease over meanwhile, and DatabaseError if the database fails.
        """
        tended, self._tends = self._tends, self._lease.hold()
        if self._tends:
            if not tended:
                self._republisher.plan(TAKEN_OVER_SECONDS)
            self._try("redis_not_filled", self._refill.if_needed)
            self._try("publish_again_failed", self._republisher.if_due)
            self._try("sweep_failed", self._sweeper.sweep_if_due)
            self._purge()

    def end(self) -> None:
        """Give the lease up, so that another relay can take it at once. Raise DatabaseError if the database fails."""
        self._tends = False
        self._lease.give()

    def _try(self, event: str, step: Callable[[Callable[[], object]], object]) -> None:
        """Run one step. Log its first failure, but no others until it succeeds. The next round tries it again.

        Of the errors of the step, only LeaseLostError is raised.
        """
        try:
            step(self._lease.keep)
        except LeaseLostError:
            raise
        except Exception as problem:  # the project's source may raise any error
            if event not in self._failing:
                self._failing.add(event)
                log.warning(event, error=str(problem).strip(), exc_info=not isinstance(problem, RedisError))
        else:
            self._failing.discard(event)

    def _purge(self) -> None:
        if time.monotonic() - self._purged_at < PURGE_SECONDS:
            return
        self._purged_at = time.monotonic()
        OutboxEntry.objects.filter(sent_at__lt=Now() - KEPT).delete()
        if given_up := set_aside_rows().filter(failed_at__lt=Now() - SET_ASIDE_KEPT).order_by().delete()[0]:
            log.warning("outbox_rows_given_up", count=given_up)
