"""Clients of Redis whose links do not stay at a server that is the wrong one.

After a failover a link that stands may lead to what is a replica now, or to a server that the address does not mean any
more. Redis ends no link then: it answers reads from what it has, and refuses writes. So a link is left when Redis
answers that it is the wrong server or cannot serve (`LEAVING`), and all others of this process to the same address with
it. The address is resolved again, and the command is sent once more. A link is also left after half a minute, because a
server that nobody has told that it was replaced refuses nothing.

Not for transactions that WATCH keys: they need one link from begin to end.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

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

from realtime.redis.refused_writes import CODES, refusal

LEAVING = (*CODES, "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY")
"""Answers of a server that is the wrong one, or cannot serve now. The library itself leaves at LOADING and NOAUTH."""
YOUNG_SECONDS = 1.0
"""A link that was made so recently is kept: the address was resolved just now."""
OLD_SECONDS = 30.0


class LinkLeftError(RedisConnectionError):
    """The link was left, because of what Redis answered. The client sends the command once more, over a new link."""


class Address:
    """Where the links of this process lead that were made with the same URL."""

    def __init__(self) -> None:
        self._left_at = float("-inf")

    def leave(self) -> None:
        """Every link that stands is replaced before it is used the next time."""
        self._left_at = time.monotonic()

    def keeps(self, made_at: float) -> bool:
        """Whether a link that was made then may still be used."""
        return made_at > self._left_at and time.monotonic() - made_at < OLD_SECONDS

    def answer(self, problem: Exception, made_at: float) -> Exception:
        """What to raise where Redis has answered with an error."""
        if not _says_leave(problem) or time.monotonic() - made_at < YOUNG_SECONDS:
            return problem
        self.leave()
        return LinkLeftError(f"Redis is the wrong one, or cannot serve now: {problem}")


_addresses: dict[str, Address] = {}


def address_of(url: str) -> Address:
    """Return what all links of this process to this URL share."""
    return _addresses.setdefault(url, Address())


def client(url: str, **options: Any) -> Redis:
    """Return a client; `options` are those of `Redis.from_url`. Each command is sent twice at the most."""
    options.setdefault("retry", Retry(NoBackoff(), 1))
    base: Any = parse_url(url).get(  # type: ignore[no-untyped-call]
        "connection_class", Connection
    )
    return Redis.from_url(url, connection_class=_leaving(url, base), **options)


def async_client(url: str, **options: Any) -> AsyncRedis:
    """Return a client for asyncio; `options` are those of `Redis.from_url`."""
    options.setdefault("retry", AsyncRetry(NoBackoff(), 1))
    base: Any = parse_async_url(url).get("connection_class", AsyncTcpConnection)
    return AsyncRedis.from_url(url, connection_class=_async_leaving(url, base), **options)


def leave(redis: Redis | AsyncRedis) -> None:
    """Replace the links of this client before they are used again, and all others of the process to its address."""
    address: Address | None = getattr(redis.connection_pool.connection_class, "address", None)
    if address is not None:
        address.leave()


def standing(redis: AsyncRedis) -> AsyncConnection:
    """Return a new link of this client, not connected, which is not left by itself: for code that looks after it."""
    pool = redis.connection_pool
    kind: Callable[..., AsyncConnection] = getattr(pool.connection_class, "plain", pool.connection_class)
    # Without a time limit the library writes at once; with one it hands the write to a task of its own, which finds
    # nothing to write to when the reading side has closed the connection meanwhile.
    return kind(**(pool.connection_kwargs | {"socket_timeout": None}))


def _says_leave(problem: Exception) -> bool:
    """Whether this is one of those answers; that of a command inside a script may have the code in the middle."""
    code = getattr(problem, "status_code", None) or str(problem).partition(" ")[0]
    return code in LEAVING or refusal(problem) is not None


def history(replication: dict[str, Any]) -> str:
    """Return which history this server writes, from what it says in INFO replication (lua/history.lua).

    Raises ReadOnlyError for a replica.
    """
    if replication["role"] != "master":
        raise ReadOnlyError("This Redis is a replica.")
    return str(replication["master_replid"])


@cache
def _leaving(url: str, base: Any) -> type[AbstractConnection]:
    class LeavingConnection(base):  # type: ignore[misc]
        address = address_of(url)
        made_at = float("-inf")

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
                raise self.address.answer(problem, self.made_at) from None

    return LeavingConnection


@cache
def _async_leaving(url: str, base: Any) -> type[AsyncConnection]:
    class LeavingConnection(base):  # type: ignore[misc]
        address = address_of(url)
        plain = base
        made_at = float("-inf")

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
                raise self.address.answer(problem, self.made_at) from None

    return LeavingConnection
