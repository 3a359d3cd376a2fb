"""The sweeper: says of jobs whose worker has gone silent that they are stalled, and keeps unfinished topics in Redis.

Runs within the relay's rounds, so one at a time. A lease lasts 30 s from the last heartbeat; the sweeper looks every
5 s, the relay rests 1 s: a browser shows "stalled" at most 36 s after its worker was killed, and a lost message's next
delivery comes after 40.
"""

import time
from dataclasses import dataclass
from itertools import chain
from typing import cast

import orjson
import structlog
from redis import Redis

from realtime.batches import Call, batched, run_script
from realtime.commands import Commands
from realtime.errors import BadRecordError
from realtime.keys import Keys
from realtime.rebuild import TENANTS_AT_ONCE, Compare, Indexed, Rebuild
from realtime.record import Draft, draft_record, join_record
from realtime.scripts import Limits
from realtime.source import Source
from realtime.transitions import Status, Verdict

log = structlog.get_logger(__name__)

SWEEPS_A_LEASE = 6
TEND_SECONDS = 60.0
"""How often keys are given a longer life. They have hours, so a sweeper that was away does no harm."""
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

    def sweep_if_due(self) -> None:
        """Raises RedisError, or what the source raises; then it is tried again when the next sweep is due."""
        now = time.monotonic()
        if now - self._swept_at < self.sweep_seconds:
            return
        self._swept_at = now
        tenant_ids = self._source.tenants()
        self.cap_leases(tenant_ids)
        if not self._redis.exists(self._keys.settling()):
            self.stall(tenant_ids)
        if now - self._tended_at >= TEND_SECONDS:
            self._tended_at = now
            self.tend(tenant_ids)
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
                answers = pipe.execute()
            for tenant_id, topics in zip(batch, answers, strict=True):
                if topics:
                    self._redis.zadd(self._keys.leases(tenant_id), dict.fromkeys(topics, latest), xx=True, lt=True)
                    capped += len(topics)
        if capped:
            log.warning("leases_capped", count=capped)
        return capped

    def tend(self, tenant_ids: list[int]) -> None:
        """Lets unfinished topics live on, and repairs what was evicted."""
        for batch in batched(tenant_ids, TENANTS_AT_ONCE):
            done = self._rebuild.tend(batch, compare=self._compare)
            if done.published or done.restored:
                log.info("topics_repaired", published=done.published, restored=done.restored)

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
        expired: int = sum(run_script(self._redis, "expire_ended", calls))
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
                answers = pipe.execute()
            found += chain.from_iterable(
                [Lapsed(tenant_id, topic.decode(), deadline) for topic, deadline in answer]
                for tenant_id, answer in zip(batch, answers, strict=True)
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
        for lease, text in zip(lapsed, texts, strict=True):
            found = stalled_draft(text) if text is not None else None
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

    def _texts(self, leases: list[Lapsed]) -> list[bytes | None]:
        with self._redis.pipeline(transaction=False) as pipe:
            for lease in leases:
                pipe.get(self._keys.status(lease.tenant_id, lease.topic))
            return pipe.execute()

    def _mark_call(self, tenant_id: int, draft: Draft, offset: int) -> Call:
        names, values = self._commands.publish(tenant_id, draft)
        return names, [*values, offset]


def stalled_draft(text: bytes) -> tuple[Draft, int] | None:
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
            published_at=time.time(),
            data=fields["data"],
            error=fields["error"],
            stalled=True,
        )
    except (BadRecordError, orjson.JSONDecodeError, KeyError, TypeError) as problem:
        log.warning("bad_record", error=str(problem))
        return None
    return draft, record.offset
