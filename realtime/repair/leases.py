"""The leases of workers. A job whose worker no longer renews its lease is marked as stalled.

A worker's lease lasts 30 s from its last heartbeat, and the sweeper checks the leases every 5 to 6 s, because the
relay pauses between its rounds. So a browser shows "stalled" at most 36 s after a worker was killed. The queue delivers
the job's message again 40 s after the last heartbeat.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import orjson
import structlog
from redis import Redis

from realtime.records.commands import Commands
from realtime.records.errors import BadRecordError
from realtime.records.keys import Keys
from realtime.records.record import Draft, draft_record, join_record
from realtime.records.script_batches import Call, answers_of, batched, run_script
from realtime.records.scripts import Limits
from realtime.records.transitions import Status, Verdict
from realtime.redis.clock import seconds_of
from realtime.repair.rebuild import Indexed, Rebuild

log = structlog.get_logger(__name__)

CLOCK_SECONDS = 5.0
"""A lease may end this much later than the sweeper expects, because a worker may renew it while the sweeper reads."""
MOST_LAPSED = 100
"""How many of a tenant's expired leases one sweep handles at most. The next sweep handles the others."""


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A lease that ran out."""

    tenant_id: int
    topic: str
    deadline: float


class Leases:
    """The leases of all topics. Methods raise RedisError if Redis fails, and any error of the project's source."""

    def __init__(
        self,
        redis: Redis,
        rebuild: Rebuild,
        maintain: Callable[[list[int]], object],
        *,
        key_prefix: str = "",
        limits: Limits | None = None,
    ) -> None:
        """Store these objects. `maintain` is a function that repairs the evicted topics of a list of tenants."""
        self._redis, self._rebuild, self._maintain = redis, rebuild, maintain
        self._keys = Keys(key_prefix)
        self._limits = limits or Limits()
        self._commands = Commands(key_prefix, self._limits)

    def pause_stalling(self) -> None:
        """Forbid marking topics as stalled for the length of one lease.

        Call this after Redis was down or lost data, because the workers could not renew their leases. The pause is
        noted in Redis, so that it also applies if another process becomes the sweeper.
        """
        milliseconds = max(1, int(self._limits.lease_seconds * 1000))
        run_script(self._redis, "set_note", [([self._keys.settling()], [1, "PX", milliseconds])])

    def stalling_paused(self) -> bool:
        """Return whether a pause that some process set with `pause_stalling` is still in effect."""
        return bool(self._redis.exists(self._keys.settling()))

    def stall(self, tenant_ids: list[int]) -> int:
        """Mark running topics as stalled if their lease ran out. Return how many were marked."""
        stalled = sum(self._stall(batch) for batch in batched(self._lapsed(tenant_ids)))
        if stalled:
            log.info("topics_stalled", count=stalled)
        return stalled

    def cap(self, tenant_ids: list[int]) -> int:
        """Shorten leases that end over CLOCK_SECONDS later than a lease that is renewed now. Return their number.

        Such leases were renewed while the clock of Redis was ahead. If the clock was an hour ahead, the death of a
        worker would otherwise stay unnoticed for an hour.
        """
        latest = redis_time(self._redis) + self._limits.lease_seconds
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

    def _lapsed(self, tenant_ids: list[int]) -> list[Lapsed]:
        now = redis_time(self._redis)
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

    def _stall(self, lapsed: list[Lapsed]) -> int:
        texts = status_texts(self._redis, self._keys, lapsed)
        evicted = {lease.tenant_id for lease, text in zip(lapsed, texts, strict=True) if text is None}
        if evicted:
            self._maintain(sorted(evicted))
        if self._end_forgotten(lapsed) or evicted:
            texts = status_texts(self._redis, self._keys, lapsed)
        marks: list[Call] = []
        drops: list[Call] = []
        now = redis_time(self._redis)
        for lease, text in zip(lapsed, texts, strict=True):
            found = stalled_draft(text, now) if text is not None else None
            if found is not None:
                marks.append(self._mark_call(lease.tenant_id, *found))
            else:
                drops.append(([self._keys.leases(lease.tenant_id)], [lease.topic, repr(lease.deadline)]))
        run_script(self._redis, "drop_lease", drops)
        return run_script(self._redis, "stall", marks).count(Verdict.ACCEPTED.encode())

    def _end_forgotten(self, lapsed: list[Lapsed]) -> int:
        """Publish the final status of each of these topics that has ended in the database. Return their number.

        Redis forgets a topic some time after its end. A worker that was frozen during that time does not know of the
        end, and publishes the topic as running.
        """
        running = [Indexed(lease.tenant_id, lease.topic, 0, 0, present=True) for lease in lapsed]
        return self._rebuild.mend(running, only_terminal=True).published

    def _mark_call(self, tenant_id: int, draft: Draft, offset: int) -> Call:
        names, values = self._commands.publish(tenant_id, draft)
        return names, [*values, offset]


def redis_time(redis: Redis) -> float:
    """Return the time of Redis, in Unix seconds."""
    return seconds_of(redis.time())


def status_texts(redis: Redis, keys: Keys, topics: Sequence[Lapsed | Indexed]) -> list[bytes | None]:
    """Return the values of the status keys of these topics; None for a key that does not exist."""
    with redis.pipeline(transaction=False) as pipe:
        for topic in topics:
            pipe.get(keys.status(topic.tenant_id, topic.topic))
        return answers_of(pipe, "status")


def stalled_draft(text: bytes, now: float) -> tuple[Draft, int] | None:
    """Parse the text of a status key. Return its record, marked as stalled, and the offset of the record.

    Return None if the record is not running, is already marked, or cannot be read. The progress is in another key,
    which does not change.
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
