"""Redis fails over and back, and no link is cut: in the end, every browser shows the true state."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from academy.adapters.excel.sample import sample_workbook
from embedded.group import Servers
from embedded.scratch import scratch_folder
from harness.redis_pair import RedisPair
from harness.slow_imports import slow_imports
from harness.system import QUICK, System, eventually, import_workbook
from harness.watcher import Watcher
from tests.faults.chaos import faulty_webs


@pytest.fixture
async def failing(template: Servers) -> AsyncIterator[tuple[System, RedisPair]]:
    with scratch_folder("failover") as folder:
        system = System(template, folder, "failover", **QUICK)
        pair = RedisPair(folder, system.redis)
        async with faulty_webs(system, pair, 0):
            yield system, pair


async def running_import(system: System, client: httpx.AsyncClient, watcher: Watcher, seed: int) -> str:
    """Submit an import, again and again until it is accepted. Wait until its job runs, and return the job's id.

    Just after a failover, the web process may refuse imports until it has found the master.
    """
    job_id = ""
    async with asyncio.timeout(60):
        while not job_id:
            try:
                job_id = await import_workbook(client, sample_workbook(2000, seed=seed))
            except AssertionError as refused:
                assert "redis_unavailable" in str(refused)
                await asyncio.sleep(0.2)
    await watcher.until(lambda: watcher.percent(f"job:{job_id}") > 10)
    return job_id


async def test_jobs_that_run_during_a_failover_and_a_failback_end_in_every_browser(
    failing: tuple[System, RedisPair],
) -> None:
    system, pair = failing
    await pair.replicate()  # Redis renames its history at its first replica: this would be one more epoch, if seen
    async with system.client() as client, await system.watcher(client) as watcher:
        with slow_imports(system):
            first = await running_import(system, client, watcher, 51)
            await pair.fail_over()
        assert (await watcher.until_terminal(f"job:{first}"))["status"] == "DONE"
        await pair.replicate()
        await pair.fall_behind()  # the first master, now a replica, receives nothing from here on
        with slow_imports(system):
            second = await running_import(system, client, watcher, 52)
        assert (await watcher.until_terminal(f"job:{second}"))["status"] == "DONE"
        await pair.promote()
        with slow_imports(system):
            third = await running_import(system, client, watcher, 53)
        assert (await watcher.until_terminal(f"job:{third}"))["status"] == "DONE"

        def ready() -> bool:
            return httpx.get(f"{system.address}/readyz", timeout=60).text == "ok"

        await eventually(ready, what="/readyz to say ok")
        async with await system.watcher(client) as newcomer:
            for job_id in (first, second, third):
                assert (await newcomer.until_terminal(f"job:{job_id}"))["status"] == "DONE"
    epochs = {frame["place"].partition(".")[0] for frame in watcher.frames if frame.get("place")}
    assert len(epochs) == 3
