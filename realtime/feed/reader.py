"""Reads feeds for one process, and holds its one pub/sub connection to Redis.

The library's own PubSub object reconnects silently. Here a lost connection must be noticed, because messages were
missed. So this module uses the library's connection class, and keeps the subscriptions itself.
"""

import asyncio
import math
import random
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError

from realtime.records import scripts
from realtime.records.batches import isolated
from realtime.records.keys import Keys
from realtime.records.scripts import Named, Snapshot
from realtime.redis import links
from realtime.redis.refused_writes import refusal

log = structlog.get_logger(__name__)

MAX_BATCH = 1000
RECONNECT_SECONDS = (0.05, 2.0)
REDIS_TIMEOUT_SECONDS = 2.0
SERVER_SECONDS = 1.0
MAX_ASKED = 60
"""A connection that has not answered this many pings is not pinged again."""
MAX_READS = 32
"""How many feeds are read at the same time, so that a reconnect with thousands of tenants does not flood Redis."""


@dataclass(frozen=True, slots=True)
class Probed:
    """Epoch and offset of a feed in Redis (an empty epoch: never used), and its revocation marks, subject → ms."""

    epoch: str
    offset: int
    marks: dict[str, float]


class Listener(Protocol):
    """Receives what the pub/sub connection delivers. Called in the event loop; no method may block."""

    def on_messages(self, messages: Sequence[tuple[int, bytes]]) -> None:
        """Take the tenant and payload of all messages of one read, in order."""

    def on_confirmed(self, tenant_id: int) -> None:
        """Take note that Redis confirmed a subscription: no message is missed from now on, until `on_lost`."""

    def on_lost(self) -> None:
        """Take note that the connection was lost. It will be made again, and each subscription confirmed again."""


class RevocationListener(Protocol):
    """Receives what the channel of revocations delivers. Called in the event loop; no method may block."""

    def on_revocation(self, message: bytes) -> None:
        """Take the message of one revocation."""

    def on_revocations_confirmed(self) -> None:
        """Take note that no revocation is missed from now on. Earlier ones may have been missed."""


class _Reading:
    """A script that reads a feed, and opens it if it is new.

    A Redis that takes no writes at all refuses scripts that declare flags, as these may write. So the script is called
    without flags first, and with `allow-oom` only at the memory limit, where it could not open a new feed otherwise.
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
    """Subscribes to feeds and reads them, for one process."""

    def __init__(self, redis: Redis, *, key_prefix: str = "") -> None:
        self._redis = redis
        self._keys = Keys(key_prefix)
        self._snapshot = _Reading(redis, "snapshot")
        self._topics = _Reading(redis, "topics")
        self._reads = asyncio.Semaphore(MAX_READS)
        self._wanted: dict[int, str] = {}
        self._revocations: RevocationListener | None = None
        self._connection: AbstractConnection | None = None
        self._holding: asyncio.Task[None] | None = None
        self._given_up = False
        self._asked: deque[float] = deque()
        """When the pings were sent that the connection has not answered yet, by the loop's clock."""
        self._checked_at = self._connected_at = float("-inf")
        self._history = ""
        """The replication id of the server that the pub/sub connection leads to (`records/lua/history.lua`)."""
        self._awake = asyncio.Event()
        self.connected = False
        self.heard_until = float("-inf")
        """The time, by the loop's clock, before which every revocation since the subscription was delivered.

        It is -inf without a confirmed subscription.
        """

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

    def listen_to_revocations(self, listener: RevocationListener) -> None:
        """Deliver revocations to this listener, and hold the connection even without tenants. Call it before `run`."""
        self._revocations = listener
        self._awake.set()

    async def read(self, tenant_id: int, epoch: str, offset: int, topics: Iterable[str] = ()) -> Snapshot:
        """Read a feed above an offset of an epoch, or all of it for an empty epoch. Raise RedisError or OSError.

        If all of it is read, those of these topics that it does not show to new clients are read as well.
        """
        names, values = scripts.snapshot_arguments(self._keys, tenant_id, epoch, offset, topics)
        async with self._reads:
            return scripts.snapshot(await self._snapshot(names, values))

    async def read_topics(self, tenant_id: int, topics: Sequence[str]) -> Named:
        """Return those records of single topics that Redis holds. Raise RedisError or OSError."""
        names, values = scripts.topics_arguments(self._keys, tenant_id, topics)
        async with self._reads:
            return scripts.topics(await self._topics(names, values))

    async def probe(self, tenants: Sequence[int]) -> dict[int, Probed]:
        """Return epoch, offset and revocation marks of these tenants, in one round trip.

        A tenant whose keys have the wrong type is left out. Raise RedisError or OSError.
        """
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.info("replication")
        for tenant_id in tenants:
            pipeline.hmget(self._keys.feed(tenant_id), "epoch", "offset")
            # All marks, and not only the newest: one that was delayed by an outage is written with its old time.
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

    def reconnect(self) -> None:
        """Replace the pub/sub connection, which looks healthy but delivers nothing."""
        if self._holding is not None and not self._holding.done():
            self._given_up = True
            self._holding.cancel()

    async def check_link(self) -> None:
        """Ping over the pub/sub connection. Replace it if it has not answered since the last check.

        It is also replaced if a new connection to its address leads to another server. Raise RedisError or OSError.
        """
        await self.check_server(fresh=True)
        if not self.connected or self.idle:
            return
        if self._asked and self._asked[0] <= self._checked_at:
            self.reconnect()
            return
        await self.ask_link()
        self._checked_at = asyncio.get_running_loop().time()

    async def ask_link(self) -> None:
        """Ping over the pub/sub connection. The answer comes after everything that was published before."""
        if self.connected and not self.idle and len(self._asked) < MAX_ASKED:
            self._asked.append(asyncio.get_running_loop().time())
            await self._command("PING")

    @property
    def unanswered_since(self) -> float | None:
        """When the oldest unanswered ping was sent, by the loop's clock; None if all were answered."""
        return self._asked[0] if self._asked else None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to subscribe to."""
        return not self._channels()

    async def check_server(self, *, fresh: bool = False) -> None:
        """Check that the pub/sub connection leads to the same Redis as other connections. Replace it if it does not.

        `fresh`: ask over a new connection, whose address is resolved now. Only this finds a server that was replaced
        and still refuses nothing. Raise RedisError or OSError; at a replica ReadOnlyError.
        """
        if fresh:
            history = await self._history_at_address()
            if history != self._history_of(await self._redis.info("replication")):
                links.leave(self._redis)
        else:
            history = self._history_of(await self._redis.info("replication"))
        if self.connected and self._history != history:
            log.warning("pubsub_elsewhere")
            self.reconnect()

    async def watch_server(self) -> None:
        """Check the server every second, until cancelled."""
        while True:
            await asyncio.sleep(SERVER_SECONDS)
            try:
                if not self.idle:
                    await self.check_server()
            except (RedisError, OSError) as problem:
                log.debug("server_unknown", error=str(problem))
            except Exception:
                log.exception("server_unknown")

    def _history_of(self, replication: dict[str, Any]) -> str:
        """Return the server's replication id from its INFO. Leave a replica, and raise ReadOnlyError."""
        try:
            return links.history(replication)
        except ReadOnlyError:
            links.leave(self._redis)
            self.reconnect()
            raise

    async def _history_at_address(self) -> str:
        connection = links.permanent_connection(self._redis)
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
                await connection.connect()  # type: ignore[no-untyped-call]
                return self._history_of(await _replication(connection))
        finally:
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    async def subscribe(self, tenant_id: int) -> None:
        """Subscribe to a tenant's messages. `on_confirmed` follows, at once or after the next reconnect."""
        channel = self._wanted[tenant_id] = self._keys.feed(tenant_id)
        self._awake.set()
        await self._command("SUBSCRIBE", channel)

    async def unsubscribe(self, tenant_id: int) -> None:
        channel = self._wanted.pop(tenant_id, None)
        if channel is not None:
            await self._command("UNSUBSCRIBE", channel)

    async def run(self, listener: Listener) -> None:
        """Hold the pub/sub connection, and make it again after each loss, until cancelled."""
        delay = RECONNECT_SECONDS[0]
        while True:
            await self._awake.wait()
            # A separate task, so that `reconnect` can cancel it alone.
            self._given_up = False
            self._holding = asyncio.get_running_loop().create_task(self._hold_connection(listener))
            try:
                await self._holding
            except asyncio.CancelledError:
                if not self._given_up or _is_cancelled():
                    raise
                self._given_up, delay = False, RECONNECT_SECONDS[0]
                log.warning("pubsub_given_up")
            except (RedisError, OSError) as problem:
                if self.connected:
                    log.warning("pubsub_lost", error=str(problem))
                    delay = RECONNECT_SECONDS[0]
            except Exception:
                # A bug or an unexpected answer must not end all feeds of the process.
                log.exception("pubsub_failed")
            if self.connected:
                self.connected = False
                self.heard_until = float("-inf")
                listener.on_lost()
                self._asked.clear()
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            delay = min(2 * delay, RECONNECT_SECONDS[1])

    async def close(self) -> None:
        await self._redis.aclose()

    async def _hold_connection(self, listener: Listener) -> None:
        connection = links.permanent_connection(self._redis)
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
                await connection.connect()  # type: ignore[no-untyped-call]
                # A replica delivers messages, too, while it has a master. So it has to be refused here.
                self._history = links.history(await _replication(connection))
                self._connection, self.connected = connection, True
                self._connected_at = asyncio.get_running_loop().time()
                self._asked.clear()
                if channels := self._channels():
                    await connection.send_command("SUBSCRIBE", *channels)
            while True:
                self._deliver(await self._read_batch(connection), listener)
        finally:
            self._connection = None
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    @staticmethod
    async def _read_batch(connection: AbstractConnection) -> list[Any]:
        """Wait for the first reply, and return it with all others that have arrived."""
        batch = [await _read_reply(connection)]
        while len(batch) < MAX_BATCH and await connection.can_read():
            batch.append(await _read_reply(connection))
        return batch

    def _deliver(self, replies: list[Any], listener: Listener) -> None:
        messages: list[tuple[int, bytes]] = []
        for reply in replies:
            # Without a subscription, the answer to PING is a simple string.
            if reply == b"PONG" or reply[0] == b"pong":
                if self._asked:
                    self._answered(self._asked.popleft())
                continue
            kind, channel, *rest = reply
            if channel == self._keys.revocations().encode():
                self._deliver_revocation(kind, rest[0])
                continue
            tenant_id, payload = self._keys.tenant_of_feed(channel.decode()), rest[0]
            if kind == b"message":
                messages.append((tenant_id, payload))
            elif kind == b"subscribe":
                # Deliver the messages from before the confirmation first.
                listener.on_messages(messages)
                messages = []
                listener.on_confirmed(tenant_id)
        if messages:
            listener.on_messages(messages)

    def _deliver_revocation(self, kind: bytes, payload: bytes) -> None:
        if self._revocations is None:
            return
        if kind == b"message":
            self._revocations.on_revocation(payload)
        elif kind == b"subscribe":
            self.heard_until = self._connected_at
            self._revocations.on_revocations_confirmed()

    def _answered(self, asked_at: float) -> None:
        """Note that a ping was answered: everything that was published before the ping has arrived."""
        if self.heard_until > float("-inf"):
            self.heard_until = max(self.heard_until, asked_at)

    def _channels(self) -> list[str]:
        told = [self._keys.revocations()] if self._revocations is not None else []
        return [*told, *self._wanted.values()]

    async def _command(self, *words: str) -> None:
        connection = self._connection
        # The library would open a closed connection again without the reading task noticing it.
        if connection is not None and connection.is_connected:
            # If the write fails, the reading task notices that. It subscribes to everything after its reconnect.
            with suppress(RedisError, OSError):
                await connection.send_command(*words)


async def _replication(connection: AbstractConnection) -> dict[str, Any]:
    """Return INFO replication of the server at the end of this connection."""
    await connection.send_command("INFO", "replication")
    said: bytes = await connection.read_response(timeout=math.inf, disconnect_on_error=False)
    return dict(line.split(":", 1) for line in said.decode().splitlines() if ":" in line)


async def _read_reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response(timeout=math.inf, disconnect_on_error=False)
    except ResponseError as problem:
        # A Redis whose disk is full refuses even PING. That is an answer, too, and it still delivers messages.
        if refusal(problem) is None:
            raise
        return b"PONG"


def _is_cancelled() -> bool:
    """Return whether this task was cancelled, and not only a task that it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
