"""Tests of a process that loses Redis while more topics end than a feed shows: clients still get the ends."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from redis import Redis

from embedded.group import Servers
from embedded.ports import HOST
from harness.proxy import Proxy
from realtime.feed.hub import Hub
from realtime.feed.reader import FeedReader
from realtime.feed.subscriber import Subscriber
from realtime.publish import Publisher
from realtime.records.scripts import Limits
from realtime.records.topics import TopicFilter
from tests.realtime.carriers import RecordingCarrier
from tests.realtime.waiting import until

LIMITS = Limits(recent_terminal=3, recent_unfinished=4)


@dataclass
class Watched:
    """A client that watches everything, in a process that reaches Redis through a proxy."""

    hub: Hub
    proxy: Proxy
    publisher: Publisher
    tenant_id: int
    carrier: RecordingCarrier = field(default_factory=RecordingCarrier)

    def publish_status(self, status: str, *topics: str, attempt: int = 1) -> None:
        for topic in topics:
            self.publisher.status(tenant_id=self.tenant_id, topic=topic, attempt=attempt, status=status)

    def received(self) -> dict[str, str]:
        """Return the last status that the client received of each topic."""
        records = [record for frame in self.carrier.frames for record in frame.get("records", ())]
        return {record["topic"]: record["status"] for record in records}

    async def until_received(self, status: str, *topics: str) -> None:
        await until(lambda: all(self.received().get(topic) == status for topic in topics))

    async def cut_off(self) -> None:
        self.proxy.refuse()
        await until(lambda: not self.hub._reader.link.connected)

    def reconnect(self) -> None:
        self.proxy.refuse(refusing=False)


@pytest.fixture
async def watched(servers: Servers, redis: Redis, tenant_id: int) -> AsyncIterator[Watched]:
    async with Proxy(servers.redis.port) as proxy:
        hub = Hub(FeedReader.from_url(f"redis://{HOST}:{proxy.port}"), LIMITS).start()
        watched = Watched(hub, proxy, Publisher(redis, limits=LIMITS), tenant_id)
        subscriber = Subscriber(tenant_id, TopicFilter.of(["*"]), watched.carrier)
        await hub.join(subscriber)
        yield watched
        hub.leave(subscriber)
        await hub.close()


MANY = [f"job:{number}" for number in range(10)]


async def test_a_connected_client_gets_the_end_of_every_topic_that_it_saw_unfinished(watched: Watched) -> None:
    seen = MANY[:4]
    watched.publish_status("PROCESSING", *seen)
    await watched.until_received("PROCESSING", *seen)
    await watched.cut_off()
    watched.publish_status("DONE", *seen, *MANY[4:])
    watched.reconnect()
    await watched.until_received("DONE", *seen, *MANY[-3:])
    assert not set(MANY[4:-3]) & watched.received().keys(), "Nobody has seen these."


async def test_it_gets_the_end_if_redis_was_emptied_and_filled_in_two_outages(watched: Watched, redis: Redis) -> None:
    watched.publish_status("PROCESSING", "job:a")
    await watched.until_received("PROCESSING", "job:a")
    await watched.cut_off()
    redis.flushdb()
    watched.reconnect()
    await until(lambda: len(watched.carrier.frames) > 2)
    assert "job:a" not in {record["topic"] for record in watched.carrier.frames[-1]["records"]}
    await watched.cut_off()
    watched.publish_status("DONE", "job:a", *MANY)
    watched.reconnect()
    await watched.until_received("DONE", "job:a")


async def test_it_gets_the_end_if_newer_topics_pushed_the_topic_out_before(watched: Watched) -> None:
    watched.publish_status("PROCESSING", "job:a")
    await watched.until_received("PROCESSING", "job:a")
    watched.publish_status("PROCESSING", *MANY)
    await watched.until_received("PROCESSING", *MANY)
    await watched.cut_off()
    watched.publish_status("DONE", "job:a", *MANY)
    watched.reconnect()
    await watched.until_received("DONE", "job:a", *MANY)


async def test_it_gets_running_topics_too_and_their_ends_after_the_next_outage(watched: Watched) -> None:
    watched.publish_status("PENDING", "job:a")
    await watched.until_received("PENDING", "job:a")
    await watched.cut_off()
    watched.publish_status("PROCESSING", "job:a", *MANY)  # MANY pushed job:a out of the feed
    watched.reconnect()
    await watched.until_received("PROCESSING", "job:a", MANY[-1])
    await watched.cut_off()
    watched.publish_status("DONE", "job:a", *MANY)
    watched.reconnect()
    await watched.until_received("DONE", "job:a")


async def test_a_later_client_gets_only_what_the_feed_shows(watched: Watched) -> None:
    watched.publish_status("PROCESSING", "job:a")
    await watched.until_received("PROCESSING", "job:a")
    await watched.cut_off()
    watched.publish_status("DONE", "job:a", *MANY)
    watched.reconnect()
    await watched.until_received("DONE", "job:a")
    newcomer = RecordingCarrier()
    subscriber = Subscriber(watched.tenant_id, TopicFilter.of(["*"]), newcomer)
    await watched.hub.join(subscriber)
    assert {record["topic"] for record in newcomer.frames[0]["records"]} == set(MANY[-3:])
    watched.hub.leave(subscriber)
