"""Tests of the hub's connection to Redis, through a proxy that cuts it, stalls it or leaves it half open."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from redis import Redis

import realtime.connect.link_health
import realtime.feed.freshness
from embedded.group import Servers
from embedded.home import PROJECT
from embedded.ports import HOST
from harness.proxy import Proxy
from realtime.connect.connections import Connections, MaxConnections
from realtime.connect.link_health import Health
from realtime.connect.revocation import Revocations
from realtime.feed.hub import Hub
from realtime.feed.reader import FeedReader
from realtime.feed.subscriber import Subscriber
from realtime.publish import Publisher
from realtime.records.errors import FeedUnavailableError
from realtime.records.topics import TopicFilter
from tests.realtime.carriers import RecordingCarrier
from tests.realtime.waiting import PATIENCE_SECONDS, until


@dataclass
class Watched:
    """One client of a hub. The hub reaches Redis through a proxy."""

    proxy: Proxy
    hub: Hub
    health: Health
    carrier: RecordingCarrier
    publisher: Publisher
    tenant_id: int

    def publish(self, topic: str, status: str = "PROCESSING") -> None:
        self.publisher.status(tenant_id=self.tenant_id, topic=topic, attempt=1, status=status)

    def has(self, topic: str) -> bool:
        return any(record["topic"] == topic for frame in self.carrier.frames for record in frame.get("records", []))

    async def until_received(self, topic: str) -> None:
        await until(lambda: self.has(topic))


async def test_an_error_in_ending_one_tenants_connections_does_not_stop_the_watch(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realtime.connect.link_health, "LOOK_SECONDS", 0.01)
    ended: list[int] = []

    def fails_for_one(connections: Connections, tenant_id: int, _: object) -> None:
        ended.append(tenant_id)
        if tenant_id == 1:
            raise RuntimeError("a bug")

    monkeypatch.setattr(Connections, "end_revoked", fails_for_one)
    for tenant_id in (1, 2):
        watched.health._revocations.unwritten.add(tenant_id, "user:1", time.time() * 1000)
    watch = asyncio.create_task(watched.health.watch())
    await until(lambda: watch.done() or ended.count(2) >= 2)
    assert ended[:4] == [1, 2, 1, 2]
    watch.cancel()


@pytest.fixture
async def watched(
    servers: Servers, redis: Redis, publisher: Publisher, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watched]:
    monkeypatch.setattr(realtime.connect.link_health, "BEHIND_SECONDS", 0.05)
    async with Proxy(servers.redis.port) as proxy:
        reader = FeedReader.from_url(f"redis://{HOST}:{proxy.port}")
        hub = Hub(reader).start()
        carrier = RecordingCarrier()
        subscriber = Subscriber(tenant_id, TopicFilter.of(["*"]), carrier)
        await hub.join(subscriber)
        health = Health(reader, hub, Connections(MaxConnections(1, 1, 1)), 1.0, Revocations(redis))
        yield Watched(proxy, hub, health, carrier, publisher, tenant_id)
        hub.leave(subscriber)
        await hub.close()


async def test_after_a_cut_the_hub_reconnects_and_delivers_what_it_missed(watched: Watched) -> None:
    watched.proxy.refuse()
    watched.publish("job:missed", "DONE")
    watched.proxy.refuse(refusing=False)
    await watched.until_received("job:missed")
    watched.publish("job:after")
    await watched.until_received("job:after")


async def test_the_probe_finds_a_connection_that_looks_healthy_but_delivers_nothing(watched: Watched) -> None:
    watched.proxy.half_open()
    watched.publish("job:missed", "DONE")
    connections = watched.proxy.connections
    await watched.health.probe()
    await watched.until_received("job:missed")
    # After this, the hub replaces its link, so that the next message needs no probe.
    await until(lambda: watched.proxy.connections > connections)
    await until(lambda: watched.hub._reader.link.connected)
    watched.publish("job:after")
    await watched.until_received("job:after")


async def test_a_connection_that_stalled_delivers_each_record_once_and_in_order(watched: Watched) -> None:
    watched.proxy.stall()
    for number in range(20):
        watched.publish(f"job:{number}")
    watched.proxy.flow()
    await watched.until_received("job:19")
    offsets = [record["offset"] for frame in watched.carrier.frames for record in frame["records"]]
    assert offsets == sorted(set(offsets))


@pytest.mark.parametrize("key", ["feed", "revoked"])
async def test_a_key_of_the_wrong_type_does_not_disturb_the_probe_of_other_tenants(
    watched: Watched, redis: Redis, key: str
) -> None:
    other = watched.tenant_id + 1_000_000
    redis.set(f"tenant:{other}:{key}", "no hash and no sorted set")
    try:
        watched.publish("job:a")
        probed = await watched.hub._reader.probe([other, watched.tenant_id])
        assert set(probed) == {watched.tenant_id}
        assert probed[watched.tenant_id].offset == 1
    finally:
        redis.delete(f"tenant:{other}:{key}")


async def test_a_probe_of_a_healthy_link_changes_nothing(watched: Watched) -> None:
    watched.publish("job:a")
    await watched.until_received("job:a")
    link, frames = watched.hub._reader.link._connection, len(watched.carrier.taken)
    await watched.health.probe()
    assert watched.hub._reader.link._connection is link
    assert (watched.hub._reader.link.connected, len(watched.carrier.taken)) == (True, frames)


async def test_the_probe_notices_that_redis_was_emptied_while_the_link_stayed_open(
    watched: Watched, redis: Redis
) -> None:
    watched.publish("job:a")
    await watched.until_received("job:a")
    redis.flushdb()
    await watched.health.probe()
    await until(lambda: watched.carrier.kinds.count("snapshot") == 2)
    assert watched.carrier.frames[-1]["records"] == []


async def test_the_number_of_reads_at_the_same_time_is_limited(
    servers: Servers, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Proxy(servers.redis.port) as proxy:
        reader = FeedReader.from_url(f"redis://{HOST}:{proxy.port}")
        proxy.delay_seconds = 0.005
        answers = await asyncio.gather(*(reader.read(tenant, "", 0) for tenant in range(500_000, 500_200)))
        assert len(answers) == 200
        assert proxy.connections <= realtime.feed.reader.MAX_READS
        await reader.close()


async def test_a_connection_that_is_accepted_but_never_answered_is_given_up(
    servers: Servers, redis: Redis, publisher: Publisher, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.feed.reader.REDIS_TIMEOUT_SECONDS", 0.1)
    async with Proxy(servers.redis.port) as proxy:
        proxy.stall()
        hub = Hub(FeedReader.from_url(f"redis://{HOST}:{proxy.port}")).start()
        carrier = RecordingCarrier()
        subscriber = Subscriber(tenant_id, TopicFilter.of(["*"]), carrier)
        joining = asyncio.ensure_future(hub.join(subscriber))
        await until(lambda: proxy.connections > 0)
        proxy.half_open()  # connections that were opened so far stay silent for ever
        proxy.flow()
        await asyncio.wait_for(joining, PATIENCE_SECONDS)
        assert carrier.kinds == ["snapshot"]
        hub.leave(subscriber)
        await hub.close()


async def test_the_probe_finds_a_silent_connection_before_a_new_client_needs_it(watched: Watched) -> None:
    watched.proxy.half_open()
    connections = watched.proxy.connections
    await watched.health.probe()  # pings over the link
    await watched.health.probe()  # the link has not answered, so it is replaced
    await until(lambda: watched.proxy.connections > connections)
    newcomer = RecordingCarrier()
    subscriber = Subscriber(watched.tenant_id + 500_000, TopicFilter.of(["*"]), newcomer)
    await asyncio.wait_for(watched.hub.join(subscriber), PATIENCE_SECONDS)
    watched.hub.leave(subscriber)


@pytest.fixture
def quick_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime.feed.freshness, "PULSE_SECONDS", 0.05)
    monkeypatch.setattr(realtime.feed.freshness, "DELAYED_SECONDS", 1.0)


@pytest.mark.usefixtures("quick_pulse")
@pytest.mark.parametrize("breaks", ["hangs", "is cut off", "hangs and is given up"])
async def test_while_a_feed_may_be_out_of_date_its_clients_receive_delayed_and_afterwards_a_ping(
    watched: Watched, breaks: str
) -> None:
    if breaks == "is cut off":
        watched.proxy.refuse()
    else:
        watched.proxy.stall()
    await until(lambda: "delayed" in watched.carrier.kinds)
    if breaks == "hangs and is given up":
        watched.hub._reader.link.reconnect()
    newcomer = RecordingCarrier()
    subscriber = Subscriber(watched.tenant_id, TopicFilter.of(["*"]), newcomer)
    await watched.hub.join(subscriber)
    assert newcomer.kinds == ["snapshot", "delayed"]
    delay = watched.hub.delay_of(watched.tenant_id)
    assert delay is not None
    watched.publish("job:unheard")
    await until(lambda: watched.hub.delay_of(watched.tenant_id) != delay)
    later = watched.hub.delay_of(watched.tenant_id)
    assert later is not None, "The feed was said to be current while nothing could be known."
    assert later > delay
    assert watched.carrier.kinds == ["snapshot", "delayed"]
    with pytest.raises(FeedUnavailableError):
        await watched.hub.snapshot(watched.tenant_id, TopicFilter.of(["*"]))
    watched.proxy.flow()
    watched.proxy.refuse(refusing=False)
    await until(lambda: watched.carrier.kinds[-1:] == newcomer.kinds[-1:] == ["ping"])
    assert watched.has("job:unheard")
    assert watched.carrier.kinds.count("delayed") == 1
    assert watched.hub.delay_of(watched.tenant_id) is None
    watched.hub.leave(subscriber)


async def test_a_process_without_clients_keeps_its_connection_through_the_probes(watched: Watched) -> None:
    reader = watched.hub._reader
    link = reader.link
    for tenant_id in list(watched.hub._feeds):
        await link.unsubscribe(tenant_id)
    link._command("PING")  # as a ping that was begun before the UNSUBSCRIBE and sent after it
    for _ in range(3):
        await reader.check_link()
        await until(lambda: link.unanswered_since is None)
    assert link.connected


async def test_a_connection_that_is_given_up_while_the_hub_closes_does_not_delay_it(watched: Watched) -> None:
    watched.hub._reader.link.reconnect()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await watched.hub.close()


def test_clients_are_made_in_one_place() -> None:
    """A client that another module made itself would not notice that its Redis was replaced."""
    made = [
        path.relative_to(PROJECT).as_posix()
        for folder in ("academy", "apps", "realtime", "config", "embedded")
        for path in (PROJECT / folder).rglob("*.py")
        if re.search(r"\b(Async)?Redis(\.from_url)?\(", path.read_text(encoding="utf-8"))
    ]
    assert made == ["realtime/redis/links.py"]
