"""The relay: sends what processes left behind in the outbox, fills a Redis that has lost something, and sweeps.

It runs in every worker process and as `manage.py realtime_relay`. All of them send: each claims rows of its own. What
one has to do for all (filling, sweeping) belongs to the holder of a lease. Each part has a thread of its own, so that
none waits for another: a queue that hangs, a slow database of the project's, or a large fill hold up no end of a job.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import structlog
from django.db import DatabaseError, close_old_connections, connection
from django.db.models.functions import Now
from redis.exceptions import RedisError

from realtime import conf
from realtime.claims import set_aside_rows
from realtime.delivery import Delivery, deliveries
from realtime.errors import LeaseLostError
from realtime.lease import Lease
from realtime.models import OutboxEntry
from realtime.rebuild import Rebuild
from realtime.refill import KEPT, Refill
from realtime.sweeper import Sweeper

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 0.5
"""A revocation that only a relay sends has to be heard within a second."""
PURGE_SECONDS = 300.0
SET_ASIDE_KEPT = timedelta(days=30)
END_SECONDS = 5.0
"""How long the end of the process waits for what its relay is sending."""


class Relay:
    """Several parts that work in rounds; `run` makes rounds of each until told to stop."""

    def __init__(self) -> None:
        self._deliveries = deliveries()
        self._tending = Tending()
        self._failures: Counter[str] = Counter()

    @property
    def _parts(self) -> dict[str, Callable[[], bool]]:
        return {**{f"relay-{part.kind}": part.round for part in self._deliveries}, "relay-tending": self._tending.round}

    def run(self, stop: threading.Event) -> None:
        """Makes two rounds a second of each part. No outage of the database, Redis or a queue ends it."""
        for delivery in self._deliveries:
            delivery.stop = stop
        # Daemons: the end does not wait for a queue that hangs.
        threads = [
            threading.Thread(target=self._repeat, args=[name, part, stop], name=name, daemon=True)
            for name, part in self._parts.items()
        ]
        for thread in threads:
            thread.start()
        stop.wait()
        until = time.monotonic() + END_SECONDS
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def round(self) -> bool:
        """One round of each part, one after the other; then any relay may go on. True if there may be more to send."""
        busy = [self._once(name, part) for name, part in self._parts.items()]
        self._once("relay-tending", self._tending.end)
        return any(busy)

    def _repeat(self, name: str, part: Callable[[], bool], stop: threading.Event) -> None:
        while not stop.is_set():
            close_old_connections()
            if not self._once(name, part):
                stop.wait(PAUSE_SECONDS)
        if part == self._tending.round:
            self._once(name, self._tending.end)
        connection.close()

    def _once(self, name: str, part: Callable[[], bool]) -> bool:
        try:
            busy = part()
        except (DatabaseError, RedisError, OSError, LeaseLostError) as problem:
            if not self._failures[name]:
                log.warning("relay_round_failed", part=name, error=str(problem).strip())
        except Exception:
            if not self._failures[name]:
                log.exception("relay_round_failed", part=name)
        else:
            if self._failures[name]:
                log.info("relay_works_again", part=name, failures=self._failures.pop(name))
            return busy
        self._failures[name] += 1
        return False


class Tending:
    """What one relay does for all: it fills a Redis that lost something, sweeps, and deletes old rows."""

    def __init__(self) -> None:
        source, prefix, limits = conf.source(), conf.key_prefix(), conf.limits()
        rebuild = Rebuild(conf.redis(), source, key_prefix=prefix, limits=limits)
        old_workers = conf.old_keys() is not None
        self._sweeper = Sweeper(conf.redis(), source, key_prefix=prefix, limits=limits, old_workers=old_workers)
        self._refill = Refill(source, rebuild, self._sweeper)
        # Half as long as a worker's: also where the worker died with its relay, others see in time that it is gone.
        self._lease = Lease("tending", limits.lease_seconds / 2)
        self._failing: set[str] = set()
        self._purged_at = float("-inf")

    def round(self) -> bool:
        """Does what is due, if no other relay does. Raises DatabaseError, LeaseLostError."""
        if self._lease.hold():
            self._try("redis_not_filled", self._refill.if_needed)
            self._try("sweep_failed", self._sweeper.sweep_if_due)
            self._purge()
        return False

    def end(self) -> bool:
        """Lets another relay go on at once. Raises DatabaseError."""
        self._lease.give()
        return False

    def _try(self, event: str, step: Callable[[Callable[[], object]], object]) -> None:
        """Each step fails for itself, and is tried again later. Raises LeaseLostError."""
        try:
            step(self._lease.keep)
        except LeaseLostError:
            raise
        except Exception as problem:  # the project's source may raise what it likes
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


__all__ = ["Delivery", "Relay", "Tending"]
