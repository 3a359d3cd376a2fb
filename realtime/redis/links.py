"""Makes all Redis clients. They drop connections to a server that is no longer the right one.

After a failover an open connection may lead to a server that is a replica now, or that the address no longer names.
Redis does not close such a connection: it answers reads from the data that it has, and refuses writes. So when Redis
answers that it is the wrong server or cannot serve (`WRONG_SERVER_CODES`), all connections of this process to this
address are replaced: the address is resolved again, and the command is sent once more. A connection is also replaced
after half a minute, because an old master that has not noticed the failover refuses nothing.

Do not use these clients for a transaction that uses WATCH: it needs one connection from beginning to end.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.connection import AbstractConnection as AsyncConnection
from redis.asyncio.connection import Connection as AsyncTcpConnection
from redis.asyncio.connection import parse_url as parse_async_url
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, ResponseError
from redis.retry import Retry

from realtime.redis.packing import packed, packed_together
from realtime.redis.refused_writes import CODES, refusal

WRONG_SERVER_CODES = (*CODES, "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY")
"""Error codes of a server that is the wrong one or cannot serve now. (After LOADING and NOAUTH redis-py reconnects.)"""
YOUNG_SECONDS = 1.0
"""A connection younger than this is kept even after a code of WRONG_SERVER_CODES: its address was just resolved."""
OLD_SECONDS = 30.0
"""A connection that is older than this is replaced before it is used again."""

Reads = TypeVar("Reads", bound=asyncio.BaseProtocol)


class LinkLeftError(RedisConnectionError):
    """Redis is the wrong server, or cannot serve now. The client sends the command again over a new connection."""


class Address:
    """The state that all connections of this process to one URL share: which of them are too old to be used again."""

    def __init__(self) -> None:
        self._left_at = float("-inf")

    def leave(self) -> None:
        """Cause every open connection to be replaced before it is used the next time."""
        self._left_at = time.monotonic()

    def keeps(self, made_at: float) -> bool:
        """Return whether a connection that was made at this monotonic time may still be used."""
        return made_at > self._left_at and time.monotonic() - made_at < OLD_SECONDS

    def error_to_raise(self, problem: Exception, made_at: float) -> Exception:
        """Return the exception to raise for an error that Redis answered.

        If the error is that of a wrong server, call `leave` and return LinkLeftError. For any other error, and if the
        connection is younger than YOUNG_SECONDS, return the error itself.
        """
        if not _is_wrong_server(problem) or time.monotonic() - made_at < YOUNG_SECONDS:
            return problem
        self.leave()
        return LinkLeftError(f"Redis is the wrong one, or cannot serve now: {problem}")


_addresses: dict[str, Address] = {}


def address_of(url: str) -> Address:
    """Return the address that all connections of this process to this URL share."""
    return _addresses.setdefault(url, Address())


def client(url: str, **options: Any) -> Redis:
    """Return a client. `options` are those of `Redis.from_url`. Each command is sent at most twice."""
    options.setdefault("retry", Retry(NoBackoff(), 1))
    base: Any = parse_url(url).get(  # type: ignore[no-untyped-call]
        "connection_class", Connection
    )
    return Redis.from_url(url, connection_class=_leaving(url, base), **options)


def async_client(url: str, **options: Any) -> AsyncRedis:
    """Return a client for asyncio. `options` are those of `Redis.from_url`. Each command is sent at most twice."""
    options.setdefault("retry", AsyncRetry(NoBackoff(), 1))
    base: Any = parse_async_url(url).get("connection_class", AsyncTcpConnection)
    return AsyncRedis.from_url(url, connection_class=_async_leaving(url, base), **options)


def brief_client(url: str, seconds: float) -> Redis:
    """Return a client that waits at most `seconds` for an answer, and sends each command once.

    It uses RESP2, which every version of Redis speaks, so that a server which is too old can report its version.
    """
    return Redis.from_url(
        url, protocol=2, socket_timeout=seconds, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 0)
    )


def leave(redis: Redis | AsyncRedis) -> None:
    """Cause all connections of this process to this client's URL to be replaced, each before its next use.

    Do nothing for a client that was not made by `client` or `async_client`.
    """
    address: Address | None = getattr(redis.connection_pool.connection_class, "address", None)
    if address is not None:
        address.leave()


def permanent_connection(redis: AsyncRedis) -> AsyncConnection:
    """Return a new connection with this client's options, not yet connected.

    It is never replaced: its user has to notice if it leads to the wrong server.
    """
    pool = redis.connection_pool
    kind: Callable[..., AsyncConnection] = getattr(pool.connection_class, "plain", pool.connection_class)
    # Without a timeout redis-py writes at once. With a timeout it writes in another task, which fails if the reading
    # task has already closed the connection.
    return kind(**(pool.connection_kwargs | {"socket_timeout": None}))


def _is_wrong_server(problem: Exception) -> bool:
    """Return whether this error shows that the server is the wrong one, or cannot serve now.

    Most errors begin with their code. An error of a script may have it in the middle of its text: `refusal` finds those
    codes of WRONG_SERVER_CODES with which Redis refuses a write.
    """
    code = getattr(problem, "status_code", None) or str(problem).partition(" ")[0]
    return code in WRONG_SERVER_CODES or refusal(problem) is not None


async def replication_of(connection: AsyncConnection) -> dict[str, Any]:
    """Return INFO replication of the server that this connection leads to.

    Raise RedisError or OSError if the server fails.
    """
    await connection.send_command("INFO", "replication")
    reply: bytes = await connection.read_response(timeout=math.inf, disconnect_on_error=False)
    return dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)


async def hand_over(connection: AsyncConnection, make: Callable[[asyncio.Transport], Reads]) -> Reads:
    """Let a new protocol, instead of redis-py, read from this connection. `make` makes the protocol from a transport.

    Call this when Redis has answered every command. Raise RedisConnectionError if the connection is lost already, or
    if redis-py has read more than these answers.
    """
    if await connection.can_read():
        raise RedisConnectionError("Redis closed the connection, or sent more than it was asked for.")
    writer: asyncio.StreamWriter = connection._writer  # type: ignore[assignment] # noqa: SLF001 - no public name
    transport: Any = writer.transport
    if transport.is_closing():
        raise RedisConnectionError("The connection to Redis was lost.")
    transport.pause_reading()  # uvloop reads for the former protocol until it is paused
    protocol = make(transport)
    transport.set_protocol(protocol)
    transport.resume_reading()
    return protocol


def history(replication: dict[str, Any]) -> str:
    """Return the replication id of a server from the fields of its INFO replication.

    `records/lua/replication_id.lua` says what the id is for.

    Raise ReadOnlyError if the server is a replica.
    """
    if replication["role"] != "master":
        raise ReadOnlyError("This Redis is a replica.")
    return str(replication["master_replid"])


@cache
def _leaving(url: str, base: Any) -> type[AbstractConnection]:
    class LeavingConnection(base):  # type: ignore[misc]
        address = address_of(url)
        made_at = float("-inf")

        def pack_command(self, *words: Any) -> list[bytes]:
            return [packed(words)]

        def pack_commands(self, commands: Iterable[Sequence[Any]]) -> list[bytes]:
            return packed_together(commands)

        def connect_check_health(self, *args: Any, **options: Any) -> None:
            if not self.is_connected:
                self.made_at = time.monotonic()
            super().connect_check_health(*args, **options)

        def send_packed_command(self, *args: Any, **options: Any) -> None:
            if self.is_connected and not self.address.keeps(self.made_at):
                self.disconnect()
            super().send_packed_command(*args, **options)

        def read_response(self, *args: Any, **options: Any) -> Any:
            try:
                return super().read_response(*args, **options)
            except ResponseError as problem:
                raise self.address.error_to_raise(problem, self.made_at) from None

    return LeavingConnection


# The same class again for asyncio: the methods of asyncio connections are coroutines.
@cache
def _async_leaving(url: str, base: Any) -> type[AsyncConnection]:
    class LeavingConnection(base):  # type: ignore[misc]
        address = address_of(url)
        plain = base
        made_at = float("-inf")

        def pack_command(self, *words: Any) -> list[bytes]:
            return [packed(words)]

        def pack_commands(self, commands: Iterable[Sequence[Any]]) -> list[bytes]:
            return packed_together(commands)

        async def connect_check_health(self, *args: Any, **options: Any) -> None:
            if not self.is_connected:
                self.made_at = time.monotonic()
            await super().connect_check_health(*args, **options)

        async def send_packed_command(self, *args: Any, **options: Any) -> None:
            if self.is_connected and not self.address.keeps(self.made_at):
                await self.disconnect()
            await super().send_packed_command(*args, **options)

        async def read_response(self, *args: Any, **options: Any) -> Any:
            try:
                return await super().read_response(*args, **options)
            except ResponseError as problem:
                raise self.address.error_to_raise(problem, self.made_at) from None

    return LeavingConnection
