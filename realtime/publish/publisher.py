"""Publishing, for workers: one round trip to Redis a record. No Django here: any Python process can publish.

Progress is best effort: it never fails or stalls a job (`realtime.publish.pacing` has the rules). A status is published
at once, or raises RedisError; terminal ones are certain if they leave through the outbox
(`realtime.outbox.publish_status_on_commit`), which calls `Publisher.publish` after the commit.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, cast

from redis import Redis
from redis.exceptions import ReadOnlyError, ResponseError

from realtime.publish.async_publisher import AsyncPublisher
from realtime.publish.pacing import Pace, progress_update
from realtime.publish.progress_thread import ProgressThread
from realtime.records import scripts
from realtime.records.batches import answers_of, batched
from realtime.records.commands import Commands, PublishScripts
from realtime.records.metrics import count_published, count_refused, counting_refusals
from realtime.records.record import Draft, Progress, Record, Step, draft_record, join_record, overtakes
from realtime.records.scripts import Limits, Published
from realtime.records.transitions import Verdict
from realtime.redis import links

__all__ = ["AsyncPublisher", "Pace", "Publisher", "Step"]


class Publisher:
    """Puts records into tenants' feeds, and reads single ones back. Threads may share it, and a fork may inherit it.

    `close()` it in the end: the last progress may still wait for its turn.
    """

    def __init__(
        self, redis: Redis, *, key_prefix: str = "", limits: Limits | None = None, pace: Pace | None = None
    ) -> None:
        self._redis = redis
        self._commands = Commands(key_prefix, limits or Limits())
        self._scripts = PublishScripts(redis)
        self._renew = redis.register_script(scripts.source("lease"))
        self._repair = redis.register_script(scripts.source("repair"))
        self._lease_left = redis.register_script(scripts.source("lease_left"))
        self._note = redis.register_script(scripts.source("note"))
        self._read = redis.register_script(scripts.source("record"))
        self._progress = ProgressThread(self._publish_batch, self._write, pace or Pace())

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        key_prefix: str = "",
        limits: Limits | None = None,
        pace: Pace | None = None,
        timeout_seconds: float = 1.0,
    ) -> Self:
        """A publisher with its own connections. `timeout_seconds` bounds what a status may cost, twice."""
        redis = links.client(url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds)
        return cls(redis, key_prefix=key_prefix, limits=limits, pace=pace)

    @property
    def dropped(self) -> Counter[str]:
        """How many progress records Redis did not take, by reason (`realtime.publish.pacing`)."""
        return self._progress.dropped

    def progress(
        self,
        *,
        tenant_id: int,
        topic: str,
        attempt: int,
        percent: float,
        step: Step | None = None,
        remaining_seconds: float | None = None,
        data: Mapping[str, Any] | None = None,
        milestone: bool = False,
    ) -> Published | None:
        """Says how far a job is (0 to 100): at once, or within 0.2 s if it is not overtaken by newer progress.

        The first progress of an attempt, a change of step and a `milestone` (a finished chunk) leave at once. Returns
        Redis' answer to what left at once. None if it waits, was dropped, or Redis took longer than the job should
        wait; the job goes on all the same. Raises BadTopicError or BadRecordError for what could never be published.
        """
        progress = Progress(percent, step, remaining_seconds)
        return self._progress.send(progress_update(tenant_id, topic, attempt, progress, data=data, milestone=milestone))

    def status(
        self,
        *,
        tenant_id: int,
        topic: str,
        attempt: int,
        status: str,
        data: Mapping[str, Any] | None = None,
        error: Mapping[str, str] | None = None,
    ) -> Published:
        """Says what became of a job. Raises RedisError where it cannot be said; the outbox then says it again.

        For a state that a transaction makes true, call `publish_status_on_commit` instead.
        """
        return self.publish(
            tenant_id,
            draft_record(topic=topic, attempt=attempt, status=status, published_at=time.time(), data=data, error=error),
        )

    def publish(self, tenant_id: int, draft: Draft) -> Published:
        """Hand one record to Redis, which accepts or refuses it (`realtime.records.transitions`). Raises RedisError.

        Progress that waits and would go back behind it is discarded.
        """
        return self.publish_many([(tenant_id, draft)])[0]

    def publish_many(self, records: Iterable[tuple[int, Draft]]) -> list[Published]:
        """`publish` for many (tenant, record), 200 in a round trip; the answers in their order.

        Raises RedisError; any of them may have been published then, and all may be published again.
        """
        answers: list[Published] = []
        for batch in batched(records):
            for tenant_id, draft in batch:
                self._progress.settle(tenant_id, draft)
            answers += self._publish_batch(batch)
        return answers

    def publish_each(
        self, records: Iterable[tuple[int, Draft]], *, at_the_limit: bool = False
    ) -> list[Published | ResponseError]:
        """`publish_many` in which one record's error is no other's: each gets its own answer, or its own error.

        `at_the_limit`: for a Redis that lost something, unfinished records too are written at its memory limit. Raises
        RedisError where Redis cannot be reached.
        """
        answers: list[Published | ResponseError] = []
        for batch in batched(records):
            with self._redis.pipeline(transaction=False) as pipeline:
                for tenant_id, draft in batch:
                    self._progress.settle(tenant_id, draft)
                    script = self._scripts.at_the_limit if at_the_limit else self._scripts.script_for(draft)
                    script(*self._commands.publish(tenant_id, draft), client=pipeline)
                answers += map(_answer, pipeline.execute(raise_on_error=False))
        return answers

    def record(self, tenant_id: int, topic: str) -> Record | None:
        """The latest record of one topic, or None if Redis holds nothing of it in this tenant. Raises RedisError."""
        text, progress = cast("list[bytes | None]", self._read(self._commands.record(tenant_id, topic)))
        return join_record(text, progress) if text is not None else None

    def restore(self, tenant_id: int, draft: Draft) -> bool:
        """Writes the status of a topic that Redis no longer holds: no new offset, and nobody is told.

        Looking at a job of last year tells nobody anything. False if Redis holds it already. Raises RedisError.
        """
        return bool(self._repair(*self._commands.repair(tenant_id, draft)))

    def mend(self, tenant_id: int, draft: Draft) -> bool:
        """Bring Redis in line with a committed state. Return whether it held something else. Raises RedisError.

        What Redis does not hold is restored, and nobody is told. An older attempt, or an attempt that has not ended
        although it has by the committed state, is published: the record that should have told of it never came.
        """
        held = self.record(tenant_id, draft.topic)
        if held is None:
            return self.restore(tenant_id, draft)
        if not overtakes(draft, held):
            return False
        return self.publish(tenant_id, draft).verdict is Verdict.ACCEPTED

    def refresh(self, tenant_id: int, topic: str, seconds: int | None = None) -> bool:
        """Let the keys of an unfinished topic live on, for as many seconds (6 hours) at least. Raises RedisError.

        Return False if Redis holds no such topic: the keys of one that has ended have their term.
        """
        record = self.record(tenant_id, topic)
        if record is None or record.terminal:
            return False
        with self._redis.pipeline(transaction=False) as pipeline:
            self._commands.refresh(pipeline, tenant_id, topic, seconds)
            pipeline.execute()
        return True

    def renew_lease(self, *, tenant_id: int, topic: str, attempt: int) -> bool:
        """Says that this attempt is still at work. False if another one overtook it. Raises RedisError."""
        return bool(self._renew(*self._commands.renew_lease(tenant_id, topic, attempt)))

    def lease_seconds_left(self, *, tenant_id: int, topic: str) -> float:
        """For how long somebody is still at work on a topic; 0 if nobody is. Raises RedisError."""
        return self.leases_seconds_left([(tenant_id, topic)])[0]

    def leases_seconds_left(self, topics: Iterable[tuple[int, str]]) -> list[float]:
        """`lease_seconds_left` for many (tenant, topic), 200 in a round trip; in their order. Raises RedisError."""
        left: list[float] = []
        for batch in batched(topics):
            with self._redis.pipeline(transaction=False) as pipeline:
                for tenant_id, topic in batch:
                    self._lease_left(*self._commands.lease_left(tenant_id, topic), client=pipeline)
                left += [int(milliseconds or 0) / 1000 for milliseconds in answers_of(pipeline, "lease_left")]
        # A longer one was written before the clock of Redis was set back.
        return [min(seconds, self._commands.limits.lease_seconds) for seconds in left]

    def run_id(self) -> str:
        """Which life of Redis answers: another one after each start, and after each promotion of a replica.

        Raises RedisError: at a replica ReadOnlyError, and the address of Redis is resolved again.
        """
        try:
            return links.history(self._redis.info("replication"))
        except ReadOnlyError:
            links.leave(self._redis)
            raise

    def filled_run_id(self) -> str | None:
        """The life of Redis that `mark_filled` named last; None if Redis lost even that. Raises RedisError."""
        value = cast("bytes | None", self._redis.get(self._commands.relay()))
        return value.decode() if value is not None else None

    def mark_filling(self) -> None:
        """Notes in Redis itself that the relay is filling it. Raises RedisError."""
        self._note([self._commands.relay()], ["filling"])

    def mark_filled(self, run_id: str) -> bool:
        """Notes that the relay has filled this life of Redis. Raises RedisError.

        False if it was emptied meanwhile: then even the note of the beginning is gone.
        """
        return bool(self._note([self._commands.relay()], [run_id, "XX"]))

    def close(self) -> None:
        """Sends the progress that waits, for 0.1 s at the most, and closes the connections."""
        self._progress.close()
        self._redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _publish_batch(self, records: Sequence[tuple[int, Draft]]) -> list[Published]:
        """In one round trip."""
        with counting_refusals():
            if len(records) == 1:
                ((tenant_id, draft),) = records
                answer = self._scripts.script_for(draft)(*self._commands.publish(tenant_id, draft))
                return count_published([scripts.published(answer)])
            with self._redis.pipeline(transaction=False) as pipeline:
                self._commands.publish_all(pipeline, self._scripts, records)
                return count_published(map(scripts.published, pipeline.execute()))

    def _write(self) -> None:
        """Sees whether Redis takes writes as any other. Raises RedisError."""
        self._commands.try_write(self._redis)


def _answer(answer: Any) -> Published | ResponseError:
    if isinstance(answer, ResponseError):
        count_refused(answer)
        return answer
    return count_published([scripts.published(answer)])[0]
