"""Clocks of hosts are wrong, some only for a moment: jobs still end, their ends are shown, and tickets stay valid."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from redis import Redis

from academy.adapters.excel.sample import sample_workbook
from embedded import faketime
from embedded.group import Servers
from embedded.scratch import scratch_folder
from harness.clocks import HostClock
from harness.sign_ins import REVOKED, SOON_SECONDS, account_of, with_token
from harness.slow_imports import slow_imports
from harness.system import STEADY, System, eventually, import_workbook, new_ticket, tenant_of
from harness.watcher import Watcher
from realtime.records.keys import Keys

OFFSETS = pytest.mark.parametrize(
    "offset", ["-10m", "+10m", "-25h", "+25h"] if os.environ.get("LONG_FAULTS") else ["+10m", "-25h"]
)


@dataclass
class Hosts:
    """The product, with a worker, a second web process and a Redis on hosts whose clocks can be set."""

    system: System
    worker: HostClock
    web: HostClock
    redis: HostClock
    address: str
    """The address of the second web process. The clock of the first one is right."""


@pytest.fixture(scope="module")
def hosts(template: Servers) -> Iterator[Hosts]:
    library = faketime.get()
    with scratch_folder("clocks") as folder:
        worker, web, redis = (HostClock.of(library, folder / name) for name in ("worker", "web", "redis"))
        system = System(template, folder, "clocks_system", **STEADY)
        redis.govern(system.redis)
        system.worker.environment = {**system.worker.environment, **worker.variables}
        try:
            system.start()
            with system.another_web(**web.variables) as other:
                yield Hosts(system, worker, web, redis, other.address)
        finally:
            system.stop()


async def shown_to_a_new_client(system: System, client: httpx.AsyncClient) -> set[str]:
    async with await system.watcher(client) as newcomer:
        await newcomer.read_until("snapshot")
    return {topic.removeprefix("job:") for topic, record in newcomer.records.items() if record["status"] == "DONE"}


@OFFSETS
async def test_the_ends_of_jobs_of_a_worker_with_a_wrong_clock_are_shown(hosts: Hosts, offset: str) -> None:
    system = hosts.system
    with hosts.worker.set_to(offset):
        async with system.client() as client, await system.watcher(client) as watcher:
            job_id = await import_workbook(client, sample_workbook(300, seed=51))
            done = await watcher.until_terminal(f"job:{job_id}")
            assert done["status"] == "DONE"
            assert job_id in await shown_to_a_new_client(system, client)


@pytest.mark.parametrize("offset", ["-10m", "+10m"] if os.environ.get("LONG_FAULTS") else ["+10m"])
async def test_when_a_worker_with_a_wrong_clock_dies_the_next_one_does_its_job(hosts: Hosts, offset: str) -> None:
    system = hosts.system
    async with system.client() as client, await system.watcher(client) as watcher:
        with hosts.worker.set_to(offset):
            with slow_imports(system):
                job_id = await import_workbook(client, sample_workbook(4000, seed=52))
                await watcher.until(lambda: watcher.percent(f"job:{job_id}") > 10)
                system.worker.kill()
        system.worker.start()
        done = await watcher.until_terminal(f"job:{job_id}")
    assert (done["status"], done["attempt"]) == ("DONE", 2)


@OFFSETS
async def test_web_processes_with_different_clocks_agree_on_tickets_and_revocations(hosts: Hosts, offset: str) -> None:
    system = hosts.system
    with hosts.web.set_to(offset):
        async with httpx.AsyncClient(base_url=hosts.address, timeout=60) as once:
            tokens = (await once.post("/api/v1/auth/token/", json=account_of("staff"))).json()
        async with with_token(system, tokens["access"]) as right:
            wrong = httpx.AsyncClient(base_url=hosts.address, headers=right.headers, timeout=60)
            async with wrong:
                ticket_of_wrong, ticket_of_right = await new_ticket(wrong), await new_ticket(right)
                at_right = ticket_of_right["websocket_url"]
                at_wrong = ticket_of_wrong["websocket_url"]
                async with (
                    await Watcher.connect(at_right, ticket_of_wrong["ticket"]) as here,
                    await Watcher.connect(at_wrong, ticket_of_right["ticket"]) as there,
                ):
                    await here.read_until("snapshot")
                    await there.read_until("snapshot")
                    job_id = await import_workbook(right, sample_workbook(50, seed=53))
                    for watcher in (here, there):
                        assert (await watcher.until_terminal(f"job:{job_id}"))["status"] == "DONE"
                    assert (await wrong.post("/api/v1/auth/logout/")).status_code == 204
                    assert (await here.closed(SOON_SECONDS))[0] == REVOKED
                    assert (await there.closed(SOON_SECONDS))[0] == REVOKED
                assert (await right.get("/api/v1/jobs/")).status_code == 401


def lease_end(system: System, job_id: str) -> float:
    """Return when the lease of a running job ends, in Unix seconds, or 0 if the job has no lease."""
    with Redis.from_url(system.redis.url) as redis:
        return redis.zscore(Keys().leases(tenant_of(system, "hanbit")), f"job:{job_id}") or 0.0


async def test_a_clock_of_redis_that_is_briefly_a_day_ahead_does_no_lasting_harm(hosts: Hosts) -> None:
    system = hosts.system
    async with system.client() as client, await system.watcher(client) as watcher:
        ended = {await import_workbook(client, sample_workbook(50, seed=54 + number)) for number in range(3)}
        for job_id in ended:
            await watcher.until_terminal(f"job:{job_id}")
        with slow_imports(system):
            running = await import_workbook(client, sample_workbook(4000, seed=58))
            await watcher.until(lambda: watcher.percent(f"job:{running}") > 5)
            with hosts.redis.set_to("+25h"):
                ahead = time.time() + 24 * 3600
                await eventually(lambda: lease_end(system, running) > ahead, what="a lease that is a day too long")
                assert (await client.get("/api/v1/jobs/")).status_code == 200
                system.worker.kill()
        system.worker.start()
        done = await watcher.until_terminal(f"job:{running}")
        assert (done["status"], done["attempt"]) == ("DONE", 2)
        assert ended | {running} <= await shown_to_a_new_client(system, client)
