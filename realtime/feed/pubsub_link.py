"""The one pub/sub connection of a process to Redis: its subscriptions, what it delivers, and whether it is alive.

The PubSub class of redis-py reconnects silently. Here a lost connection must be noticed, because messages were
missed. So this module uses redis-py's connection class, and keeps the subscriptions itself.
"""

import asyncio
import math
import random
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

import structlog
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from realtime.records.keys import Keys
from realtime.redis import links
from realtime.redis.refused_writes import refusal

log = structlog.get_logger(__name__)

MAX_BATCH = 1000
RECONNECT_SECONDS = (0.05, 2.0)
MAX_PINGS = 60
"""How many pings may be unanswered on a connection. At this number, no more pings are sent."""


class Listener(Protocol):
    """Receives what the pub/sub connection delivers. Called in the event loop; no method may block."""

    def on_messages(self, messages: Sequence[tuple[int, bytes]]) -> None:
        """Handle messages that arrived together, in order. Each is a pair of a tenant's id and the payload."""

    def on_confirmed(self, tenant_id: int) -> None:
        """Handle the confirmation of a subscription. From now on, until `on_lost`, no message is missed."""

    def on_lost(self) -> None:
        """Handle the loss of the connection. The link reconnects, and Redis confirms each subscription again."""


class RevocationListener(Protocol):
    """Receives what the channel of revocations delivers. Called in the event loop; no method may block."""

    def on_revocation(self, message: bytes) -> None:
        """Handle the message of one revocation."""

    def on_revocations_confirmed(self) -> None:
        """Handle the confirmation of the subscription to revocations. Earlier revocations may have been missed."""


class PubSubLink:
    """Subscribes to the feeds of tenants and to revocations, for one process."""

    def __init__(self, redis: Redis, keys: Keys, connect_seconds: float) -> None:
        """`connect_seconds` limits how long it takes to connect and subscribe."""
        self._redis, self._keys = redis, keys
        self._connect_seconds = connect_seconds
        self._wanted: dict[int, str] = {}
        self._revocations: RevocationListener | None = None
        self._connection: AbstractConnection | None = None
        self._holding: asyncio.Task[None] | None = None
        self._given_up = False
        self._pings: deque[float] = deque()
        """The send times, by the loop's clock, of the pings that the connection has not answered yet."""
        self._checked_at = self._connected_at = float("-inf")
        self._awake = asyncio.Event()
        self.connected = False
        self.history = ""
        """The replication id of the server that the connection leads to (`records/lua/replication_id.lua`)."""
        self.delivered_until = float("-inf")
        """Every revocation published between the subscription and this time (by the loop's clock) has been delivered.

        It is -inf without a confirmed subscription.
        """

    @property
    def idle(self) -> bool:
        """Whether there is nothing to subscribe to."""
        return not self._channels()

    @property
    def unanswered_since(self) -> float | None:
        """When the oldest unanswered ping was sent, by the loop's clock; None if all were answered."""
        return self._pings[0] if self._pings else None

    def listen_to_revocations(self, listener: RevocationListener) -> None:
        """Deliver revocations to this listener, and stay connected even without tenants. Call this before `run`."""
        self._revocations = listener
        self._awake.set()

    async def subscribe(self, tenant_id: int) -> None:
        """Subscribe to a tenant's messages. While the link is not connected, this happens at the next connection.

        When Redis confirms the subscription, the listener's `on_confirmed` is called.
        """
        channel = self._wanted[tenant_id] = self._keys.feed(tenant_id)
        self._awake.set()
        await self._command("SUBSCRIBE", channel)

    async def unsubscribe(self, tenant_id: int) -> None:
        channel = self._wanted.pop(tenant_id, None)
        if channel is not None:
            await self._command("UNSUBSCRIBE", channel)

    async def run(self, listener: Listener) -> None:
        """Connect, deliver messages, and reconnect after each loss, until cancelled."""
        delay = RECONNECT_SECONDS[0]
        while True:
            await self._awake.wait()
            # Use a separate task, so that `reconnect` can end the connection without ending this loop.
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
                self.delivered_until = float("-inf")
                listener.on_lost()
                self._pings.clear()
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            delay = min(2 * delay, RECONNECT_SECONDS[1])

    def reconnect(self) -> None:
        """End the present connection, even if it looks healthy. `run` then opens a new one."""
        if self._holding is not None and not self._holding.done():
            self._given_up = True
            self._holding.cancel()

    async def check(self) -> None:
        """Ping Redis or, if the ping of the last check is still unanswered, replace the connection.

        Do nothing while the link is not connected, or has nothing to subscribe to.
        """
        if not self.connected or self.idle:
            return
        if self._pings and self._pings[0] <= self._checked_at:
            self.reconnect()
            return
        await self.ping()
        self._checked_at = asyncio.get_running_loop().time()

    async def ping(self) -> None:
        """Ping Redis. Do nothing if the link is not connected or is idle, or if `MAX_PINGS` pings are unanswered.

        The answer arrives after everything that was published before the ping.
        """
        if self.connected and not self.idle and len(self._pings) < MAX_PINGS:
            self._pings.append(asyncio.get_running_loop().time())
            await self._command("PING")

    async def _hold_connection(self, listener: Listener) -> None:
        connection = links.permanent_connection(self._redis)
        try:
            async with asyncio.timeout(self._connect_seconds):
                await connection.connect()  # type: ignore[no-untyped-call]
                # `links.history` raises ReadOnlyError for a replica. Nothing later would show that it is one, because a
                # replica with a master delivers the same messages as the master.
                self.history = links.history(await links.replication_of(connection))
                self._connection, self.connected = connection, True
                self._connected_at = asyncio.get_running_loop().time()
                self._pings.clear()
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
        """Wait for a reply. Return it and the next replies that have already arrived, at most `MAX_BATCH` in all."""
        batch = [await _read_reply(connection)]
        while len(batch) < MAX_BATCH and await connection.can_read():
            batch.append(await _read_reply(connection))
        return batch

    def _deliver(self, replies: list[Any], listener: Listener) -> None:
        messages: list[tuple[int, bytes]] = []
        for reply in replies:
            # Without a subscription, the answer to PING is a simple string.
            if reply == b"PONG" or reply[0] == b"pong":
                if self._pings:
                    self._note_answer(self._pings.popleft())
                continue
            kind, channel, *rest = reply
            if channel == self._keys.revocations().encode():
                self._deliver_revocation(kind, rest[0])
                continue
            tenant_id, payload = self._keys.tenant_of_feed(channel.decode()), rest[0]
            if kind == b"message":
                messages.append((tenant_id, payload))
            elif kind == b"subscribe":
                # First deliver the messages that arrived before this confirmation.
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
            self.delivered_until = self._connected_at
            self._revocations.on_revocations_confirmed()

    def _note_answer(self, pinged_at: float) -> None:
        """Record that Redis answered a ping: everything that was published before the ping has arrived."""
        if self.delivered_until > float("-inf"):
            self.delivered_until = max(self.delivered_until, pinged_at)

    def _channels(self) -> list[str]:
        revocations = [self._keys.revocations()] if self._revocations is not None else []
        return [*revocations, *self._wanted.values()]

    async def _command(self, *words: str) -> None:
        connection = self._connection
        # redis-py would open a closed connection again, and the reading task would not notice that.
        if connection is not None and connection.is_connected:
            # If the write fails, the reading task notices that, reconnects, and subscribes to everything.
            with suppress(RedisError, OSError):
                await connection.send_command(*words)


async def _read_reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response(timeout=math.inf, disconnect_on_error=False)
    except ResponseError as problem:
        # A Redis whose disk is full refuses even PING. Count the error as an answer: Redis still delivers messages.
        if refusal(problem) is None:
            raise
        return b"PONG"


def _is_cancelled() -> bool:
    """Return whether the current task itself was cancelled, and not only the task for which it waits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
