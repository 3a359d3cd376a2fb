"""The sweeper: says of jobs whose worker has gone silent that they are stalled, and keeps unfinished topics in Redis.

Runs in the relay that holds the lease, so one at a time. A worker's lease lasts 30 s from the last heartbeat; the
sweeper looks every 5 s: a browser shows "stalled" at most 36 s after its worker was killed, and a lost message's next
delivery comes after 40. One tenant's bad data costs no other one its sweep.
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
from realtime.repair.rebuild import Compare, Indexed, Rebuild, Rebuilt, each_alone

log = structlog.get_logger(__name__)

SWEEPS_A_LEASE = 6
TEND_SECONDS = 60.0
"""How often keys are given a longer life. They have hours, so a sweeper that was away does no harm."""
COMPARE_SECONDS = 300.0
"""How often all unfinished topics are compared with the database."""
SILENT_SECONDS = 7 * 86_400
"""After which an unfinished topic is over of which no database knows anything."""
NO_CLOCK = 1_500_000_000
"""Unix seconds. An earlier time says that its machine had no clock."""
SEARCH_SECONDS = 3600.0
"""Between two searches of all keys for ended topics without expiry."""
SEARCH_KEYS = 2000
"""That one sweep looks at: some milliseconds."""
CLOCK_SECONDS = 5.0
"""So much longer than a whole lease is no fault: it may have been renewed while this was being asked."""
MOST_LAPSED = 100
"""Of a tenant in one sweep; the next one goes on."""


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A lease that ran out."""

    tenant_id: int
    topic: str
    deadline: float


class Sweeper:
    """Does what is due when it is asked, at most every few seconds."""

    def __init__(
        self,
        redis: Redis,
        source: Source,
        *,
        key_prefix: str = "",
        limits: Limits | None = None,
        old_workers: bool = False,
    ) -> None:
        """`old_workers`: some end their jobs in the database only, so each unfinished topic is compared with it."""
        self._redis = redis
        self._compare: Compare = "unfinished" if old_workers else "none"
        self._source = source
        self._keys = Keys(key_prefix)
        self._limits = limits or Limits()
        self._commands = Commands(key_prefix, self._limits)
        self._rebuild = Rebuild(redis, source, key_prefix=key_prefix, limits=self._limits)
        self._swept_at = self._tended_at = self._searched_at = float("-inf")
        self._compared_at = time.monotonic()
        self._missing: set[Indexed] = set()
        """Unfinished topics that had no row when they were compared last."""
        self._cursor = 0

    @property
    def sweep_seconds(self) -> float:
        """The time between two sweeps."""
        return self._limits.lease_seconds / SWEEPS_A_LEASE

    def settle(self) -> None:
        """Leaves leases alone for as long as one lasts. For a Redis that has just come up: workers could not renew.

        The mark stands in Redis, so that it holds for whichever process sweeps next. Raises RedisError.
        """
        milliseconds = max(1, int(self._limits.lease_seconds * 1000))
        run_script(self._redis, "note", [([self._keys.settling()], [1, "PX", milliseconds])])

    def sweep_if_due(self, between: Callable[[], object] = lambda: None) -> None:
        """Raises RedisError, or what the source raises; then it is tried again when the next sweep is due.

        `between` is called between two steps; what it raises ends the sweep.
        """
        now = time.monotonic()
        if now - self._swept_at < self.sweep_seconds:
            return
        self._swept_at = now
        tenant_ids = self._source.tenants()
        self.cap_leases(tenant_ids)
        if not self._redis.exists(self._keys.settling()):
            each_alone(tenant_ids, self.stall, "stall", between)
        if now - self._tended_at >= TEND_SECONDS:
            self._tended_at = now
            self.tend(tenant_ids, between)
        if now - self._compared_at >= COMPARE_SECONDS:
            self._compared_at = now
            self.end_missing(tenant_ids, between)
        if self._cursor or now - self._searched_at >= SEARCH_SECONDS:
            self._searched_at = now
            self.expire_ended()

    def stall(self, tenant_ids: list[int]) -> int:
        """Marks the topics whose leases ran out. Returns how many."""
        stalled = sum(self._stall(batch) for batch in batched(self._lapsed(tenant_ids)))
        if stalled:
            log.info("topics_stalled", count=stalled)
        return stalled

    def cap_leases(self, tenant_ids: list[int]) -> int:
        """Shortens leases that end later than one that begins now. Returns how many.

        They were renewed while the clock of Redis was ahead. Their workers may be dead, which must not go unnoticed for
        as long as the clock was wrong.
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

    def tend(self, tenant_ids: list[int], between: Callable[[], object] = lambda: None) -> None:
        """Lets unfinished topics live on, and repairs what was evicted."""
        done = Rebuilt()
        each_alone(
            tenant_ids, lambda batch: done.add(self._rebuild.tend(batch, compare=self._compare)), "tend", between
        )
        if done.published or done.restored:
            log.info("topics_repaired", published=done.published, restored=done.restored)

    def end_missing(self, tenant_ids: list[int], between: Callable[[], object] = lambda: None) -> int:
        """Ends unfinished topics that nobody will ever end. Returns how many.

        A topic of a kind whose rows the source knows (`Source.kinds`) is over when it had no row at two looks in
        succession: the end of a job is written into its row. Any other is over when nothing was said of it for long.
        """
        done = Rebuilt()
        each_alone(
            tenant_ids, lambda batch: done.add(self._rebuild.tend(batch, compare="unfinished")), "compare", between
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
        """Those of these of which nothing was said for long."""
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
        """Gives ended topics an expiry that have none: those of versions that kept them for ever. Returns how many.

        One step through all keys of Redis; the next sweep takes the next.
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
            self.tend(sorted(evicted))
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
        """Publishes what has ended in the database. Returns how many.

        Redis forgets what ended long ago; a worker that was frozen since may then bring its topic back.
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
    """A running record, marked, and the offset that it was read at; None for what is not running or marked already.

    Progress stands in a key of its own and stays.
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
