"""The publisher for asyncio: those methods of `Publisher` that workers use, as coroutines with the same guarantees.

Code that awaits an answer of Redis is written twice, here and in `publisher.py`. All other code is shared, in
`realtime.records.commands` and `realtime.publish.pacing`.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, cast

from redis.asyncio import Redis

from realtime.publish.pacing import Pace, progress_update
from realtime.publish.progress_task import ProgressTask
from realtime.records import scripts
from realtime.records.commands import Commands, PublishScripts
from realtime.records.metrics import count_published, counting_refusals
from realtime.records.record import Draft, Progress, Record, Step, draft_record, join_record
from realtime.records.script_batches import batched
from realtime.records.scripts import Limits, Published
from realtime.redis import links


class AsyncPublisher:
    """Publishes records to tenants' feeds, and reads single records. It belongs to the event loop that uses it first.

    Call `await close()` at the end: the last progress may still wait to be sent.
    """

    def __init__(
        self, redis: Redis, *, key_prefix: str = "", limits: Limits | None = None, pace: Pace | None = None
    ) -> None:
        self._redis = redis
        self._commands = Commands(key_prefix, limits or Limits())
        self._scripts = PublishScripts(redis)
        self._renew = redis.register_script(scripts.source("lease"))
        self._lease_left = redis.register_script(scripts.source("lease_left"))
        self._read = redis.register_script(scripts.source("read_record"))
        self._progress = ProgressTask(self._publish_batch, self._write, pace or Pace())

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
        redis = links.async_client(url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds)
        return cls(redis, key_prefix=key_prefix, limits=limits, pace=pace)

    @property
    def dropped(self) -> Counter[str]:
        """The number of progress records that were dropped, by reason; see `realtime.publish.pacing`."""
        return self._progress.dropped

    async def progress(
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
        """Publish the progress of a job. Return Redis' answer, or None in the same cases as `Publisher.progress`.

        Raise BadTopicError or BadRecordError if the record can never be published. Errors of Redis are never raised.
        """
        progress = Progress(percent, step, remaining_seconds)
        return await self._progress.send(
            progress_update(tenant_id, topic, attempt, progress, data=data, milestone=milestone)
        )

    async def status(
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

        Raise BadTopicError or BadRecordError if the record is not valid. Raise RedisError if Redis fails.
        """
        return await self.publish(
            tenant_id,
            draft_record(topic=topic, attempt=attempt, status=status, published_at=time.time(), data=data, error=error),
        )

    async def publish(self, tenant_id: int, draft: Draft) -> Published:
        """Publish one record.

        Return Redis' answer: accepted, duplicate or rejected. Raise RedisError if Redis fails.
        """
        return (await self.publish_many([(tenant_id, draft)]))[0]

    async def publish_many(self, records: Iterable[tuple[int, Draft]]) -> list[Published]:
        """Publish (tenant, record) pairs, 200 in a round trip.

        Return the answers in their order. Raise RedisError if Redis fails.
        """
        answers: list[Published] = []
        for batch in batched(records):
            for tenant_id, draft in batch:
                self._progress.discard_superseded(tenant_id, draft)
            answers += await self._publish_batch(batch)
        return answers

    async def record(self, tenant_id: int, topic: str) -> Record | None:
        """Return the latest record of one topic, or None if this tenant has none in Redis.

        Raise RedisError if Redis fails.
        """
        names = self._commands.record(tenant_id, topic)
        text, progress = cast("list[bytes | None]", await self._read(names))
        return join_record(text, progress) if text is not None else None

    async def refresh(self, tenant_id: int, topic: str, seconds: int | None = None) -> bool:
        """Renew the expiry of an unfinished topic's keys, and return True. Raise RedisError if Redis fails.

        Do nothing and return False if Redis does not hold the topic, or if the topic has ended there.
        """
        record = await self.record(tenant_id, topic)
        if record is None or record.terminal:
            return False
        async with self._redis.pipeline(transaction=False) as pipeline:
            self._commands.refresh(pipeline, tenant_id, topic, seconds)
            await pipeline.execute()
        return True

    async def renew_lease(self, *, tenant_id: int, topic: str, attempt: int) -> bool:
        """Renew the lease of this attempt, and return True. Raise RedisError if Redis fails.

        Do nothing and return False if the attempt has ended or a newer one has begun.
        """
        return bool(await self._renew(*self._commands.renew_lease(tenant_id, topic, attempt)))

    async def lease_seconds_left(self, *, tenant_id: int, topic: str) -> float:
        """Return how long the lease of a topic still runs, in seconds; 0 if it has none.

        Raise RedisError if Redis fails.
        """
        left = int(await self._lease_left(*self._commands.lease_left(tenant_id, topic))) / 1000
        return min(left, self._commands.limits.lease_seconds)  # see `Publisher.leases_seconds_left`

    async def close(self) -> None:
        """Try to send the waiting progress, for at most `Pace.patience_seconds`. Then close the connections."""
        await self._progress.close()
        await self._redis.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _publish_batch(self, records: Sequence[tuple[int, Draft]]) -> list[Published]:
        """Publish records in one round trip."""
        with counting_refusals():
            if len(records) == 1:
                ((tenant_id, draft),) = records
                answer = await self._scripts.script_for(draft)(*self._commands.publish(tenant_id, draft))
                return count_published([scripts.published(answer)])
            async with self._redis.pipeline(transaction=False) as pipeline:
                self._commands.publish_all(pipeline, self._scripts, records)
                return count_published(map(scripts.published, await pipeline.execute()))

    async def _write(self) -> None:
        """Try a write, to find out whether Redis accepts writes. Raise RedisError if it does not."""
        await self._commands.try_write(self._redis)
