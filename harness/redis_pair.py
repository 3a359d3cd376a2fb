"""Two Redis servers, a master and its replica, behind a proxy. The proxy's address takes the place of a name in DNS."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis

from embedded.ports import HOST, free_port
from embedded.redis import RedisServer
from harness.proxy import Proxy
from harness.system import eventually


class RedisPair:
    """A master and its replica. `url` leads to the master, except between `promote(switch=False)` and `switch()`.

    A switch affects new links only: an open link stays with its server, as after a change in DNS. `first` is a master
    that the caller starts and stops.
    """

    def __init__(self, folder: Path, first: RedisServer | None = None) -> None:
        self.master = first or RedisServer(folder / "redis-a")
        self.replica = RedisServer(folder / "redis-b")
        self.proxies = [Proxy(self.master.port)]
        self._started = [self.replica] if first else [self.master, self.replica]
        """The servers that this pair starts and stops."""

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.proxies[0].port}/0"

    async def __aenter__(self) -> Self:
        for server in self._started:
            await asyncio.to_thread(server.start)
            await asyncio.to_thread(server.wait_ready)
        for proxy in self.proxies:
            await proxy.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for proxy in self.proxies:
            await proxy.__aexit__(kind, error, trace)
        for server in self._started:
            await asyncio.to_thread(server.stop)

    async def replicate(self) -> None:
        """Make the replica follow the master, and wait until it has all of the master's data."""
        await self._command(self.master, "CONFIG", "SET", "repl-diskless-sync-delay", "0")
        await self._command(self.replica, "REPLICAOF", HOST, str(self.master.port))

        def follows() -> bool:
            with Redis.from_url(self.master.url) as master, Redis.from_url(self.replica.url) as replica:
                there = replica.info("replication")
                behind = master.info("replication")["master_repl_offset"] - there["slave_repl_offset"]
                return (there["master_link_status"], behind) == ("up", 0)

        await eventually(follows, what="the replica")

    async def fall_behind(self) -> None:
        """Cut the replica off from the master: it keeps its data, and receives no further changes."""
        await self._command(self.replica, "REPLICAOF", HOST, str(free_port()))

    async def promote(self, *, switch: bool = True) -> None:
        """Make the replica the master, and the master its replica. With `switch`, `url` leads to the new master."""
        await self._command(self.replica, "REPLICAOF", "NO", "ONE")
        await self._command(self.master, "REPLICAOF", HOST, str(self.replica.port))
        self._swap(switch=switch)

    async def fail_over(self) -> None:
        """Exchange master and replica without loss, by the command FAILOVER, after the replica has all data."""
        await self.replicate()
        await self._command(self.master, "FAILOVER", "TO", HOST, str(self.replica.port))

        def is_master() -> bool:
            with Redis.from_url(self.replica.url) as redis:
                return str(redis.info("replication")["role"]) == "master"

        await eventually(is_master, what="FAILOVER")
        self._swap(switch=True)

    def switch(self) -> None:
        """Lead new links to the present master. Open links stay as they are."""
        for proxy in self.proxies:
            proxy.target = self.master.port

    def _swap(self, *, switch: bool) -> None:
        self.master, self.replica = self.replica, self.master
        if switch:
            self.switch()

    @staticmethod
    async def _command(server: RedisServer, *words: str) -> None:
        answer = await asyncio.to_thread(server.command, *words)
        assert not answer.startswith("-"), answer
