"""The hub: mirrors the feeds that this process's clients watch, and fans out what changes.

For each tenant with subscribers: subscribe, wait until Redis confirms, read, apply, then apply what arrived meanwhile.
A gap, another epoch or a lost connection leads to a read above the mirror's own offset, and only what changed is fanned
out. A new or returning client is served from the mirror.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Self

import structlog
from redis.exceptions import ReadOnlyError, RedisError

from realtime.feed.followed_feed import FollowedFeed, Noted
from realtime.feed.mirror import Message, parse_message
from realtime.feed.pulse import Pulse
from realtime.feed.reader import FeedReader
from realtime.feed.subscriber import Subscriber
from realtime.feed.tasks import end_tasks
from realtime.protocol import frames
from realtime.protocol.frames import Frame
from realtime.protocol.place import Place
from realtime.records.errors import BadRecordError, FeedUnavailableError
from realtime.records.record import Record
from realtime.records.scripts import Limits, Named
from realtime.records.topics import TopicFilter
from realtime.settings import Settings

log = structlog.get_logger(__name__)

JOIN_SECONDS = 5.0
LINGER_SECONDS = 30.0
MAX_NAMED_READS = 5
"""For one who comes: read again only where the feed was read as a whole meanwhile, as after a new epoch."""
FLUSH_SECONDS = Settings.flush_ms / 1000


class Hub:
    """One for each server process (and event loop)."""

    def __init__(
        self, reader: FeedReader, limits: Limits | None = None, *, flush_seconds: float = FLUSH_SECONDS
    ) -> None:
        self._reader = reader
        self._limits = limits or Limits()
        self._flush_seconds = flush_seconds
        self._feeds: dict[int, FollowedFeed] = {}
        self._pulse = Pulse(reader, self._feeds.values)
        self._run_task: asyncio.Task[None] | None = None
        self._pulse_task: asyncio.Task[None] | None = None
        self._server_task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> Self:
        if self._run_task is None:
            loop = asyncio.get_running_loop()
            self._run_task = loop.create_task(self._reader.run(self))
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
        """Adds a connection, and queues its snapshot: what changed since its place, or everything it may see.

        `first` goes before that, but only if there will be a snapshot. Raises FeedUnavailableError.
        """
        async with self._held_feed(subscriber.tenant_id) as feed:
            async with _in_time():
                if since is not None:
                    await feed.catch_up_with(since)
                named_records = await self._read_named(feed, subscriber.topics.named)
            # From here on nothing is awaited, so that the snapshot and what follows it fit together.
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
        """What a connection would get first, in one piece, for one who only asks once. Raises FeedUnavailableError.

        Who asks once cannot be told later that it was old: a feed that is delayed is unavailable.
        """
        async with self._held_feed(tenant_id) as feed:
            if feed.broadcast.delayed_seconds is not None:
                raise FeedUnavailableError("The feed cannot be read at the moment; try again in a few seconds.")
            async with _in_time():
                if since is not None:
                    await feed.catch_up_with(since)
                named_records = await self._read_named(feed, topics.named)
            return feed.broadcast.snapshot_frames(topics, named_records, since, max_bytes=sys.maxsize)[0]

    def leave(self, subscriber: Subscriber) -> None:
        """Removes a connection that is gone."""
        subscriber.close()
        self.detach(subscriber)

    def detach(self, subscriber: Subscriber, last: Frame | None = None) -> None:
        """Removes a connection that still has a last frame to send, and is sent nothing after that."""
        if last is not None:
            subscriber.finish(last)
        feed = self._feeds.get(subscriber.tenant_id)
        if feed is not None:
            feed.broadcast.remove(subscriber)
            self._drop_later(feed)

    async def subscribe(self, subscriber: Subscriber, request_id: int, added: TopicFilter) -> None:
        """Adds topics to a connection, and tells it their records. Raises FeedUnavailableError or BadTopicError."""
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
        """Takes topics from a connection."""
        if subscriber.ended:
            return
        topics = TopicFilter.of(subscriber.topics.patterns - removed.patterns)
        self._feeds[subscriber.tenant_id].broadcast.move(subscriber, topics)
        subscriber.queue(frames.unsubscribed(request_id, subscriber.place))

    def delay_of(self, tenant_id: int) -> float | None:
        """How many seconds this feed has been delayed; None: it is current."""
        feed = self._feeds.get(tenant_id)
        return None if feed is None else feed.broadcast.delayed_seconds

    def positions(self) -> dict[int, tuple[str, int]]:
        """Epoch and offset of each feed that this process follows; no epoch: it was never loaded."""
        return {tenant: (feed.mirror.epoch, feed.mirror.offset) for tenant, feed in self._feeds.items()}

    def waits_for_load(self, tenant_id: int, seconds: float) -> bool:
        """Whether this feed has been followed for so long and was not loaded."""
        feed = self._feeds.get(tenant_id)
        if feed is None or feed.mirror.loaded:
            return False
        return asyncio.get_running_loop().time() - feed.followed_since > seconds

    def heal(self, tenant_ids: Iterable[int]) -> None:
        """These feeds have gone on and this process was not told: reads them, and takes another connection to Redis."""
        for tenant_id in tenant_ids:
            # One that was never loaded is read once its subscription is confirmed.
            if tenant_id in self._feeds and self._feeds[tenant_id].mirror.loaded:
                self._feeds[tenant_id].request_read("probe")
        self._reader.reconnect()

    async def ready(self) -> None:
        """Returns if this process can serve. Raises FeedUnavailableError with the reason."""
        try:
            await self._reader.check_server()
        except ReadOnlyError:
            raise FeedUnavailableError("Redis is a replica (READONLY): nothing can be read or written there.") from None
        except (RedisError, OSError) as problem:
            raise FeedUnavailableError(f"Redis cannot be reached: {problem}") from None
        if not self.running:
            raise FeedUnavailableError("The reader of the feeds does not run.")
        if not self._reader.idle and not self._reader.connected:
            raise FeedUnavailableError("The link to Redis that brings the feeds is being made again.")

    # What the reader tells (`realtime.feed.reader.Listener`).

    def on_messages(self, messages: Sequence[tuple[int, bytes]]) -> None:
        by_feed: dict[int, list[Message]] = {}
        for tenant_id, payload in messages:
            try:
                by_feed.setdefault(tenant_id, []).append(parse_message(payload))
            except BadRecordError as problem:
                log.warning("bad_message", tenant=tenant_id, error=str(problem))
        for tenant_id, batch in by_feed.items():
            if tenant_id in self._feeds:
                self._feeds[tenant_id].receive(batch)

    def on_confirmed(self, tenant_id: int) -> None:
        if tenant_id in self._feeds:
            self._feeds[tenant_id].confirm()

    def on_lost(self) -> None:
        """Each feed is in doubt now. It is read again when its subscription is confirmed."""
        since = self._reader.unanswered_since
        for feed in self._feeds.values():
            feed.lose(since)

    @asynccontextmanager
    async def _held_feed(self, tenant_id: int) -> AsyncIterator[FollowedFeed]:
        """The tenant's feed, loaded, and followed at least until the block ends. Raises FeedUnavailableError."""
        feed = self._feeds.get(tenant_id)
        is_new = feed is None
        if feed is None:
            feed = self._feeds[tenant_id] = FollowedFeed(tenant_id, self._reader, self._limits, self._flush_seconds)
        feed.cancel_drop()
        try:
            with feed.held():
                if is_new:
                    await self._reader.subscribe(tenant_id)
                async with _in_time():
                    await feed.loaded.wait()
                yield feed
        finally:
            self._drop_later(feed)

    async def _read_named(self, feed: FollowedFeed, named: Sequence[str]) -> dict[str, Record]:
        """The records of named topics that the mirror does not hold, as old as they may be.

        They fit the mirror as it is when this returns, however fast it goes on meanwhile. Raises FeedUnavailableError.
        """
        if all(feed.mirror.get(topic) is not None for topic in named):
            return {}
        try:
            for _ in range(MAX_NAMED_READS):
                with feed.noting(named) as noted:
                    if await self._fits(feed, noted, await self._reader.read_topics(feed.tenant_id, named)):
                        return noted.records
        except (RedisError, OSError):
            raise FeedUnavailableError("Redis cannot be reached at the moment; try again in a few seconds.") from None
        raise FeedUnavailableError("The feed begins again and again; try again in a few seconds.")

    @staticmethod
    async def _fits(feed: FollowedFeed, noted: Noted, read: Named) -> bool:
        """Brings the feed to where these topics were read, and keeps them. False if they do not fit it all the same."""
        if noted.reset:
            return False
        if read.epoch != feed.mirror.epoch:
            await feed.read_again("epoch")
        elif read.offset < noted.since:
            await feed.read_again("behind")  # Redis went back: that read begins a new epoch
        elif any(record.offset > feed.mirror.offset for record in read.records.values()):
            await feed.read_again("client_ahead")  # what the mirror is still to be told would go back behind it
        noted.add(read.records.values())
        return not noted.reset

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
        # Somebody may have joined since this was put to the loop: their subscription stays.
        if tenant_id not in self._feeds:
            await self._reader.unsubscribe(tenant_id)


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    """Bounds what a client waits for. Not a task of its own: what it read has to fit the mirror when it goes on."""
    try:
        async with asyncio.timeout(JOIN_SECONDS):
            yield
    except TimeoutError:
        raise FeedUnavailableError("The feed cannot be read at the moment; try again in a few seconds.") from None
