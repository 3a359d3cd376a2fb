"""A random schedule of faults, drawn from a seed, against a running product with two more web processes."""

import asyncio
import os
import random
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from embedded.plan import Web
from tests.faults.roamer import Roamer
from tests.proxy import Proxy
from tests.system import System


class Chaos:
    """What can go wrong, one method each. Nothing here waits for a fault to be over."""

    def __init__(
        self, system: System, webs: list[Web], proxies: list[Proxy], roamers: list[Roamer], chance: random.Random
    ) -> None:
        self.system, self.webs, self.proxies, self.roamers, self.chance = system, webs, proxies, roamers, chance
        self.done: list[str] = []
        self._dump: Path | None = None

    async def some(self, number: int, pause: Callable[[], float]) -> None:
        """So many faults, one after the other, with pauses in between."""
        faults: list[Callable[[], Awaitable[None]]] = [
            self.redis_back_with_its_data,
            self.redis_back_with_older_data,
            self.redis_back_empty,
            self.redis_flushed,
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
        await asyncio.to_thread(self.system.redis.stop)
        await self._redis_again()

    async def redis_back_with_older_data(self) -> None:
        await asyncio.to_thread(self.system.redis.kill)
        if self._dump is None:
            await self._redis_again(empty=True)
        else:
            await self._redis_again(dump=self._dump)

    async def redis_back_empty(self) -> None:
        await asyncio.to_thread(self.system.redis.kill)
        await self._redis_again(empty=True)

    async def _redis_again(self, **how: bool | Path) -> None:
        await asyncio.sleep(self.chance.choice([0.0, 0.3]))
        await asyncio.to_thread(lambda: self.system.redis.start(**how))  # type: ignore[arg-type]
        await asyncio.to_thread(self.system.redis.wait_ready)

    async def redis_flushed(self) -> None:
        await asyncio.to_thread(self.system.redis.command, "FLUSHALL")

    async def dump_written(self) -> None:
        written = await asyncio.to_thread(self.system.redis.save)
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
        """Everything works again from here on."""
        for proxy in self.proxies:
            proxy.flow()
        for roamer in self.roamers:
            roamer.free.set()


@asynccontextmanager
async def faulty_webs(system: System, number: int) -> AsyncIterator[tuple[list[Web], list[Proxy]]]:
    """Web processes whose way to Redis leads through a proxy each."""
    proxies = [Proxy(system.redis.port) for _ in range(number)]
    webs: list[Web] = []
    try:
        for proxy in proxies:
            await proxy.__aenter__()
            url = f"redis://127.0.0.1:{proxy.port}"
            web = system.web_of(REDIS_URL=url, REALTIME_PROBE_SECONDS="0.5", REALTIME_DRAIN_SECONDS="0.5")
            webs.append(web)
            await asyncio.to_thread(web.start)
        for web in webs:
            await asyncio.to_thread(web.wait_ready)
        yield webs, proxies
    finally:
        for web in webs:
            await asyncio.to_thread(web.stop)
        for proxy in proxies:
            await proxy.__aexit__(None, None, None)
