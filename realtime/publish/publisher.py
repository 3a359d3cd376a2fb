"""The publisher for workers and for the outbox. It needs no Django.

Progress is best effort: it never makes a job fail, and delays it only a little (`realtime.publish.pacing` has the
rules). A status is published at once, or RedisError is raised. A terminal status is never lost if it goes through the
outbox (`realtime.outbox.publish_status_on_commit`), which calls `Publisher.publish` after the commit.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, cast

from redis import Redis
from redis.exceptions import ReadOnlyError, ResponseError

from realtime.publish.pacing import Pace, progress_update
from realtime.publish.progress_thread import ProgressThread
from realtime.records import scripts
from realtime.records.commands import Commands, PublishScripts
from realtime.records.metrics import count_published, count_refused, counting_refusals
from realtime.records.record import Draft, Progress, Record, Step, draft_record, join_record, overtakes
from realtime.records.script_batches import answers_of, batched
from realtime.records.scripts import Limits, Published
from realtime.records.transitions import Verdict
from realtime.redis import links

__all__ = ["Pace", "Publisher", "Step"]


class Publisher:
    """Publishes records to tenants' feeds, and reads single records. Threads may share it, and a fork may inherit it.

    Call `close()` at the end: the last progress may still wait to be sent.
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
        self._note = redis.register_script(scripts.source("set_note"))
        self._read = redis.register_script(scripts.source("read_record"))
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
        """Return a publisher with its own connections. Publishing a status takes at most twice `timeout_seconds`."""
        redis = links.client(url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds)
        return cls(redis, key_prefix=key_prefix, limits=limits, pace=pace)

    @property
    def dropped(self) -> Counter[str]:
        """The number of progress records that were dropped, by reason; see `realtime.publish.pacing`."""
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
        """Publish the progress of a job: at once, or within 0.2 s unless newer progress replaces it.

        `percent` is from 0 to 100. The first progress of an attempt, a change of step and a `milestone` (a finished
        chunk) are sent at once. Return Redis' answer to an update that was sent at once. Return None if the update
        waits or was dropped, or if Redis took longer than a job should wait. Raise BadTopicError or BadRecordError if
        the record can never be published.
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
        """Publish the status of a job. Return Redis' answer: accepted, duplicate or rejected.

        Raise BadTopicError or BadRecordError if the record is not valid. Raise RedisError if Redis does not answer or
        refuses the write. For a status that a transaction commits, call `publish_status_on_commit` instead, which
        repeats the publish until it succeeds.
        """
        return self.publish(
            tenant_id,
            draft_record(topic=topic, attempt=attempt, status=status, published_at=time.time(), data=data, error=error),
        )

    def publish(self, tenant_id: int, draft: Draft) -> Published:
        """Publish one record. Return Redis' answer: accepted, duplicate or rejected.

        `realtime.records.transitions` has the rules for the answer. Raise RedisError if Redis does not answer or
        refuses the write. Waiting progress that the record supersedes is discarded.
        """
        return self.publish_many([(tenant_id, draft)])[0]

    def publish_many(self, records: Iterable[tuple[int, Draft]]) -> list[Published]:
        """Publish (tenant, record) pairs, 200 in a round trip. Return the answers in the order of the pairs.

        Raise RedisError if Redis does not answer or refuses a write. After an error any of the records may have been
        published. It is safe to publish all of them again.
        """
        answers: list[Published] = []
        for batch in batched(records):
            for tenant_id, draft in batch:
                self._progress.discard_superseded(tenant_id, draft)
            answers += self._publish_batch(batch)
        return answers

    def publish_each(
        self, records: Iterable[tuple[int, Draft]], *, at_the_limit: bool = False
    ) -> list[Published | ResponseError]:
        """Publish (tenant, record) pairs. Return for each record Redis' answer, or the error that the record caused.

        With `at_the_limit`, a Redis at its memory limit also stores records that are not terminal. Use this only for a
        Redis that lost data, and for the few records of figures. Raise RedisError if Redis cannot be reached.
        """
        answers: list[Published | ResponseError] = []
        for batch in batched(records):
            with self._redis.pipeline(transaction=False) as pipeline:
                for tenant_id, draft in batch:
                    self._progress.discard_superseded(tenant_id, draft)
                    script = self._scripts.at_the_limit if at_the_limit else self._scripts.script_for(draft)
                    script(*self._commands.publish(tenant_id, draft), client=pipeline)
                answers += map(_answer, pipeline.execute(raise_on_error=False))
        return answers

    def record(self, tenant_id: int, topic: str) -> Record | None:
        """Return the latest record of one topic, or None if this tenant has none in Redis.

        Raise RedisError if Redis fails.
        """
        text, progress = cast("list[bytes | None]", self._read(self._commands.record(tenant_id, topic)))
        return join_record(text, progress) if text is not None else None

    def restore(self, tenant_id: int, draft: Draft) -> bool:
        """Write the status of a topic that Redis no longer holds, without a new offset and without publishing it.

        So nothing is sent to other clients when one client looks at an old job. Return False if Redis still holds the
        topic. Raise RedisError if Redis fails.
        """
        return bool(self._repair(*self._commands.repair(tenant_id, draft)))

    def mend(self, tenant_id: int, draft: Draft) -> bool:
        """Bring Redis in line with a committed state. Return whether Redis changed. Raise RedisError if Redis fails.

        If Redis does not hold the topic, restore it without publishing it. If `overtakes` finds that a publish was
        lost, publish the state. Otherwise do nothing.
        """
        held = self.record(tenant_id, draft.topic)
        if held is None:
            return self.restore(tenant_id, draft)
        if not overtakes(draft, held):
            return False
        return self.publish(tenant_id, draft).verdict is Verdict.ACCEPTED

    def refresh(self, tenant_id: int, topic: str, seconds: int | None = None) -> bool:
        """Renew the expiry of an unfinished topic's keys, to at least `seconds` (6 hours by default), and return True.

        Do nothing and return False if Redis does not hold the topic, or if the topic has ended there. Raise RedisError
        if Redis fails.
        """
        record = self.record(tenant_id, topic)
        if record is None or record.terminal:
            return False
        with self._redis.pipeline(transaction=False) as pipeline:
            self._commands.refresh(pipeline, tenant_id, topic, seconds)
            pipeline.execute()
        return True

    def renew_lease(self, *, tenant_id: int, topic: str, attempt: int) -> bool:
        """Renew the lease of this attempt, and return True. Raise RedisError if Redis fails.

        Do nothing and return False if the attempt has ended or a newer one has begun.
        """
        return bool(self._renew(*self._commands.renew_lease(tenant_id, topic, attempt)))

    def lease_seconds_left(self, *, tenant_id: int, topic: str) -> float:
        """Return how long the lease of a topic still runs, in seconds; 0 if it has none.

        Raise RedisError if Redis fails.
        """
        return self.leases_seconds_left([(tenant_id, topic)])[0]

    def leases_seconds_left(self, topics: Iterable[tuple[int, str]]) -> list[float]:
        """Return `lease_seconds_left` for each (tenant, topic) pair, in order. Ask for 200 in a round trip.

        Raise RedisError if Redis fails.
        """
        left: list[float] = []
        for batch in batched(topics):
            with self._redis.pipeline(transaction=False) as pipeline:
                for tenant_id, topic in batch:
                    self._lease_left(*self._commands.lease_left(tenant_id, topic), client=pipeline)
                left += [int(milliseconds or 0) / 1000 for milliseconds in answers_of(pipeline, "lease_left")]
        # If a lease has more than `lease_seconds` left, the clock of Redis was set back after the lease was written.
        return [min(seconds, self._commands.limits.lease_seconds) for seconds in left]

    def run_id(self) -> str:
        """Return the replication id of Redis, which is new after each start and after each promotion of a replica.

        If the server is a replica, have all connections replaced, and raise ReadOnlyError. If Redis fails, raise
        RedisError.
        """
        try:
            return links.history(self._redis.info("replication"))
        except ReadOnlyError:
            links.leave(self._redis)
            raise

    def filled_run_id(self) -> str | None:
        """Return what `mark_filling` or `mark_filled` stored last, or None if Redis has neither.

        Raise RedisError if Redis fails.
        """
        value = cast("bytes | None", self._redis.get(self._commands.relay()))
        return value.decode() if value is not None else None

    def mark_filling(self) -> None:
        """Store in Redis that the relay has begun to fill it. Raise RedisError if Redis fails."""
        self._note([self._commands.relay()], ["filling"])

    def mark_filled(self, run_id: str) -> bool:
        """Store `run_id` in Redis, as the note that the relay has filled this Redis, and return True.

        If the note of `mark_filling` is gone, Redis was emptied during the fill: store nothing, and return False. Raise
        RedisError if Redis fails.
        """
        return bool(self._note([self._commands.relay()], [run_id, "XX"]))

    def close(self) -> None:
        """Try to send the waiting progress, for at most `Pace.patience_seconds`. Then close the connections."""
        self._progress.close()
        self._redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _publish_batch(self, records: Sequence[tuple[int, Draft]]) -> list[Published]:
        """Publish records in one round trip."""
        with counting_refusals():
            if len(records) == 1:
                ((tenant_id, draft),) = records
                answer = self._scripts.script_for(draft)(*self._commands.publish(tenant_id, draft))
                return count_published([scripts.published(answer)])
            with self._redis.pipeline(transaction=False) as pipeline:
                self._commands.publish_all(pipeline, self._scripts, records)
                return count_published(map(scripts.published, pipeline.execute()))

    def _write(self) -> None:
        """Try a write, to find out whether Redis accepts writes. Raise RedisError if it does not."""
        self._commands.try_write(self._redis)


def _answer(answer: Any) -> Published | ResponseError:
    if isinstance(answer, ResponseError):
        count_refused(answer)
        return answer
    return count_published([scripts.published(answer)])[0]
