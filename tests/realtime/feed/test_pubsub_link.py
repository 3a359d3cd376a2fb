"""Tests of the connection that brings messages from Redis: how it is made, read and lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from embedded.ports import HOST
from embedded.redis import RedisServer
from realtime.feed.pubsub_link import PubSubLink
from realtime.feed.pubsub_protocol import READ_BYTES, PubSubProtocol
from realtime.feed.reader import FeedReader
from realtime.records.keys import Keys
from realtime.redis import links
from tests.certificates import own_certificate
from tests.realtime.waiting import until

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class Received:
    """What a link delivered, in order: `(tenant, payload)`, `("confirmed", tenant)` and `("lost",)`."""

    def __init__(self) -> None:
        self.all: list[tuple[Any, ...]] = []
        self.reads: list[Mapping[int, Sequence[bytes]]] = []
        self.on_read: Callable[[], None] = lambda: None

    def on_messages(self, messages: Mapping[int, Sequence[bytes]]) -> None:
        self.reads.append(dict(messages))
        self.all += [(tenant_id, payload) for tenant_id, payloads in messages.items() for payload in payloads]
        self.on_read()

    def on_confirmed(self, tenant_id: int) -> None:
        self.all.append(("confirmed", tenant_id))

    def on_lost(self) -> None:
        self.all.append(("lost",))


@asynccontextmanager
async def linked(url: str, *tenants: int) -> AsyncIterator[tuple[PubSubLink, Received]]:
    """Yield a link that is subscribed to the feeds of these tenants, and what it delivers."""
    reader, received = FeedReader.from_url(url), Received()
    for tenant_id in tenants:
        await reader.link.subscribe(tenant_id)
    running = asyncio.create_task(reader.link.run(received))
    try:
        await until(lambda: all(("confirmed", tenant_id) in received.all for tenant_id in tenants))
        received.all.clear()
        yield reader.link, received
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await reader.close()


class Bridge:
    """Passes bytes between clients and the Redis at a port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: asyncio.Task[None] = asyncio.current_task()  # type: ignore[assignment]
        self._tasks.add(task)
        from_redis, to_redis = await asyncio.open_connection(HOST, self._port)
        await asyncio.gather(_pass_on(reader, to_redis), _pass_on(from_redis, writer))

    async def ended(self) -> None:
        """Wait until the clients have closed all connections."""
        await asyncio.wait(self._tasks)


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(READ_BYTES):
            target.write(data)
    target.close()
    with suppress(OSError):
        await target.wait_closed()


@asynccontextmanager
async def over_tls(server: RedisServer, folder: Path) -> AsyncIterator[str]:
    bridge, context = Bridge(server.port), own_certificate(folder)
    async with await asyncio.start_server(bridge.serve, HOST, 0, ssl=context) as serving:
        port = serving.sockets[0].getsockname()[1]
        yield f"rediss://{HOST}:{port}/0?ssl_ca_certs={folder / 'certificate.pem'}"
        await bridge.ended()


@asynccontextmanager
async def over_a_unix_socket(server: RedisServer, folder: Path) -> AsyncIterator[str]:
    bridge = Bridge(server.port)
    async with await asyncio.start_unix_server(bridge.serve, folder / "redis"):
        yield f"unix://{folder / 'redis'}?db=0"
        await bridge.ended()


@asynccontextmanager
async def as_a_user(server: RedisServer, _folder: Path) -> AsyncIterator[str]:
    with Redis.from_url(server.url) as redis:
        redis.acl_setuser("reader", enabled=True, passwords="+p@ss", categories=["+@all"], keys=["*"], channels=["*"])
    yield f"redis://reader:p%40ss@{HOST}:{server.port}/3?client_name=feeds"


@asynccontextmanager
async def with_resp3(server: RedisServer, _folder: Path) -> AsyncIterator[str]:
    yield f"{server.url}?protocol=3"


@pytest.mark.parametrize("new_loop", LOOPS)
@pytest.mark.parametrize("way", [over_tls, over_a_unix_socket, as_a_user, with_resp3])
def test_messages_and_pongs_arrive_over_every_kind_of_connection(
    own_redis: RedisServer, tmp_path: Path, tenant_id: int, way: Callable[..., Any], new_loop: Callable[..., Any]
) -> None:
    async def check() -> None:
        with Redis.from_url(own_redis.url) as redis:
            async with way(own_redis, tmp_path) as url, linked(url, tenant_id) as (link, received):
                long = b"x" * (3 * READ_BYTES)
                for payload in (b"a", long, b"b"):
                    redis.publish(Keys().feed(tenant_id), payload)
                await link.ping()
                await until(lambda: link.unanswered_since is None)
                assert received.all == [(tenant_id, b"a"), (tenant_id, long), (tenant_id, b"b")]
                redis.client_kill_filter(_type="pubsub")
                await until(lambda: ("confirmed", tenant_id) in received.all)
                assert received.all[3:] == [("lost",), ("confirmed", tenant_id)]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(check())


async def test_the_messages_of_one_read_are_passed_on_together_by_tenant(
    own_redis: RedisServer, tenant_id: int
) -> None:
    other = tenant_id + 1_000_000
    with Redis.from_url(own_redis.url) as redis:
        async with linked(own_redis.url, tenant_id, other) as (_link, received):
            with redis.pipeline() as pipeline:  # a transaction: Redis sends its messages with one write
                for payload in (b"1", b"2", b"3"):
                    pipeline.publish(Keys().feed(tenant_id), payload)
                    pipeline.publish(Keys().feed(other), payload)
                pipeline.execute()
            await until(lambda: len(received.all) == 6)
            assert received.reads == [{tenant_id: [b"1", b"2", b"3"], other: [b"1", b"2", b"3"]}]


async def test_other_work_gets_a_turn_between_two_reads_of_a_flood(own_redis: RedisServer, tenant_id: int) -> None:
    number, payload = 2000, b"x" * 300
    turns: list[int] = []
    turn = 0

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    with Redis.from_url(own_redis.url) as redis:
        async with linked(own_redis.url, tenant_id) as (_link, received):
            received.on_read = lambda: turns.append(turn)
            counting = asyncio.create_task(count_turns())
            with redis.pipeline() as pipeline:
                for _ in range(number):
                    pipeline.publish(Keys().feed(tenant_id), payload)
                pipeline.execute()
            await until(lambda: len(received.all) == number)
            counting.cancel()
    assert all(len(read[tenant_id]) * len(payload) <= READ_BYTES for read in received.reads)
    assert turns == sorted(set(turns)), "Two reads were handled in one turn of the event loop."


@pytest.mark.parametrize("failed", [True, False], ids=["the socket failed", "Redis closed it"])
async def test_a_connection_that_is_lost_before_it_is_handed_over_is_noticed(
    own_redis: RedisServer, *, failed: bool
) -> None:
    client = links.async_client(own_redis.url, protocol=2)
    connection: Any = links.permanent_connection(client)
    await connection.connect()
    if failed:
        connection._writer.transport.abort()
    else:
        with Redis.from_url(own_redis.url) as redis:
            redis.client_kill_filter(_type="normal", skipme=True)
        await until(connection._reader.at_eof)
    with pytest.raises(RedisConnectionError):
        await links.hand_over(connection, partial(PubSubProtocol, on_replies=lambda _: None))
    await connection.disconnect(nowait=True)
    await client.aclose()


async def test_what_nobody_asked_for_before_the_hand_over_loses_the_connection(own_redis: RedisServer) -> None:
    client = links.async_client(own_redis.url, protocol=2)
    connection: Any = links.permanent_connection(client)
    await connection.connect()
    await connection.send_command("PING")
    await until(lambda: bool(connection._reader._buffer))
    with pytest.raises(RedisConnectionError, match="more than it was asked for"):
        await links.hand_over(connection, partial(PubSubProtocol, on_replies=lambda _: None))
    await connection.disconnect(nowait=True)
    await client.aclose()


class Transport(asyncio.Transport):
    """A transport that only remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False

    def is_closing(self) -> bool:
        return self.aborted

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def replies() -> list[Any]:
    return []


@pytest.fixture
async def protocol(replies: list[Any]) -> PubSubProtocol:
    return PubSubProtocol(Transport(), replies.extend)


def feed(protocol: PubSubProtocol, data: bytes) -> None:
    buffer = protocol.get_buffer(-1)
    buffer[: len(data)] = data
    protocol.buffer_updated(len(data))


async def test_replies_that_arrive_byte_by_byte_are_passed_on_whole(
    protocol: PubSubProtocol, replies: list[Any]
) -> None:
    for byte in b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\n\r\n\0\xff\r\n+PONG\r\n":
        feed(protocol, bytes([byte]))
    assert replies == [[b"message", b"c", b"\r\n\0\xff"], b"PONG"]


async def test_what_is_not_of_redis_loses_the_connection(protocol: PubSubProtocol, replies: list[Any]) -> None:
    feed(protocol, b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(Exception, match="Protocol error"):
        await protocol.until_lost()
    assert protocol._transport.is_closing()
    protocol.send("PING")
    feed(protocol, b"+PONG\r\n")
    assert (protocol._transport.written, replies) == ([], [])  # type: ignore[attr-defined]


async def test_nothing_is_passed_on_after_the_connection_was_closed(
    protocol: PubSubProtocol, replies: list[Any]
) -> None:
    protocol.close()
    feed(protocol, b"+PONG\r\n")
    assert replies == []
    protocol.connection_lost(None)
    with pytest.raises(RedisConnectionError):
        await protocol.until_lost()
