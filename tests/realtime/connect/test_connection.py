"""Tests of a connection from its ticket to its end."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis import Redis

from embedded.group import Servers
from realtime import conf
from realtime.connect.connection import Connection, Timing
from realtime.connect.connections import Connections, MaxConnections
from realtime.connect.link_health import Health
from realtime.connect.tickets import Ticket
from realtime.feed.hub import Hub
from realtime.feed.reader import FeedReader
from realtime.protocol.close_codes import CloseCode, RefusedError
from realtime.publish import Publisher
from realtime.records.errors import FeedUnavailableError
from realtime.records.topics import TopicFilter
from tests.realtime.carriers import RecordingCarrier

EVERYTHING = TopicFilter.of(["*"])


class Process:
    """A process with a hub and limits on connections. `new` makes a connection."""

    def __init__(self, url: str, tenant_id: int, publisher: Publisher) -> None:
        self.reader = FeedReader.from_url(url)
        self.hub = Hub(self.reader).start()
        self.connections = Connections(MaxConnections(2, 10, 10))
        self.tenant_id, self.publisher = tenant_id, publisher

    def new(self, timing: Timing | None = None) -> tuple[Connection, RecordingCarrier]:
        carrier = RecordingCarrier()
        ticket = Ticket(self.tenant_id, 1, "s", "owner", EVERYTHING, 3600)
        return Connection(ticket, EVERYTHING, carrier, self.hub, self.connections, timing or Timing()), carrier

    async def publish_and_wait(self, topic: str) -> None:
        """Publish the end of a topic, and wait until the hub has received it."""
        offset = self.publisher.status(tenant_id=self.tenant_id, topic=topic, attempt=1, status="DONE").offset
        async with asyncio.timeout(60):
            while self.hub.positions()[self.tenant_id][1] < offset:
                await asyncio.sleep(0.001)


async def admit(ticket: Ticket) -> None:
    """Admit every ticket."""


@pytest.fixture
async def process(servers: Servers, redis: Redis, tenant_id: int, publisher: Publisher) -> AsyncIterator[Process]:
    found = Process(servers.redis.url, tenant_id, publisher)
    yield found
    await found.hub.close()


async def until_closed(carrier: RecordingCarrier) -> None:
    async with asyncio.timeout(60):
        while carrier.closed_with is None:
            await asyncio.sleep(0.001)


async def test_a_connection_sends_welcome_then_snapshot_then_changes(process: Process) -> None:
    connection, carrier = process.new()
    await connection.open(None, admit)
    await process.publish_and_wait("job:a")
    assert carrier.kinds == ["welcome", "snapshot", "records"]
    connection.stop()
    assert len(process.connections) == 0


async def test_a_connection_that_is_ended_while_it_opens_sends_only_the_end(process: Process) -> None:
    connection, carrier = process.new()

    async def revoke(ticket: Ticket) -> None:
        connection.end(CloseCode.REVOKED)

    await connection.open(None, revoke)
    await until_closed(carrier)
    other, _ = process.new()
    await other.open(None, admit)
    await process.publish_and_wait("job:a")
    assert carrier.kinds == ["closing"]
    assert carrier.closed_with == 4410
    connection.stop()
    other.stop()


async def test_a_connection_that_is_ended_while_it_subscribes_sends_nothing_after_the_end(process: Process) -> None:
    connection, carrier = process.new()
    await connection.open(None, admit)
    subscribing = asyncio.ensure_future(connection.subscribe(1, TopicFilter.of(["job:named"])))
    await asyncio.sleep(0)
    connection.end(CloseCode.REVOKED)
    await subscribing
    await until_closed(carrier)
    assert carrier.kinds[-1] == "closing"
    connection.unsubscribe(2, TopicFilter.of(["job:named"]))
    assert carrier.kinds[-1] == "closing"
    connection.stop()


async def test_a_connection_that_was_ended_is_not_also_refused(process: Process) -> None:
    connection, carrier = process.new()

    async def revoked_while_redis_hangs(ticket: Ticket) -> None:
        connection.end(CloseCode.REVOKED)
        raise FeedUnavailableError("Redis hangs.")

    await connection.open(None, revoked_while_redis_hangs)
    await until_closed(carrier)
    connection.stop()


async def test_a_refused_connection_leaves_nothing_behind(process: Process) -> None:
    opened = [process.new()[0] for _ in range(2)]
    for connection in opened:
        await connection.open(None, admit)
    third, carrier = process.new()
    with pytest.raises(RefusedError) as refused:
        await third.open(None, admit)
    assert refused.value.code is CloseCode.TOO_MANY_CONNECTIONS
    assert carrier.kinds == []
    assert len(process.connections) == 2
    for connection in opened:
        connection.stop()


async def test_a_second_end_sends_nothing(process: Process) -> None:
    connection, carrier = process.new()
    await connection.open(None, admit)
    connection.end(CloseCode.SERVER_RESTART, 5)
    connection.end(CloseCode.REVOKED)
    await until_closed(carrier)
    assert carrier.kinds.count("closing") == 1
    assert carrier.closed_with == 1012
    connection.stop()


async def test_a_connection_that_does_not_read_its_end_is_given_up(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.connect.connection.CLOSE_SECONDS", 0.01)
    connection, carrier = process.new(Timing(slow=0.01))
    await connection.open(None, admit)
    carrier.fill()
    await process.publish_and_wait("job:a")
    async with asyncio.timeout(60):
        while not carrier.aborted:
            await asyncio.sleep(0.001)
    assert len(process.connections) == 0


async def test_a_client_that_answers_no_ping_is_closed(process: Process) -> None:
    connection, carrier = process.new(Timing(ping=0.01))
    await connection.open(None, admit)
    await until_closed(carrier)
    assert carrier.closed_with == 4001
    assert carrier.kinds.count("ping") == 2
    connection.stop()


async def test_many_connections_at_once_share_one_read_of_the_marks(process: Process) -> None:
    health = Health(process.reader, process.hub, process.connections, 15.0, conf.revocations())
    asked = 0
    probe = process.reader.probe

    async def counted(tenants: list[int]) -> object:
        nonlocal asked
        asked += 1
        return await probe(tenants)

    process.reader.probe = counted  # type: ignore[assignment]
    issued = Ticket(process.tenant_id, 1, "s", "owner", EVERYTHING, 3600)
    assert await asyncio.gather(*(health.is_revoked(issued) for _ in range(300))) == 300 * [False]
    assert asked == 1


async def test_a_connection_that_cannot_be_closed_is_aborted(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    connection, carrier = process.new()
    await connection.open(None, admit)

    async def peer_is_gone(_code: int, _reason: str) -> None:
        raise ConnectionResetError("the peer is gone")

    monkeypatch.setattr(carrier, "close", peer_is_gone)
    connection.end(CloseCode.REVOKED)
    async with asyncio.timeout(60):
        while not carrier.aborted:
            await asyncio.sleep(0.001)
    connection.stop()
    assert len(process.connections) == 0
