"""The process's way to Redis: one pub/sub connection that delivers all messages of one read together, and the reads.

The library's own PubSub object reconnects in silence; here a lost connection has to be known, since it means that
messages were missed. So this uses the library's connection, and keeps the subscriptions itself.
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
"""Signs of life that a connection may owe before it is asked for no more."""
MAX_READS = 32
"""Reads of feeds that run at once, so that a reconnect with thousands of tenants does not flood Redis."""


@dataclass(frozen=True, slots=True)
class Probed:
    """Where a feed stands in Redis (no epoch: it has never been used), and its marks of revocation, subject → ms."""

    epoch: str
    offset: int
    marks: dict[str, float]


class Listener(Protocol):
    """Who is told what the pub/sub connection brings. Called in the event loop; none of these may block."""

    def on_messages(self, messages: Sequence[tuple[int, bytes]]) -> None:
        """Tenant and payload of all messages that one read brought, in order."""

    def on_confirmed(self, tenant_id: int) -> None:
        """Redis has confirmed the subscription: from now on no message is missed, until `on_lost`."""

    def on_lost(self) -> None:
        """The connection is gone; it will come back, and each subscription will be confirmed anew."""


class RevocationListener(Protocol):
    """Who is told what the channel of revocations brings. Called in the event loop; neither may block."""

    def on_revocation(self, message: bytes) -> None:
        """Somebody was revoked."""

    def on_revocations_confirmed(self) -> None:
        """From now on no revocation is missed; some may have been before."""


class _Reading:
    """A script that reads a feed, and opens it if it is new.

    Redis refuses scripts that may write where it takes no writes at all; so this one says nothing of writing, and only
    at the memory limit, where a new feed cannot be opened otherwise, is it called with the flag `allow-oom`.
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
        """When the connection was asked for what it has not answered yet, by the loop's clock."""
        self._checked_at = self._connected_at = float("-inf")
        self._history = ""
        """Of the server that the pub/sub connection leads to (lua/history.lua)."""
        self._awake = asyncio.Event()
        self.connected = False
        self.heard_until = float("-inf")
        """Every revocation published since the subscription and before this time was delivered, by the loop's clock.

        -inf without a confirmed subscription.
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
        """Holds the pub/sub connection also while no tenant's messages are wanted. Call it before `run`."""
        self._revocations = listener
        self._awake.set()

    async def read(self, tenant_id: int, epoch: str, offset: int, topics: Iterable[str] = ()) -> Snapshot:
        """The feed above an offset of an epoch, or the whole of it for an empty epoch. Raises RedisError or OSError.

        A whole feed is read together with these topics, as far as it does not show them to new clients.
        """
        names, values = scripts.snapshot_arguments(self._keys, tenant_id, epoch, offset, topics)
        async with self._reads:
            return scripts.snapshot(await self._snapshot(names, values))

    async def read_topics(self, tenant_id: int, topics: Sequence[str]) -> Named:
        """The records of single topics where Redis holds them. Raises RedisError or OSError."""
        names, values = scripts.topics_arguments(self._keys, tenant_id, topics)
        async with self._reads:
            return scripts.topics(await self._topics(names, values))

    async def probe(self, tenants: Sequence[int]) -> dict[int, Probed]:
        """Where the feeds of these tenants stand, and who was revoked there. One round trip.

        Leaves out a tenant whose keys hold what they should not. Raises RedisError or OSError.
        """
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.info("replication")
        for tenant_id in tenants:
            pipeline.hmget(self._keys.feed(tenant_id), "epoch", "offset")
            # All of them, and not those since the last look: one that an outage held back comes with its old time.
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
        """Gives up the pub/sub connection for a new one: this one looks healthy, and brings nothing."""
        if self._holding is not None and not self._holding.done():
            self._given_up = True
            self._holding.cancel()

    async def check_link(self) -> None:
        """Ask the pub/sub connection whether it lives; one that has not answered since the last check is given up.

        So is one that leads to another server than a new connection to the same address. Raises RedisError or OSError.
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
        """Ask the pub/sub connection for a sign of life. The answer comes after all that was published before."""
        if self.connected and not self.idle and len(self._asked) < MAX_ASKED:
            self._asked.append(asyncio.get_running_loop().time())
            await self._command("PING")

    @property
    def unanswered_since(self) -> float | None:
        """When the pub/sub connection was asked for what it has not answered yet, by the loop's clock."""
        return self._asked[0] if self._asked else None

    @property
    def idle(self) -> bool:
        """Whether nothing is wanted of the pub/sub connection."""
        return not self._channels()

    async def check_server(self, *, fresh: bool = False) -> None:
        """Ask Redis whether it is the one that the pub/sub connection leads to; one that is not is given up.

        `fresh`: over a new connection, whose address is resolved now. What refuses nothing and was replaced all the
        same is found only so. Raises RedisError or OSError, ReadOnlyError at a replica.
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
        """Ask every second, for ever. Ends by cancellation only."""
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
        """Which history the server writes that has said this. Raises ReadOnlyError for a replica, which is left."""
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
        """Wants a tenant's messages; `on_confirmed` follows, at once or after the next reconnect."""
        channel = self._wanted[tenant_id] = self._keys.feed(tenant_id)
        self._awake.set()
        await self._command("SUBSCRIBE", channel)

    async def unsubscribe(self, tenant_id: int) -> None:
        channel = self._wanted.pop(tenant_id, None)
        if channel is not None:
            await self._command("UNSUBSCRIBE", channel)

    async def run(self, listener: Listener) -> None:
        """Holds the pub/sub connection for ever, through every loss of it. Ends by cancellation only."""
        delay = RECONNECT_SECONDS[0]
        while True:
            await self._awake.wait()
            # A task of its own, so that `reconnect` can end it and nothing else.
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
                # A defect of ours, or an answer nobody thought of, must not end every feed of the process for ever.
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
                # A replica brings messages too, for as long as it has a master: nobody would notice.
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
        """Everything that has arrived: waits for the first reply only."""
        batch = [await _read_reply(connection)]
        while len(batch) < MAX_BATCH and await connection.can_read():
            batch.append(await _read_reply(connection))
        return batch

    def _deliver(self, replies: list[Any], listener: Listener) -> None:
        messages: list[tuple[int, bytes]] = []
        for reply in replies:
            # Without a subscription, the answer to a PING is another one.
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
                # What was read before the confirmation belongs to the time before it.
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
        """The connection has answered: what was published before it was asked came before the answer."""
        if self.heard_until > float("-inf"):
            self.heard_until = max(self.heard_until, asked_at)

    def _channels(self) -> list[str]:
        told = [self._keys.revocations()] if self._revocations is not None else []
        return [*told, *self._wanted.values()]

    async def _command(self, *words: str) -> None:
        connection = self._connection
        # One that is closed the library would open again, behind the reading side's back.
        if connection is not None and connection.is_connected:
            # A write that fails is the reading side's to notice; it subscribes to all that is wanted when it is back.
            with suppress(RedisError, OSError):
                await connection.send_command(*words)


async def _replication(connection: AbstractConnection) -> dict[str, Any]:
    """What the server at the end of this connection says in INFO replication."""
    await connection.send_command("INFO", "replication")
    said: bytes = await connection.read_response(timeout=math.inf, disconnect_on_error=False)
    return dict(line.split(":", 1) for line in said.decode().splitlines() if ":" in line)


async def _read_reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response(timeout=math.inf, disconnect_on_error=False)
    except ResponseError as problem:
        # A Redis whose disk is full refuses even PING. It has answered, and goes on bringing messages.
        if refusal(problem) is None:
            raise
        return b"PONG"


def _is_cancelled() -> bool:
    """Whether it is this task that is to end, and not only one that it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
