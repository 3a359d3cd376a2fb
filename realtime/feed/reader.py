"""Reads feeds for one process, and checks that all connections of the process lead to the same Redis."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError

from realtime.feed.pubsub_link import PubSubLink
from realtime.records import scripts
from realtime.records.keys import Keys
from realtime.records.script_batches import isolated
from realtime.records.scripts import Named, Snapshot
from realtime.redis import links

log = structlog.get_logger(__name__)

REDIS_TIMEOUT_SECONDS = 2.0
SERVER_SECONDS = 1.0
MAX_READS = 32
"""How many feeds are read at the same time, so that a reconnect with thousands of tenants does not flood Redis."""


@dataclass(frozen=True, slots=True)
class Probed:
    """The epoch and offset of a feed in Redis, and the revocation marks of its tenant.

    The epoch is empty if nothing has used the feed yet. `marks` maps each revoked subject to Unix milliseconds.
    """

    epoch: str
    offset: int
    marks: dict[str, float]


class _Reading:
    """A script that reads a feed, and creates the feed if there is none.

    A Redis that refuses all writes also refuses scripts that declare flags, because it assumes that they write. So the
    script is first called without flags. If Redis is at its memory limit, the script is called again with the flag
    `allow-oom`, which lets it create a feed.
    """

    def __init__(self, redis: Redis, name: str) -> None:
        self._script = redis.register_script(scripts.source(name))
        self._at_the_limit = redis.register_script(scripts.source(name, at_the_limit=True))

    async def __call__(self, names: list[str], values: list[Any]) -> Any:
        try:
            return await self._script(names, values)
        except OutOfMemoryError:
            return await self._at_the_limit(names, values)


class FeedReader:
    """Reads feeds for one process. Messages about later changes arrive over its `link`."""

    def __init__(self, redis: Redis, *, key_prefix: str = "") -> None:
        self._redis = redis
        self._keys = Keys(key_prefix)
        self._snapshot = _Reading(redis, "snapshot")
        self._topics = _Reading(redis, "topics")
        self._reads = asyncio.Semaphore(MAX_READS)
        self.link = PubSubLink(redis, self._keys, REDIS_TIMEOUT_SECONDS)

    @classmethod
    def from_url(cls, url: str, *, key_prefix: str = "") -> "FeedReader":
        redis = links.async_client(
            url,
            protocol=2,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            max_connections=2 * MAX_READS,
        )
        return cls(redis, key_prefix=key_prefix)

    async def read(self, tenant_id: int, epoch: str, offset: int, topics: Iterable[str] = ()) -> Snapshot:
        """Read the records above an offset of an epoch, or the whole feed.

        The whole feed is read if the epoch is empty, or if the feed does not continue from this place. A read of the
        whole feed also returns the records of those `topics` that a new client is not shown. Raise RedisError or
        OSError if Redis cannot be read.
        """
        names, values = scripts.snapshot_arguments(self._keys, tenant_id, epoch, offset, topics)
        async with self._reads:
            return scripts.snapshot(await self._snapshot(names, values))

    async def read_topics(self, tenant_id: int, topics: Sequence[str]) -> Named:
        """Return the records of these topics, without topics that Redis does not hold.

        Raise RedisError or OSError if Redis cannot be read.
        """
        names, values = scripts.topics_arguments(self._keys, tenant_id, topics)
        async with self._reads:
            return scripts.topics(await self._topics(names, values))

    async def probe(self, tenants: Sequence[int]) -> dict[int, Probed]:
        """Return epoch, offset and revocation marks of these tenants, in one round trip.

        A tenant whose keys have the wrong type is left out. Raise RedisError or OSError if Redis cannot be read.
        """
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.info("replication")
        for tenant_id in tenants:
            pipeline.hmget(self._keys.feed(tenant_id), "epoch", "offset")
            # Read all marks, and not only the newest: a mark that an outage delayed is written with its old time.
            pipeline.zrange(self._keys.revoked(tenant_id), 0, -1, withscores=True)
        async with self._reads:
            replication, *answers = await pipeline.execute(raise_on_error=False)
        if isinstance(replication, Exception):
            raise replication
        self._history_of(replication)
        found = [isolated(answer, "probe") for answer in answers]
        return {
            tenant_id: Probed((feed[0] or b"").decode(), int(feed[1] or 0), {name.decode(): at for name, at in marks})
            for tenant_id, feed, marks in zip(tenants, found[::2], found[1::2], strict=True)
            if feed is not None and marks is not None
        }

    async def check_link(self) -> None:
        """Ping over the pub/sub connection. If the ping of the last check is still unanswered, replace the connection.

        The connection is also replaced if a new connection to the same address leads to another server. Raise
        RedisError or OSError if Redis does not answer, or is a replica.
        """
        await self.check_server(fresh=True)
        await self.link.check()

    async def check_server(self, *, fresh: bool = False) -> None:
        """Check that the pub/sub connection leads to the same Redis as other connections. Replace it if it does not.

        With `fresh`, open a new connection, for which the host name is resolved again. If it leads to another server
        than the existing connections, replace those. Nothing else detects this while the old server still works as a
        master. Raise ReadOnlyError if a server is a replica. Raise RedisError or OSError if a server cannot be asked.
        """
        if fresh:
            history = await self._history_at_address()
            if history != self._history_of(await self._redis.info("replication")):
                links.leave(self._redis)
        else:
            history = self._history_of(await self._redis.info("replication"))
        if self.link.connected and self.link.history != history:
            log.warning("pubsub_elsewhere")
            self.link.reconnect()

    async def watch_server(self) -> None:
        """Check the server every second, until cancelled."""
        while True:
            await asyncio.sleep(SERVER_SECONDS)
            try:
                if not self.link.idle:
                    await self.check_server()
            except (RedisError, OSError) as problem:
                log.debug("server_unknown", error=str(problem))
            except Exception:
                log.exception("server_unknown")

    def _history_of(self, replication: dict[str, Any]) -> str:
        """Return the replication id of Redis from these fields of INFO.

        If the server is a replica, replace all connections, and raise ReadOnlyError.
        """
        try:
            return links.history(replication)
        except ReadOnlyError:
            links.leave(self._redis)
            self.link.reconnect()
            raise

    async def _history_at_address(self) -> str:
        connection = links.permanent_connection(self._redis)
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
                await connection.connect()  # type: ignore[no-untyped-call]
                return self._history_of(await links.replication_of(connection))
        finally:
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    async def close(self) -> None:
        await self._redis.aclose()
