"""Tests of a failover, after which an address leads to another Redis.

Links move to the new Redis, and its offsets are not confused with those of the old one.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import ReadOnlyError, RedisError

import realtime.feed.reader
import realtime.redis.links
from embedded.ports import HOST
from harness.redis_pair import RedisPair
from realtime.connect.connections import Connections, MaxConnections
from realtime.connect.link_health import Health
from realtime.connect.revocation import Revocations
from realtime.feed.hub import Hub
from realtime.feed.reader import FeedReader
from realtime.feed.subscriber import Subscriber
from realtime.publish import AsyncPublisher, Publisher
from realtime.records.errors import FeedUnavailableError
from realtime.records.keys import Keys
from realtime.records.scripts import Published
from realtime.records.topics import TopicFilter
from realtime.redis import links
from tests.realtime.carriers import RecordingCarrier
from tests.realtime.waiting import PATIENCE_SECONDS, until

EVERYTHING = TopicFilter.of(["*"])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a wrong server's error end even a new link, and check the server often, so that tests need not wait."""
    monkeypatch.setattr(realtime.redis.links, "YOUNG_SECONDS", 0.0)
    monkeypatch.setattr(realtime.feed.reader, "SERVER_SECONDS", 0.05)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[RedisPair]:
    async with RedisPair(tmp_path) as pair:
        yield pair


class Watching:
    """A client of a hub, and the probe of the hub's link. The probe only runs when a test calls it."""

    def __init__(self, pair: RedisPair, tenant_id: int) -> None:
        self.tenant_id = tenant_id
        self.reader = FeedReader.from_url(pair.url)
        self.hub = Hub(self.reader)
        revocations = Revocations(links.client(pair.url))
        self.health = Health(self.reader, self.hub, Connections(MaxConnections(1, 1, 1)), 1.0, revocations)
        self.carrier = RecordingCarrier()
        self.subscriber = Subscriber(tenant_id, EVERYTHING, self.carrier)

    async def __aenter__(self) -> Self:
        self.hub.start()
        await self.hub.join(self.subscriber)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hub.leave(self.subscriber)
        await self.hub.close()

    async def join_by_name(self) -> None:
        """Connect a client that names a topic which the feed does not show, and disconnect it."""
        newcomer = Subscriber(self.tenant_id, TopicFilter.of(["job:never"]), RecordingCarrier())
        await self.hub.join(newcomer)
        self.hub.leave(newcomer)

    def ended(self) -> set[str]:
        """Return the topics whose end the client has received."""
        records = [record for frame in self.carrier.frames for record in frame.get("records", ())]
        return {record["topic"] for record in records if record["status"] == "DONE"}

    async def until_ended(self, topics: set[str]) -> None:
        await until(lambda: topics <= self.ended())


@pytest.fixture
async def watching(pair: RedisPair, tenant_id: int) -> AsyncIterator[Watching]:
    async with Watching(pair, tenant_id) as watching:
        yield watching


async def finish(publisher: Publisher, tenant_id: int, *topics: str) -> list[Published]:
    """Publish the end of each topic in a thread, because this loop also runs the proxy. Return the answers."""

    def publish() -> list[Published]:
        return [publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status="DONE") for topic in topics]

    return await asyncio.to_thread(publish)


def jobs(name: str, number: int = 10) -> list[str]:
    return [f"job:{name}{n}" for n in range(number)]


async def test_a_redis_that_is_promoted_twice_begins_an_epoch_each_time(
    pair: RedisPair, watching: Watching, tenant_id: int
) -> None:
    """A is master, then B, then A again, which lacks what B accepted. The `run_id` of A in `INFO` is still the same."""
    publisher = Publisher.from_url(pair.url)
    before = await finish(publisher, tenant_id, *jobs("before"))
    await watching.until_ended(set(jobs("before")))
    await pair.replicate()
    await pair.promote()
    await pair.fall_behind()  # from here on A gets no writes
    lost = await finish(publisher, tenant_id, *jobs("lost"))
    await watching.until_ended(set(jobs("lost")))
    await pair.promote()
    later = await finish(publisher, tenant_id, *jobs("later"))
    assert {answer.offset for answer in lost} == {answer.offset for answer in later}, "The offsets were to repeat."
    await watching.until_ended(set(jobs("later")))
    assert len({answers[0].epoch for answers in (before, lost, later)}) == 3
    publisher.close()


async def test_the_relay_fills_a_redis_that_was_promoted_again(pair: RedisPair) -> None:
    publisher = Publisher.from_url(pair.url)

    async def fill() -> str:
        run_id = await asyncio.to_thread(publisher.run_id)
        await asyncio.to_thread(publisher.mark_filling)
        assert await asyncio.to_thread(publisher.mark_filled, run_id)
        return run_id

    lives = [await fill()]
    for _ in range(2):
        await pair.replicate()
        await pair.promote()
        assert await asyncio.to_thread(publisher.filled_run_id) != await until_master(publisher)
        lives.append(await fill())
    assert len(set(lives)) == 3
    publisher.close()


async def until_master(publisher: Publisher) -> str:
    """Wait until the address leads to a master, and return the id of the master's history of writes."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await asyncio.to_thread(publisher.run_id)
            except ReadOnlyError:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["FAILOVER", "REPLICAOF"])
async def test_after_a_planned_failover_no_client_keeps_old_records(
    pair: RedisPair, watching: Watching, tenant_id: int, how: str
) -> None:
    """All links of the process lead to the server that becomes a replica, and none is cut."""
    publisher = Publisher.from_url(pair.url)
    await finish(publisher, tenant_id, *jobs("before"))
    await watching.until_ended(set(jobs("before")))
    await pair.replicate()
    await (pair.fail_over() if how == "FAILOVER" else pair.promote())
    await finish(publisher, tenant_id, *jobs("after"))
    await watching.until_ended(set(jobs("after")))
    newcomer = RecordingCarrier()
    subscriber = Subscriber(tenant_id, EVERYTHING, newcomer)
    await watching.hub.join(subscriber)
    assert {record["topic"] for record in newcomer.frames[0]["records"]} >= set(jobs("after"))
    await until_ready(watching.hub)
    publisher.close()


async def until_ready(hub: Hub, *, ready: bool = True) -> str:
    """Wait until `/readyz` would answer as expected, and return why the hub is not ready, or an empty text."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                await hub.ready()
                said = ""
            except FeedUnavailableError as problem:
                said = str(problem)
            if ready == (not said):
                return said
            await asyncio.sleep(0.01)


async def test_a_process_whose_address_leads_to_a_replica_is_not_ready_until_it_leads_to_a_master(
    pair: RedisPair, watching: Watching, tenant_id: int
) -> None:
    await pair.replicate()
    await pair.promote(switch=False)
    assert "replica" in await until_ready(watching.hub, ready=False)
    await until(lambda: not watching.reader.link.connected)
    with pytest.raises(RedisError):
        await watching.reader.read(tenant_id, "", 0)
    with pytest.raises(RedisError):
        await watching.reader.probe([tenant_id])
    reading = AsyncPublisher.from_url(pair.url)
    with pytest.raises(RedisError, match="replica"):
        await reading.record(tenant_id, "job:a")
    pair.switch()
    await until_ready(watching.hub)
    await reading.status(tenant_id=tenant_id, topic="job:a", attempt=1, status="DONE")
    await watching.until_ended({"job:a"})
    await reading.close()


async def test_the_next_probe_leaves_a_server_that_was_replaced_without_knowing_it(
    pair: RedisPair, watching: Watching, tenant_id: int
) -> None:
    """Both servers accept writes, because the old one was not made a replica when the address was moved."""
    await pair.replicate()
    old = pair.master
    await asyncio.to_thread(pair.replica.command, "REPLICAOF", "NO", "ONE")
    pair.master, pair.replica = pair.replica, old
    pair.switch()
    with Publisher.from_url(pair.master.url) as publisher:
        await finish(publisher, tenant_id, "job:a")
    await watching.health.probe()
    await watching.until_ended({"job:a"})


async def test_an_old_link_reconnects_to_the_present_address(
    pair: RedisPair, tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes without a probe, such as workers, find in this way that their server was replaced."""
    monkeypatch.setattr(realtime.redis.links, "OLD_SECONDS", 0.05)
    publisher = Publisher.from_url(pair.url)
    await finish(publisher, tenant_id, "job:a")
    pair.proxies[0].target = pair.replica.port
    await asyncio.sleep(0.06)
    await finish(publisher, tenant_id, "job:b")
    publisher.close()
    with Redis.from_url(pair.replica.url) as there:
        assert there.exists(Keys().status(tenant_id, "job:b"))


async def test_a_feed_that_is_behind_its_mirror_is_a_new_epoch_at_the_probe_and_at_every_read(
    pair: RedisPair, watching: Watching, tenant_id: int
) -> None:
    """Redis goes back to an older state, as when its machine is restored. It is neither restarted nor promoted."""
    with Publisher.from_url(pair.master.url) as publisher, Redis.from_url(pair.master.url) as redis:
        await finish(publisher, tenant_id, *jobs("a", 5))
        await watching.until_ended(set(jobs("a", 5)))

        def go_back() -> None:
            redis.set(Keys().relay(), "filled")
            redis.hset(Keys().feed(tenant_id), "offset", 2)

        for notice in (watching.health.probe, watching.join_by_name):
            epoch = watching.hub.positions()[tenant_id][0]
            await asyncio.to_thread(go_back)
            await notice()
            await until(lambda: watching.hub.positions()[tenant_id][0] != epoch)  # noqa: B023 - called in this round
            assert redis.get(Keys().relay()) is None, "The relay has to fill it again."
            for name in jobs(f"b{epoch}", 4):
                await finish(publisher, tenant_id, name)
            await watching.until_ended(set(jobs(f"b{epoch}", 4)))


Link = Callable[[str], Callable[[], object]]


def published(url: str) -> Callable[[], object]:
    publisher = Publisher.from_url(url)
    return lambda: publisher.status(tenant_id=1, topic=f"job:{time.time_ns()}", attempt=1, status="DONE")


def revoked(url: str) -> Callable[[], object]:
    revocations = Revocations(links.client(url))
    return lambda: revocations.add(1, "user:1", time.time() * 1000)


def written(url: str) -> Callable[[], object]:
    redis = links.client(url)
    return lambda: redis.set("a", 1)


@pytest.mark.parametrize("link", [published, revoked, written])
async def test_a_write_on_a_link_to_a_replica_is_sent_to_the_master(pair: RedisPair, link: Link) -> None:
    """There is no error, even if many links of the process lead to the replica."""
    write = link(pair.url)
    await asyncio.to_thread(write)
    await pair.replicate()
    await pair.promote()
    await asyncio.to_thread(write)
    assert (await asyncio.to_thread(pair.master.command, "DBSIZE")) != ":0"


class Refusing:
    """A server that answers +OK to every command, except that `SET b` gets an error on the first link."""

    def __init__(self, error: str) -> None:
        self.error, self.links = error, 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self._server.sockets[0].getsockname()[1]}?protocol=2"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin, HOST, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.wait(self._tasks)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.links += 1
        self._tasks.add(asyncio.create_task(self._serve(reader, writer, refusing=self.links == 1)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, refusing: bool) -> None:
        with suppress(OSError):
            while head := await reader.readline():
                words = [(await reader.readline(), (await reader.readline()).strip())[1] for _ in range(int(head[1:]))]
                refused = refusing and words[:2] == [b"SET", b"b"]
                writer.write(f"-{self.error}\r\n".encode() if refused else b"+OK\r\n")
        writer.close()


@pytest.mark.parametrize(
    "answer",
    [
        "READONLY You can't write against a read only replica.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "MOVED 3999 127.0.0.1:6381",
        "NOREPLICAS Not enough good replicas to write.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        "NOPERM User default has no permissions to run the 'set' command",
        "BUSY Redis is busy running a script.",
        "LOADING Redis is loading the dataset in memory",
        "NOAUTH Authentication required.",
    ],
)
@pytest.mark.parametrize("kind", ["synchronous", "asyncio"])
async def test_each_answer_of_a_wrong_or_unavailable_server_ends_the_link(answer: str, kind: str) -> None:
    """On its first link, the server answers `SET b` with this error. The client repeats `SET b` on a new link."""
    async with Refusing(answer) as server:
        if kind == "asyncio":
            redis: AsyncRedis = links.async_client(server.url)
            await redis.set("a", 1)
            assert await redis.set("b", 1)
            await redis.aclose()
        else:
            client = links.client(server.url)
            await asyncio.to_thread(client.set, "a", 1)
            assert await asyncio.to_thread(client.set, "b", 1)
            client.close()
        assert server.links == 2


async def test_errors_of_a_young_link_are_raised_and_the_link_is_kept(
    pair: RedisPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If each error replaced the link, a Redis at its memory limit would get a new connection for each record."""
    monkeypatch.setattr(realtime.redis.links, "YOUNG_SECONDS", 60.0)
    connections = pair.proxies[0].connections
    redis = links.client(pair.url)
    await pair.replicate()
    await pair.promote(switch=False)
    for _ in range(3):
        with pytest.raises(ReadOnlyError):
            await asyncio.to_thread(redis.set, "a", 1)
    assert pair.proxies[0].connections == connections + 1
