"""The hub: mirrors the feeds that this process's clients watch, and fans out their changes.

For each tenant with subscribers, the hub subscribes, waits for Redis' confirmation, reads the feed, and then applies
the messages that arrived during the read. After a gap or a lost connection it reads what is above the mirror's offset,
and fans out only the changes. After a change of epoch it reads the whole feed, and sends every client a new snapshot.
New and returning clients are served from the mirror.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self

import structlog
from redis.exceptions import ReadOnlyError, RedisError

from realtime.feed.background_tasks import end_tasks
from realtime.feed.followed_feed import FollowedFeed, RecordCollector
from realtime.feed.freshness import Pulse
from realtime.feed.mirror import parse_messages
from realtime.feed.reader import FeedReader
from realtime.feed.rounds import Rounds
from realtime.feed.subscriber import Subscriber
from realtime.protocol import frames
from realtime.protocol.frames import Frame
from realtime.protocol.place import Place
from realtime.records.errors import FeedUnavailableError
from realtime.records.record import Record
from realtime.records.scripts import Limits, Named
from realtime.records.topics import STATS, TopicFilter

log = structlog.get_logger(__name__)

JOIN_SECONDS = 5.0
LINGER_SECONDS = 30.0
POLLED_SECONDS = 12.0
"""For how long after a poll of the figures a tenant counts as watching them. Clients poll at least every 5 seconds."""
MAX_NAMED_READS = 5
"""How many times, at most, named topics are read for a client. A read is repeated if the mirror was replaced
meanwhile."""


class Hub:
    """The feeds of one server process (and event loop)."""

    def __init__(self, reader: FeedReader, limits: Limits | None = None) -> None:
        self._reader = reader
        self._limits = limits or Limits()
        self._rounds = Rounds()
        self._feeds: dict[int, FollowedFeed] = {}
        self._polled: dict[int, float] = {}
        """For each tenant, the time of the last poll that named the figures (on the loop's clock)."""
        self._pulse = Pulse(reader.link, self._feeds.values)
        self._run_task: asyncio.Task[None] | None = None
        self._pulse_task: asyncio.Task[None] | None = None
        self._server_task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> Self:
        if self._run_task is None:
            loop = asyncio.get_running_loop()
            self._run_task = loop.create_task(self._reader.link.run(self))
            self._pulse_task = loop.create_task(self._pulse.run())
            self._server_task = loop.create_task(self._reader.watch_server())
        return self

    @property
    def running(self) -> bool:
        return self._run_task is not None and not self._run_task.done()

    async def close(self) -> None:
        for feed in self._feeds.values():
            feed.close()
        tasks = [task for task in (self._run_task, self._pulse_task, self._server_task) if task is not None]
        await end_tasks(tasks)
        await self._reader.close()

    async def join(self, subscriber: Subscriber, since: Place | None = None, first: Frame | None = None) -> None:
        """Add a connection, and queue its snapshot: what changed after place `since`, or everything that it watches.

        `first` is sent before the snapshot. If the feed cannot be read, send nothing and raise FeedUnavailableError.
        """
        async with self._held_feed(subscriber.tenant_id) as feed:
            async with _in_time():
                if since is not None:
                    await feed.catch_up_with(since)
                named_records = await self._read_named(feed, subscriber.topics.named)
            # Nothing is awaited from here on, so that no record is missed between the snapshot and the next frame.
            if subscriber.ended:
                return
            broadcast = feed.broadcast
            broadcast.add(subscriber)
            if first is not None:
                subscriber.queue(first)
            subscriber.start(broadcast, broadcast.snapshot_frames(subscriber.topics, named_records, since))
            if broadcast.delayed_seconds is not None:
                subscriber.queue(frames.delayed(broadcast.delayed_seconds))

    async def snapshot(self, tenant_id: int, topics: TopicFilter, since: Place | None = None) -> Frame:
        """Return the answer to a poll: a snapshot in one part. It has what changed after `since`, or all records.

        Raise FeedUnavailableError if the feed cannot be read or is delayed. A poll gets one answer, so the server could
        not send the missing records of a delayed feed later.
        """
        if STATS in topics.patterns:
            self._polled[tenant_id] = asyncio.get_running_loop().time()
        async with self._held_feed(tenant_id) as feed:
            if feed.broadcast.delayed_seconds is not None:
                raise FeedUnavailableError("The feed cannot be read at the moment; try again in a few seconds.")
            async with _in_time():
                if since is not None:
                    await feed.catch_up_with(since)
                named_records = await self._read_named(feed, topics.named)
            return feed.broadcast.snapshot_frames(topics, named_records, since, max_bytes=sys.maxsize)[0]

    def leave(self, subscriber: Subscriber) -> None:
        """Remove a connection that is gone."""
        subscriber.close()
        self.detach(subscriber)

    def detach(self, subscriber: Subscriber, last: Frame | None = None) -> None:
        """Remove a connection. With `last`, still send the queued frames and then `last`, but no waiting records."""
        if last is not None:
            subscriber.finish(last)
        feed = self._feeds.get(subscriber.tenant_id)
        if feed is not None:
            feed.broadcast.remove(subscriber)
            self._drop_later(feed)

    async def subscribe(self, subscriber: Subscriber, request_id: int, added: TopicFilter) -> None:
        """Add topics to a connection, and send the client their records.

        Raise BadTopicError if the connection would have too many topics, and FeedUnavailableError if the feed cannot be
        read.
        """
        topics = TopicFilter.of(subscriber.topics.patterns | added.patterns)
        async with self._held_feed(subscriber.tenant_id) as feed:
            async with _in_time():
                named_records = await self._read_named(feed, added.named)
            if subscriber.ended:
                return
            feed.broadcast.move(subscriber, topics)
            bodies = feed.broadcast.bodies(added, named_records)
            subscriber.queue(frames.subscribed(request_id, subscriber.place, bodies))

    def unsubscribe(self, subscriber: Subscriber, request_id: int, removed: TopicFilter) -> None:
        """Remove topics that `subscribe` has added. The connection keeps the topics with which it began.

        A client that needs the record of a topic it already watches can subscribe to the topic, and then unsubscribe.
        """
        if subscriber.ended:
            return
        left = subscriber.topics.patterns - removed.patterns
        topics = TopicFilter.of(left | subscriber.first_topics.patterns)
        self._feeds[subscriber.tenant_id].broadcast.move(subscriber, topics)
        subscriber.queue(frames.unsubscribed(request_id, subscriber.place))

    def delay_of(self, tenant_id: int) -> float | None:
        """Return how many seconds this feed has been delayed, or None if it is current or is not followed here."""
        feed = self._feeds.get(tenant_id)
        return None if feed is None else feed.broadcast.delayed_seconds

    def watching_figures(self) -> list[int]:
        """Return the tenants whose figures (`STATS`) are watched by a client of this process.

        A client watches them over a connection, or has polled them in the last `POLLED_SECONDS`.
        """
        earliest = asyncio.get_running_loop().time() - POLLED_SECONDS
        self._polled = {tenant_id: at for tenant_id, at in self._polled.items() if at >= earliest}
        named = {tenant_id for tenant_id, feed in self._feeds.items() if feed.broadcast.is_named(STATS)}
        return sorted(self._polled.keys() | named)

    def positions(self) -> dict[int, tuple[str, int]]:
        """Return epoch and offset of each feed that this process follows. The epoch is empty before the first load."""
        return {tenant: (feed.mirror.epoch, feed.mirror.offset) for tenant, feed in self._feeds.items()}

    def waits_for_load(self, tenant_id: int, seconds: float) -> bool:
        """Return whether this feed has been followed for longer than `seconds` without having been loaded."""
        feed = self._feeds.get(tenant_id)
        if feed is None or feed.mirror.loaded:
            return False
        return asyncio.get_running_loop().time() - feed.followed_since > seconds

    def recover(self, tenant_ids: Iterable[int]) -> None:
        """Read feeds whose messages did not arrive, and replace the pub/sub connection to Redis."""
        for tenant_id in tenant_ids:
            # A feed that was never loaded is read as soon as its subscription is confirmed.
            if tenant_id in self._feeds and self._feeds[tenant_id].mirror.loaded:
                self._feeds[tenant_id].request_read("probe")
        self._reader.link.reconnect()

    async def ready(self) -> None:
        """Check that this process can serve clients. Raise FeedUnavailableError with the reason if it cannot."""
        try:
            await self._reader.check_server()
        except ReadOnlyError:
            raise FeedUnavailableError("Redis is a replica (READONLY): nothing can be read or written there.") from None
        except (RedisError, OSError) as problem:
            raise FeedUnavailableError(f"Redis cannot be reached: {problem}") from None
        if not self.running:
            raise FeedUnavailableError("The reader of the feeds does not run.")
        if not self._reader.link.idle and not self._reader.link.connected:
            raise FeedUnavailableError("The link to Redis that brings the feeds is being made again.")

    # The methods of `realtime.feed.pubsub_link.Listener`.

    def on_messages(self, messages: Mapping[int, Sequence[bytes]]) -> None:
        for tenant_id, payloads in messages.items():
            if tenant_id in self._feeds:
                self._feeds[tenant_id].receive(parse_messages(payloads, tenant_id))

    def on_confirmed(self, tenant_id: int) -> None:
        if tenant_id in self._feeds:
            self._feeds[tenant_id].confirm()

    def on_lost(self) -> None:
        """Mark each feed as possibly out of date. Each is read again when Redis confirms its new subscription."""
        since = self._reader.link.unanswered_since
        for feed in self._feeds.values():
            feed.lose(since)

    @asynccontextmanager
    async def _held_feed(self, tenant_id: int) -> AsyncIterator[FollowedFeed]:
        """Yield the tenant's feed once it is loaded, and do not drop it before the block ends.

        Raise FeedUnavailableError if the feed is not loaded within `JOIN_SECONDS`.
        """
        feed = self._feeds.get(tenant_id)
        is_new = feed is None
        if feed is None:
            feed = self._feeds[tenant_id] = FollowedFeed(tenant_id, self._reader, self._limits, self._rounds)
        feed.cancel_drop()
        try:
            with feed.held():
                if is_new:
                    await self._reader.link.subscribe(tenant_id)
                async with _in_time():
                    await feed.loaded.wait()
                yield feed
        finally:
            self._drop_later(feed)

    async def _read_named(self, feed: FollowedFeed, named: Sequence[str]) -> dict[str, Record]:
        """Return the records of the named topics, however old. If the mirror holds all of them, return an empty dict.

        When this returns, the records and the mirror are of the same state of the feed. Raise FeedUnavailableError if
        Redis cannot be read, or if the mirror was replaced during each of `MAX_NAMED_READS` reads.
        """
        if all(feed.mirror.get(topic) is not None for topic in named):
            return {}
        try:
            for _ in range(MAX_NAMED_READS):
                with feed.collecting(named) as collector:
                    if await self._fits(feed, collector, await self._reader.read_topics(feed.tenant_id, named)):
                        return collector.records
        except (RedisError, OSError):
            raise FeedUnavailableError("Redis cannot be reached at the moment; try again in a few seconds.") from None
        raise FeedUnavailableError("The feed begins again and again; try again in a few seconds.")

    @staticmethod
    async def _fits(feed: FollowedFeed, collector: RecordCollector, read: Named) -> bool:
        """Add the records in `read` to `collector`.

        If the mirror is older than these records, or if Redis lost data, first read the feed. Return False if a read of
        the whole feed has replaced the mirror. The topics then have to be read again.
        """
        if collector.reset:
            return False
        if read.epoch != feed.mirror.epoch:
            await feed.read_again("epoch")
        elif read.offset < collector.since:
            await feed.read_again("behind")  # Redis went back: that read begins a new epoch
        elif any(record.offset > feed.mirror.offset for record in read.records.values()):
            await feed.read_again("client_ahead")  # the messages with these records are still on their way
        collector.add(read.records.values())
        return not collector.reset

    def _drop_later(self, feed: FollowedFeed) -> None:
        if feed.empty:
            feed.drop_after(LINGER_SECONDS, self._drop_if_unused)

    def _drop_if_unused(self, feed: FollowedFeed) -> None:
        if feed.empty and self._feeds.get(feed.tenant_id) is feed:
            del self._feeds[feed.tenant_id]
            feed.close()
            task = asyncio.get_running_loop().create_task(self._unsubscribe(feed.tenant_id))
            self._tasks.add(task)  # the loop itself holds tasks weakly
            task.add_done_callback(self._tasks.discard)

    async def _unsubscribe(self, tenant_id: int) -> None:
        # If a client has joined since this task was created, the process stays subscribed.
        if tenant_id not in self._feeds:
            await self._reader.link.unsubscribe(tenant_id)


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    """Raise FeedUnavailableError if the block takes too long.

    The block runs in the task of the caller. If it ran in another task, the mirror could change between the end of that
    task and the moment at which the caller continues.
    """
    try:
        async with asyncio.timeout(JOIN_SECONDS):
            yield
    except TimeoutError:
        raise FeedUnavailableError("The feed cannot be read at the moment; try again in a few seconds.") from None
