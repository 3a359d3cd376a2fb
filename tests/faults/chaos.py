"""Random faults, chosen by a seed, in a running product with additional web processes."""

import asyncio
import os
import random
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from redis import Redis

from embedded.plan import Web
from harness.clocks import HostClock
from harness.proxy import Proxy
from harness.redis_pair import RedisPair
from harness.system import System
from tests.faults.roamer import Roamer

BUSY = """
local function now() local clock = redis.call('TIME') return clock[1] * 1000 + clock[2] / 1000 end
local begin = now()
while now() - begin < tonumber(ARGV[1]) do end
"""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks that a schedule sets: one for both Redis servers, and one for the worker."""

    redis: HostClock
    worker: HostClock


class Chaos:
    """The faults, one method each. No method waits until the product has recovered."""

    def __init__(
        self,
        system: System,
        pair: RedisPair,
        clocks: Clocks,
        webs: list[Web],
        roamers: list[Roamer],
        chance: random.Random,
    ) -> None:
        self.system, self.pair, self.webs, self.roamers, self.chance = system, pair, webs, roamers, chance
        self.clocks = clocks
        self.proxies = pair.proxies[1:]
        """The proxies of the additional web processes. The pair's first proxy serves the system's own processes."""
        self.done: list[str] = []
        self._dump: Path | None = None

    async def some(self, number: int, pause: Callable[[], float]) -> None:
        """Cause this many random faults one after the other, with a pause of `pause()` seconds after each."""
        faults: list[Callable[[], Awaitable[None]]] = [
            self.redis_back_with_its_data,
            self.redis_back_with_older_data,
            self.redis_back_empty,
            self.redis_flushed,
            self.redis_stopped,
            self.redis_busy,
            self.replica_promoted,
            self.replica_promoted,
            self.replica_promoted_that_was_behind,
            self.failed_over,
            self.redis_full,
            self.redis_lets_nobody_in,
            self.clock_of_redis_set,
            self.clock_of_worker_set,
            self.database_links_ended,
            self.worker_stopped,
            self.link_cut,
            self.link_half_open,
            self.link_stalled,
            self.web_killed,
            self.web_ended,
            self.worker_killed,
            self.worker_killed,
            self.client_stuck,
            self.dump_written,
        ]
        for _ in range(number):
            fault = self.chance.choice(faults)
            self.done.append(fault.__name__)
            await fault()
            await asyncio.sleep(pause())

    async def redis_back_with_its_data(self) -> None:
        await asyncio.to_thread(self.pair.master.stop)
        await self._redis_again()

    async def redis_back_with_older_data(self) -> None:
        await asyncio.to_thread(self.pair.master.kill)
        if self._dump is None:
            await self._redis_again(empty=True)
        else:
            await self._redis_again(dump=self._dump)

    async def redis_back_empty(self) -> None:
        await asyncio.to_thread(self.pair.master.kill)
        await self._redis_again(empty=True)

    async def _redis_again(self, **how: bool | Path) -> None:
        await asyncio.sleep(self.chance.choice([0.0, 0.3]))
        await asyncio.to_thread(lambda: self.pair.master.start(**how))  # type: ignore[arg-type]
        await asyncio.to_thread(self.pair.master.wait_ready)

    async def redis_flushed(self) -> None:
        await asyncio.to_thread(self.pair.master.command, "FLUSHALL")

    async def redis_stopped(self) -> None:
        """Freeze the Redis process for a while: it keeps its connections, and answers nothing."""
        pid = self.pair.master.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(self.chance.uniform(0.1, 4.0))
        os.kill(pid, signal.SIGCONT)

    async def redis_busy(self) -> None:
        """Keep Redis busy for a while, as with DEBUG SLEEP."""
        milliseconds = str(self.chance.randint(100, 3000))
        await asyncio.to_thread(self.pair.master.command, "EVAL", BUSY, "0", milliseconds)

    async def replica_promoted(self) -> None:
        """Exchange master and replica, and cut no link: each open link still leads to the old master, now a replica.

        A second call promotes the old master again.
        """
        await self.pair.replicate()
        await self.pair.promote()

    async def replica_promoted_that_was_behind(self) -> None:
        await self.pair.replicate()
        await self.pair.fall_behind()
        await asyncio.sleep(self.chance.uniform(0.0, 1.0))
        await self.pair.promote()

    async def failed_over(self) -> None:
        await self.pair.fail_over()

    async def redis_full(self) -> None:
        """Put Redis above its memory limit for a while, so that it refuses records of unfinished topics."""
        await self._configured("maxmemory", "1mb")

    async def redis_lets_nobody_in(self) -> None:
        """Let Redis accept no new connections for a while. Open links keep working."""
        await self._configured("maxclients", "1")

    async def _configured(self, name: str, value: str) -> None:
        # Use one connection for all commands: while `maxclients` is 1, Redis refuses new connections.
        with Redis.from_url(self.pair.master.url) as redis:
            before = cast("dict[str, str]", redis.config_get(name))[name]
            redis.config_set(name, value)
            await asyncio.sleep(self.chance.uniform(0.1, 1.5))
            redis.config_set(name, before)

    async def clock_of_redis_set(self) -> None:
        """Set the clock of Redis to a wrong time for a moment. No fault here leaves a clock wrong for longer."""
        await self._clock_set(self.clocks.redis)

    async def clock_of_worker_set(self) -> None:
        await self._clock_set(self.clocks.worker)

    async def _clock_set(self, clock: HostClock) -> None:
        with clock.set_to(self.chance.choice(["-10m", "+10m", "-25h", "+25h"])):
            await asyncio.sleep(self.chance.uniform(0.1, 2.0))

    async def database_links_ended(self) -> None:
        """End all links to the database, as a restart of PostgreSQL does. Running statements fail with an error."""
        await asyncio.to_thread(
            self.system.query,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )

    async def worker_stopped(self) -> None:
        """Freeze the worker for a while, in the middle of whatever it and its relay do."""
        pid = self.system.worker.pid
        if pid is not None:
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(self.chance.uniform(0.1, 4.0))
            os.kill(pid, signal.SIGCONT)

    async def dump_written(self) -> None:
        written = await asyncio.to_thread(self.pair.master.save)
        self._dump = Path(shutil.copy(written, self.system.folder / "older.rdb"))

    async def link_cut(self) -> None:
        self.chance.choice(self.proxies).cut()

    async def link_half_open(self) -> None:
        self.chance.choice(self.proxies).half_open()

    async def link_stalled(self) -> None:
        proxy = self.chance.choice(self.proxies)
        proxy.stall()
        await asyncio.sleep(self.chance.uniform(0.1, 2.5))
        proxy.flow()

    async def web_killed(self) -> None:
        web = self.chance.choice(self.webs)
        await asyncio.to_thread(web.kill)
        await asyncio.to_thread(web.start)

    async def web_ended(self) -> None:
        web = self.chance.choice(self.webs)
        if web.pid is not None:
            os.kill(web.pid, signal.SIGTERM)
        await asyncio.to_thread(web.stop)
        await asyncio.to_thread(web.start)

    async def worker_killed(self) -> None:
        await asyncio.to_thread(self.system.worker.kill)
        await asyncio.to_thread(self.system.worker.start)

    async def client_stuck(self) -> None:
        roamer = self.chance.choice(self.roamers)
        roamer.free.clear()
        asyncio.get_running_loop().call_later(self.chance.uniform(0.2, 2.0), roamer.free.set)

    def calm(self) -> None:
        """End the faults that may still go on: stalled links and stuck clients."""
        for proxy in self.proxies:
            proxy.flow()
        for roamer in self.roamers:
            roamer.free.set()


@asynccontextmanager
async def faulty_webs(system: System, pair: RedisPair, number: int) -> AsyncIterator[list[Web]]:
    """Run the system. Run and yield `number` additional web processes, each with its own proxy to Redis.

    Every second one serves open connections through ASGI messages (`--portable`), as other servers do.
    """
    webs: list[Web] = []
    pair.proxies += [Proxy(pair.master.port) for _ in range(number)]
    try:
        async with pair:
            for process in (system.web, system.worker):
                process.environment = {**process.environment, "REDIS_URL": pair.url}
            await asyncio.to_thread(system.start)
            for proxy in pair.proxies[1:]:
                url = f"redis://127.0.0.1:{proxy.port}"
                web = system.web_of(REDIS_URL=url, REALTIME_PROBE_SECONDS="0.5", REALTIME_DRAIN_SECONDS="0.5")
                if len(webs) % 2:
                    web.argv = [*web.argv, "--portable"]
                webs.append(web)
                await asyncio.to_thread(web.start)
            for web in webs:
                await asyncio.to_thread(web.wait_ready)
            yield webs
    finally:
        for web in webs:
            await asyncio.to_thread(web.stop)
        await asyncio.to_thread(system.stop)
