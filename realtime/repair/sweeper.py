"""The sweeper: marks jobs of silent workers as stalled, and keeps unfinished topics in Redis.

It runs in the relay that holds the lease, so there is one at a time. A worker's lease lasts 30 s from its last
heartbeat, and the sweeper looks every 5 s. So a browser shows "stalled" at most 36 s after a worker was killed; the
queue delivers its message again after 40 s. One tenant's bad data does not affect the sweep of others.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import cast

import orjson
import structlog
from redis import Redis

from realtime.records.batches import Call, answers_of, batched, run_script
from realtime.records.commands import Commands
from realtime.records.errors import BadRecordError
from realtime.records.keys import Keys
from realtime.records.record import Draft, draft_record, join_record
from realtime.records.scripts import Limits
from realtime.records.source import Source
from realtime.records.transitions import Status, Verdict
from realtime.repair.rebuild import Compare, Indexed, Rebuild, Rebuilt, run_in_batches

log = structlog.get_logger(__name__)

SWEEPS_A_LEASE = 6
MAINTAIN_SECONDS = 60.0
"""How often the expiry of keys is renewed. It is hours away, so a sweeper that pauses for a while does no harm."""
COMPARE_SECONDS = 300.0
"""How often all unfinished topics are compared with the database."""
SILENT_SECONDS = 7 * 86_400
"""An unfinished topic that the database does not have is ended if it was not published for this long."""
NO_CLOCK = 1_500_000_000
"""Unix seconds. An earlier time comes from a machine whose clock was not set."""
SEARCH_SECONDS = 3600.0
"""The time between two searches of all keys for ended topics without expiry."""
SEARCH_KEYS = 2000
"""The number of keys that one sweep looks at, which takes some milliseconds."""
CLOCK_SECONDS = 5.0
"""A lease may be this much longer than a whole one, because it may be renewed while the sweeper reads."""
MOST_LAPSED = 100
"""The number of a tenant's leases that one sweep handles. The next sweep handles the others."""


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A lease that ran out."""

    tenant_id: int
    topic: str
    deadline: float


class Sweeper:
    """Sweeps every few seconds, when its caller asks whether a sweep is due."""

    def __init__(
        self,
        redis: Redis,
        source: Source,
        *,
        key_prefix: str = "",
        limits: Limits | None = None,
        old_workers: bool = False,
    ) -> None:
        """With `old_workers`, compare each unfinished topic with the database: old workers end jobs only there."""
        self._redis = redis
        self._compare: Compare = "unfinished" if old_workers else "none"
        self._source = source
        self._keys = Keys(key_prefix)
        self._limits = limits or Limits()
        self._commands = Commands(key_prefix, self._limits)
        self._rebuild = Rebuild(redis, source, key_prefix=key_prefix, limits=self._limits)
        self._swept_at = self._maintained_at = self._searched_at = float("-inf")
        self._compared_at = time.monotonic()
        self._missing: set[Indexed] = set()
        """The unfinished topics that had no row at the last comparison."""
        self._cursor = 0

    @property
    def sweep_seconds(self) -> float:
        """The time between two sweeps."""
        return self._limits.lease_seconds / SWEEPS_A_LEASE

    def pause_stalling(self) -> None:
        """Mark no topic as stalled for the length of one lease: while Redis was down, workers could not renew theirs.

        The mark is in Redis, so that it applies to any process that sweeps next. Raise RedisError.
        """
        milliseconds = max(1, int(self._limits.lease_seconds * 1000))
        run_script(self._redis, "note", [([self._keys.settling()], [1, "PX", milliseconds])])

    def sweep_if_due(self, between: Callable[[], object] = lambda: None) -> None:
        """Sweep if the last sweep is long enough ago. Raise RedisError, and what the source raises.

        After an error, it is tried again when the next sweep is due. `between` is called before each step; its
        exceptions end the sweep.
        """
        now = time.monotonic()
        if now - self._swept_at < self.sweep_seconds:
            return
        self._swept_at = now
        tenant_ids = self._source.tenants()
        self.cap_leases(tenant_ids)
        if not self._redis.exists(self._keys.settling()):
            run_in_batches(tenant_ids, self.stall, "stall", between)
        if now - self._maintained_at >= MAINTAIN_SECONDS:
            self._maintained_at = now
            self.maintain(tenant_ids, between)
        if now - self._compared_at >= COMPARE_SECONDS:
            self._compared_at = now
            self.end_missing(tenant_ids, between)
        if self._cursor or now - self._searched_at >= SEARCH_SECONDS:
            self._searched_at = now
            self.expire_ended()

    def stall(self, tenant_ids: list[int]) -> int:
        """Mark the topics whose leases ran out as stalled. Return their number."""
        stalled = sum(self._stall(batch) for batch in batched(self._lapsed(tenant_ids)))
        if stalled:
            log.info("topics_stalled", count=stalled)
        return stalled

    def cap_leases(self, tenant_ids: list[int]) -> int:
        """Shorten leases that end later than one that begins now. Return their number.

        They were renewed while the clock of Redis was ahead. If their workers are dead, that would stay unnoticed for
        as long as the clock was ahead.
        """
        latest = self._redis_time() + self._limits.lease_seconds
        capped = 0
        for batch in batched(tenant_ids):
            with self._redis.pipeline(transaction=False) as pipe:
                for tenant_id in batch:
                    pipe.zrangebyscore(self._keys.leases(tenant_id), f"({latest + CLOCK_SECONDS}", "+inf")
                answers = answers_of(pipe, "leases")
            for tenant_id, topics in zip(batch, answers, strict=True):
                if topics:
                    self._redis.zadd(self._keys.leases(tenant_id), dict.fromkeys(topics, latest), xx=True, lt=True)
                    capped += len(topics)
        if capped:
            log.warning("leases_capped", count=capped)
        return capped

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

        A topic of a kind whose rows the source knows (`Source.kinds`) is ended if it had no row at two successive
        comparisons, because the end of a job is written to its row. Any other is ended after `SILENT_SECONDS` without a
        new record.
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
        """Return those of these topics that were not published for `SILENT_SECONDS`."""
        seconds = self._redis_time()
        silent: list[Indexed] = []
        for batch in batched(topics):
            for topic, text in zip(batch, self._texts(batch), strict=True):
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
                    topic=topic.topic, attempt=topic.attempt, status=Status.CANCELLED, published_at=self._redis_time()
                ),
            )
            for topic in topics
        ]
        answers = run_script(self._redis, "publish", calls, at_the_limit=True)
        return sum(answer is not None and answer[0] == Verdict.ACCEPTED.encode() for answer in answers)

    def expire_ended(self) -> int:
        """Give ended topics without expiry, which older versions kept for ever, an expiry. Return their number.

        This is one step of a scan over all keys. The next sweep takes the next step.
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

    def _lapsed(self, tenant_ids: list[int]) -> list[Lapsed]:
        now = self._redis_time()
        found: list[Lapsed] = []
        for batch in batched(tenant_ids):
            with self._redis.pipeline(transaction=False) as pipe:
                for tenant_id in batch:
                    pipe.zrangebyscore(
                        self._keys.leases(tenant_id), "-inf", now, start=0, num=MOST_LAPSED, withscores=True
                    )
                answers = answers_of(pipe, "leases")
            found += chain.from_iterable(
                [Lapsed(tenant_id, topic.decode(), deadline) for topic, deadline in answer]
                for tenant_id, answer in zip(batch, answers, strict=True)
                if answer is not None
            )
        return found

    def _redis_time(self) -> float:
        seconds, microseconds = self._redis.time()
        return seconds + microseconds / 1_000_000

    def _stall(self, lapsed: list[Lapsed]) -> int:
        texts = self._texts(lapsed)
        evicted = {lease.tenant_id for lease, text in zip(lapsed, texts, strict=True) if text is None}
        if evicted:
            self.maintain(sorted(evicted))
        if self._end_forgotten(lapsed) or evicted:
            texts = self._texts(lapsed)
        marks: list[Call] = []
        drops: list[Call] = []
        now = self._redis_time()
        for lease, text in zip(lapsed, texts, strict=True):
            found = stalled_draft(text, now) if text is not None else None
            if found is not None:
                marks.append(self._mark_call(lease.tenant_id, *found))
            else:
                drops.append(([self._keys.leases(lease.tenant_id)], [lease.topic, repr(lease.deadline)]))
        run_script(self._redis, "drop_lease", drops)
        return run_script(self._redis, "stall", marks).count(Verdict.ACCEPTED.encode())

    def _end_forgotten(self, lapsed: list[Lapsed]) -> int:
        """Publish the topics that have ended in the database. Return their number.

        Redis forgets topics that ended long ago. A worker that was frozen since may bring such a topic back.
        """
        running = [Indexed(lease.tenant_id, lease.topic, 0, 0, present=True) for lease in lapsed]
        return self._rebuild.mend(running, only_terminal=True).published

    def _texts(self, topics: Sequence[Lapsed | Indexed]) -> list[bytes | None]:
        with self._redis.pipeline(transaction=False) as pipe:
            for topic in topics:
                pipe.get(self._keys.status(topic.tenant_id, topic.topic))
            return answers_of(pipe, "status")

    def _mark_call(self, tenant_id: int, draft: Draft, offset: int) -> Call:
        names, values = self._commands.publish(tenant_id, draft)
        return names, [*values, offset]


def stalled_draft(text: bytes, now: float) -> tuple[Draft, int] | None:
    """Return a running record marked as stalled, and its offset; None if it is not running or marked already.

    Its progress is in another key and stays.
    """
    try:
        record = join_record(text, None)
        fields = orjson.loads(text)
        if record.status is not Status.PROCESSING or fields["stalled"]:
            return None
        draft = draft_record(
            topic=record.topic,
            attempt=record.attempt,
            status=record.status,
            published_at=now,
            data=fields["data"],
            error=fields["error"],
            stalled=True,
        )
    except (BadRecordError, orjson.JSONDecodeError, KeyError, TypeError) as problem:
        log.warning("bad_record", error=str(problem))
        return None
    return draft, record.offset
