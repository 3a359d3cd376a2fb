"""The one pub/sub connection of a process to Redis: its subscriptions, what it delivers, and whether it is alive.

The PubSub class of redis-py reconnects silently. Here a lost connection must be noticed, because messages were
missed. So this module keeps the subscriptions itself. redis-py only opens the connection (TLS, sign-in and the other
options of the URL); then `PubSubProtocol` reads from it.
"""

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from realtime.feed.pubsub_protocol import PubSubProtocol
from realtime.records.keys import Keys
from realtime.redis import links
from realtime.redis.refused_writes import refusal

log = structlog.get_logger(__name__)

RECONNECT_SECONDS = (0.05, 2.0)
MAX_PINGS = 60
"""How many pings may be unanswered on a connection. At this number, no more pings are sent."""


class Listener(Protocol):
    """Receives what the pub/sub connection delivers. Called in the event loop; no method may block."""

    def on_messages(self, messages: Mapping[int, Sequence[bytes]]) -> None:
        """Handle messages that arrived together: by the id of the tenant, the payloads in their order."""

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
        """`connect_seconds` limits how long it takes to connect and to learn which server this is."""
        self._redis, self._keys = redis, keys
        self._connect_seconds = connect_seconds
        self._wanted: dict[bytes, int] = {}
        """By channel, the tenants to whose feeds this link subscribes."""
        self._revocations: RevocationListener | None = None
        self._revocations_channel = keys.revocations().encode()
        self._connection: PubSubProtocol | None = None
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
        channel = self._keys.feed(tenant_id)
        self._wanted[channel.encode()] = tenant_id
        self._awake.set()
        self._command("SUBSCRIBE", channel)

    async def unsubscribe(self, tenant_id: int) -> None:
        channel = self._keys.feed(tenant_id)
        if self._wanted.pop(channel.encode(), None) is not None:
            self._command("UNSUBSCRIBE", channel)

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
            self._command("PING")

    async def _hold_connection(self, listener: Listener) -> None:
        connection = links.permanent_connection(self._redis)
        try:
            async with asyncio.timeout(self._connect_seconds):
                await connection.connect()  # type: ignore[no-untyped-call]
                # `links.history` raises ReadOnlyError for a replica. Nothing later would show that it is one, because a
                # replica with a master delivers the same messages as the master.
                self.history = links.history(await links.replication_of(connection))
                deliver = partial(self._deliver, listener=listener)
                self._connection = await links.hand_over(connection, partial(PubSubProtocol, on_replies=deliver))
            self.connected = True
            self._connected_at = asyncio.get_running_loop().time()
            self._pings.clear()
            if channels := self._channels():
                self._command("SUBSCRIBE", *channels)
            await self._connection.until_lost()
        finally:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    def _deliver(self, replies: Sequence[Any], listener: Listener) -> None:
        """Pass on the replies of one read. The messages between two confirmations are passed on together."""
        messages: defaultdict[int, list[bytes]] = defaultdict(list)
        tenants = self._wanted
        for reply in replies:
            if not isinstance(reply, list) or reply[0] == b"pong":
                self._note_pong(reply)
            elif reply[0] == b"message" and reply[1] in tenants:
                messages[tenants[reply[1]]].append(reply[2])
            elif reply[1] == self._revocations_channel:
                self._deliver_revocation(reply[0], reply[2])
            elif reply[0] == b"subscribe" and reply[1] in tenants:
                if messages:
                    listener.on_messages(messages)
                    messages = defaultdict(list)
                listener.on_confirmed(tenants[reply[1]])
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

    def _note_pong(self, reply: Any) -> None:
        """Record that Redis answered a ping: everything that was published before the ping has arrived.

        The answer may be an error, because a Redis whose disk is full refuses even PING. It still delivers messages.
        """
        if isinstance(reply, Exception) and refusal(reply) is None:
            raise reply
        if self._pings:
            pinged_at = self._pings.popleft()
            if self.delivered_until > float("-inf"):
                self.delivered_until = max(self.delivered_until, pinged_at)

    def _channels(self) -> list[str]:
        revocations = [self._revocations_channel] if self._revocations is not None else []
        return [channel.decode() for channel in (*revocations, *self._wanted)]

    def _command(self, *words: str) -> None:
        # If the write fails, the connection is lost, and `run` subscribes to everything over the next one.
        if self._connection is not None:
            self._connection.send(*words)


def _is_cancelled() -> bool:
    """Return whether the current task itself was cancelled, and not only the task for which it waits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
