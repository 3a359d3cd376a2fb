"""`kill -9` of a worker: a watching client is sent a stalled record of the job, and then its next attempt."""

from collections.abc import Iterator
from itertools import count

import pytest

from academy.adapters.excel.sample import sample_workbook
from embedded.group import Servers
from embedded.scratch import scratch_folder
from harness.slow_imports import slow_imports
from harness.system import System, import_workbook, running_system
from harness.watcher import Record, Watcher

LEASES = {"WORKER_HEARTBEAT_SECONDS": "1", "WORKER_LEASE_SECONDS": "5", "WORKER_VISIBILITY_SECONDS": "12"}
"""Shorter than in production. As in production, a message becomes visible again well after the lease has ended."""

_systems = count(1)


@pytest.fixture
def stalling_system(template: Servers) -> Iterator[System]:
    with scratch_folder("stalling") as folder:
        with running_system(template, folder, f"stalling_system_{next(_systems)}", **LEASES) as running:
            yield running


def history(watcher: Watcher, job_id: str) -> list[Record]:
    return [record for record in watcher.history if record["topic"] == f"job:{job_id}"]


async def test_after_kill_9_a_browser_sees_stalled_then_the_next_attempt_then_done(stalling_system: System) -> None:
    async with stalling_system.client() as client, await stalling_system.watcher(client) as watcher:
        with slow_imports(stalling_system):
            job_id = await import_workbook(client, sample_workbook(2000, seed=12))
            await watcher.until(lambda: watcher.percent(f"job:{job_id}") > 20)
            stalling_system.worker.kill()
        stalling_system.worker.start()
        await watcher.until(lambda: watcher.records[f"job:{job_id}"]["stalled"])
        async with await stalling_system.watcher(client) as newcomer:
            await newcomer.read_until("snapshot")
        done = await watcher.until_terminal(f"job:{job_id}")
    # Take the last two records of the first attempt. Earlier ones are stalled, too, if a busy machine stopped the first
    # worker for a whole lease.
    *_, before, stalled = [record for record in history(watcher, job_id) if record["attempt"] == 1]
    after = [record for record in history(watcher, job_id) if record["offset"] > stalled["offset"]]
    assert stalled["stalled"] is True
    assert (stalled["status"], stalled["attempt"], stalled["progress"]) == ("PROCESSING", 1, before["progress"])
    assert stalled["data"] == before["data"]
    assert newcomer.records[f"job:{job_id}"]["stalled"] is True
    # Check only the first record of the second worker: if a busy machine stops that worker for a whole lease, a later
    # record is rightly stalled, too.
    assert {record["attempt"] for record in after} == {2}, after
    assert after[0]["stalled"] is False, after
    assert (done["status"], done["stalled"]) == ("DONE", False), after


async def test_no_job_is_called_stalled_just_after_redis_started(stalling_system: System) -> None:
    """While Redis was down, the workers could not renew their leases, but they were still at work."""
    async with stalling_system.client() as client, await stalling_system.watcher(client) as watcher:
        with slow_imports(stalling_system):
            job_id = await import_workbook(client, sample_workbook(2000, seed=13))
            await watcher.until(lambda: watcher.percent(f"job:{job_id}") > 5)
            stalling_system.redis.save()
            stalling_system.redis.kill()
            stalling_system.redis.start()
            stalling_system.redis.wait_ready()
        done = await watcher.until_terminal(f"job:{job_id}")
    assert done["status"] == "DONE"
    assert {record["stalled"] for record in history(watcher, job_id)} == {False}
