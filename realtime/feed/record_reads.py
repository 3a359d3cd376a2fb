"""Reads single records from Redis for clients that poll. Reads that wait at the same time share a round trip."""

import asyncio
from collections.abc import Sequence
from itertools import islice

from redis.asyncio import Redis

from realtime.records import scripts
from realtime.records.errors import BadRecordError
from realtime.records.keys import Keys
from realtime.records.record import Record, join_record
from realtime.redis import links

BATCH = 200
"""How many records are read together: few, so that other clients of Redis do not wait long."""
TIMEOUT_SECONDS = 1.0

Topic = tuple[int, str]
"""The id of a tenant, and a topic of this tenant."""
Waiting = list["asyncio.Future[Record | None]"]


class RecordReads:
    """Reads records for one event loop.

    A read begins after the call of `record`, so its result is never older than the call. While a read is on its way,
    later calls wait for the next one.
    """

    def __init__(self, redis: Redis, *, key_prefix: str = "") -> None:
        self._redis = redis
        self._keys = Keys(key_prefix)
        self._script = redis.register_script(scripts.source("read_record"))
        self._waiting: dict[Topic, Waiting] = {}
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    def from_url(cls, url: str, *, key_prefix: str = "") -> "RecordReads":
        redis = links.async_client(
            url, protocol=2, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, max_connections=2
        )
        return cls(redis, key_prefix=key_prefix)

    async def record(self, tenant_id: int, topic: str) -> Record | None:
        """Return the latest record of a topic, or None if this tenant has none in Redis.

        Raise RedisError or OSError if Redis cannot be read, and BadRecordError if the value in Redis is no record.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Record | None] = loop.create_future()
        self._waiting.setdefault((tenant_id, topic), []).append(result)
        if self._reading is None:
            self._reading = loop.create_task(self._read_all())
        return await result

    async def close(self) -> None:
        if self._reading is not None:
            await self._reading
        await self._redis.aclose()

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                batch = {topic: self._waiting.pop(topic) for topic in list(islice(self._waiting, BATCH))}
                await self._read(batch)
        finally:
            self._reading = None

    async def _read(self, batch: dict[Topic, Waiting]) -> None:
        names = [
            name(tenant_id, topic) for tenant_id, topic in batch for name in (self._keys.status, self._keys.progress)
        ]
        try:
            values: Sequence[bytes | None] = await self._script(names)
        except Exception as problem:  # noqa: BLE001 - those who wait get it
            for waiting in batch.values():
                _set(waiting, problem)
            return
        for waiting, text, progress in zip(batch.values(), values[::2], values[1::2], strict=True):
            _set(waiting, _joined(text, progress))


def _joined(text: bytes | None, progress: bytes | None) -> Record | BadRecordError | None:
    try:
        return join_record(text, progress) if text is not None else None
    except BadRecordError as problem:
        return problem


def _set(waiting: Waiting, found: Record | Exception | None) -> None:
    for result in waiting:
        if result.done():  # its caller no longer waits
            continue
        if isinstance(found, Exception):
            result.set_exception(found)
        else:
            result.set_result(found)
