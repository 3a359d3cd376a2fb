"""The sweeper: marks jobs of silent workers as stalled, and keeps unfinished topics in Redis.

It runs in the relay that holds the lease, so only one sweeper runs at a time. One tenant's bad data does not affect the
sweep of others.
"""

import time
from collections.abc import Callable
from typing import cast

import structlog
from redis import Redis

from realtime.records.commands import Commands
from realtime.records.errors import BadRecordError
from realtime.records.keys import Keys
from realtime.records.record import draft_record, join_record
from realtime.records.script_batches import Call, batched, run_script
from realtime.records.scripts import Limits
from realtime.records.source import Source
from realtime.records.transitions import Status, Verdict
from realtime.repair.leases import Leases, redis_time, status_texts
from realtime.repair.rebuild import Compare, Indexed, Rebuild, Rebuilt, run_in_batches

log = structlog.get_logger(__name__)

SWEEPS_A_LEASE = 6
MAINTAIN_SECONDS = 60.0
"""How often the expiry of keys is renewed. Keys expire only after hours, so a pause of the sweeper does no harm."""
COMPARE_SECONDS = 300.0
"""How often `end_missing` compares all unfinished topics with the database."""
SILENT_SECONDS = 7 * 86_400
"""An unfinished topic whose kind is not in `Source.kinds` is ended if it has no row in the database and got no new
record for this long."""
NO_CLOCK = 1_500_000_000
"""In Unix seconds. A record with an earlier time never counts as silent: the clock of its machine was not set."""
SEARCH_SECONDS = 3600.0
"""The time between two searches of all keys for ended topics without expiry."""
SEARCH_KEYS = 2000
"""About how many keys one call of `expire_ended` scans. That takes some milliseconds."""


class Sweeper:
    """Sweeps the records of all tenants. The relay calls `sweep_if_due` often, and a sweep is due every few seconds."""

    def __init__(
        self,
        redis: Redis,
        source: Source,
        *,
        key_prefix: str = "",
        limits: Limits | None = None,
        old_workers: bool = False,
    ) -> None:
        """Set which Redis to sweep. With `old_workers`, unfinished topics are compared with the database every minute.

        Old workers, whose version had no tenants, write the end of a job only to the database.
        """
        self._redis = redis
        self._compare: Compare = "unfinished" if old_workers else "none"
        self._source = source
        self._keys = Keys(key_prefix)
        self._limits = limits or Limits()
        self._commands = Commands(key_prefix, self._limits)
        self._rebuild = Rebuild(redis, source, key_prefix=key_prefix, limits=self._limits)
        self.leases = Leases(redis, self._rebuild, self.maintain, key_prefix=key_prefix, limits=self._limits)
        self._swept_at = self._maintained_at = self._searched_at = float("-inf")
        self._compared_at = time.monotonic()
        self._missing: set[Indexed] = set()
        """The unfinished topics that had no row in the database at the last comparison."""
        self._cursor = 0

    @property
    def sweep_seconds(self) -> float:
        """The time between two sweeps."""
        return self._limits.lease_seconds / SWEEPS_A_LEASE

    def sweep_if_due(self, between: Callable[[], object] = lambda: None) -> None:
        """Sweep if the last sweep is long enough ago.

        Raise RedisError if Redis fails, and any error of `Source.tenants`. After an error the next sweep is due at its
        usual time. `between` is called before each batch of tenants; its exceptions end the sweep.
        """
        now = time.monotonic()
        if now - self._swept_at < self.sweep_seconds:
            return
        self._swept_at = now
        tenant_ids = self._source.tenants()
        self.leases.cap(tenant_ids)
        if not self.leases.stalling_paused():
            run_in_batches(tenant_ids, self.leases.stall, "stall", between)
        if now - self._maintained_at >= MAINTAIN_SECONDS:
            self._maintained_at = now
            self.maintain(tenant_ids, between)
        if now - self._compared_at >= COMPARE_SECONDS:
            self._compared_at = now
            self.end_missing(tenant_ids, between)
        if self._cursor or now - self._searched_at >= SEARCH_SECONDS:
            self._searched_at = now
            self.expire_ended()

    def maintain(self, tenant_ids: list[int], between: Callable[[], object] = lambda: None) -> None:
        """Renew the expiry of unfinished topics, and repair topics that were evicted."""
        done = Rebuilt()
        run_in_batches(
            tenant_ids,
            lambda batch: done.add(self._rebuild.maintain(batch, compare=self._compare)),
            "maintain",
            between,
        )
        if done.published or done.restored:
            log.info("topics_repaired", published=done.published, restored=done.restored)

    def end_missing(self, tenant_ids: list[int], between: Callable[[], object] = lambda: None) -> int:
        """Publish CANCELLED for unfinished topics that nothing else will ever end. Return their number.

        A topic whose kind is in `Source.kinds` has a row in the database while it is unfinished. So it is ended if it
        had no row at two successive comparisons. A topic of any other kind is ended if it has no row and got no
        new record for `SILENT_SECONDS`.
        """
        done = Rebuilt()
        run_in_batches(
            tenant_ids, lambda batch: done.add(self._rebuild.maintain(batch, compare="unfinished")), "compare", between
        )
        kinds = getattr(self._source, "kinds", ())
        without_row = {topic for topic in done.missing if topic.topic.partition(":")[0] in kinds}
        ended = sum(
            self._end(batch)
            for batch in (
                *batched(without_row & self._missing),
                *batched(self._silent([topic for topic in done.missing if topic not in without_row])),
            )
        )
        self._missing = without_row
        if ended:
            log.warning("topics_ended", count=ended)
        return ended

    def _silent(self, topics: list[Indexed]) -> list[Indexed]:
        """Return the topics for which no record was published for `SILENT_SECONDS`."""
        seconds = redis_time(self._redis)
        silent: list[Indexed] = []
        for batch in batched(topics):
            for topic, text in zip(batch, status_texts(self._redis, self._keys, batch), strict=True):
                try:
                    if text is not None and NO_CLOCK < join_record(text, None).published_at < seconds - SILENT_SECONDS:
                        silent.append(topic)
                except BadRecordError as problem:
                    log.warning("bad_record", error=str(problem))
        return silent

    def _end(self, topics: list[Indexed]) -> int:
        calls = [
            self._commands.publish(
                topic.tenant_id,
                draft_record(
                    topic=topic.topic,
                    attempt=topic.attempt,
                    status=Status.CANCELLED,
                    published_at=redis_time(self._redis),
                ),
            )
            for topic in topics
        ]
        answers = run_script(self._redis, "publish", calls, at_the_limit=True)
        return sum(answer is not None and answer[0] == Verdict.ACCEPTED.encode() for answer in answers)

    def expire_ended(self) -> int:
        """Set an expiry for ended topics that have none, because older versions kept them for ever.

        Return how many topics got an expiry. Each call does one step of a scan over all keys.
        """
        if not self._limits.terminal_ttl_seconds:
            return 0
        self._cursor, found = self._redis.scan(self._cursor, match=self._keys.any_status(), count=SEARCH_KEYS)
        names = (cast("bytes", name).decode() for name in found)
        calls: list[Call] = [
            (
                [self._keys.status(tenant_id, topic), self._keys.index(tenant_id)],
                [topic, self._limits.terminal_ttl_seconds],
            )
            for tenant_id, topic in filter(None, map(self._keys.topic_of_status, names))
        ]
        expired: int = sum(filter(None, run_script(self._redis, "expire_ended", calls)))
        if expired:
            log.info("topics_given_expiry", count=expired)
        return expired
