"""The history checker runs clients on all transports, and their servers, through a random schedule of faults.

It checks that no terminal record was lost, no topic went back to a lower offset, no client received a topic of another
academy, and every client's fold agrees with a fresh snapshot. `script/test --faults` tries 50 seeds, CI 5.
`HISTORY_SEEDS=17,23` tries the seeds 17 and 23.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import httpx
import pytest
import pytest_asyncio

from academy.adapters.excel.sample import sample_workbook
from embedded import faketime
from embedded.plan import Web
from embedded.scratch import scratch_folder
from harness.clocks import HostClock
from harness.redis_pair import RedisPair
from harness.system import PASSWORD, QUICK, System, eventually
from harness.watcher import rank
from tests.faults.chaos import Chaos, Clocks, faulty_webs
from tests.faults.roamer import LOST, Roamer, strength

ACADEMIES = {"hanbit": "saebom", "saebom": "hanbit"}
ROAMERS = 3  # clients of each academy
JOBS = 3  # of each academy
FAULTS = 6
SETTLE_SECONDS = 120.0
HEALED_SECONDS = 60.0
"""For how long clients may differ from a fresh snapshot after all jobs have ended.

Each web process probes Redis every 0.5 s. On a busy machine it may take many probes until a client has everything.
"""

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


def seeds() -> list[int]:
    if given := os.environ.get("HISTORY_SEEDS"):
        return [int(seed) for seed in given.split(",")]
    return list(range(1, 51 if os.environ.get("LONG_FAULTS") else 6))


@dataclass(frozen=True, slots=True)
class Faulty:
    """The product, with a replica of its Redis, two more web processes, and clocks that can be set."""

    system: System
    pair: RedisPair
    clocks: Clocks
    webs: list[Web]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def faulty(template: Any) -> AsyncIterator[Faulty]:
    """Run one product for all seeds, so that each schedule also meets what the earlier ones left behind.

    A new client is shown only the last 2 ended jobs of its academy. The feed drops older jobs without telling clients.
    """
    with scratch_folder("history") as folder:
        system = System(template, folder, "history", **QUICK, REALTIME_RECENT_TERMINAL="2")
        pair = RedisPair(folder, system.redis)
        library = faketime.get()
        clocks = Clocks(*(HostClock.of(library, folder / name) for name in ("redis", "worker")))
        for server in (pair.master, pair.replica):
            clocks.redis.govern(server)
        system.worker.environment = {**system.worker.environment, **clocks.worker.variables}
        async with faulty_webs(system, pair, 2) as webs:
            yield Faulty(system, pair, clocks, webs)


class Academy:
    """One academy during the test of one seed. All requests are sent in the name of the academy's owner.

    A request that fails because of a fault is repeated. Only `ticket` sends its request once, and raises if it fails.
    """

    def __init__(self, system: System, code: str) -> None:
        self.system, self.code = system, code
        self.jobs: list[str] = []
        self.token = ""

    async def sign_in(self) -> None:
        account = {"tenant": self.code, "username": "owner", "password": PASSWORD}
        async with httpx.AsyncClient(base_url=self.system.address, timeout=60) as client:
            answer = await _retry_until_answered(lambda: client.post("/api/v1/auth/token/", json=account))
            self.token = answer.json()["access"]

    async def ticket(self) -> str:
        async with self._client() as client:
            answer = await client.post("/api/v1/realtime/ticket/")
            if answer.status_code != 200:
                raise httpx.HTTPError(answer.text)
            return str(answer.json()["ticket"])

    async def submit(self, rows: int, seed: int) -> None:
        files = {"file": ("a.xlsx", sample_workbook(rows, seed=seed))}
        async with self._client() as client:
            answer = await _retry_until_answered(lambda: client.post("/api/v1/students/import/", files=files))
            self.jobs.append(f"job:{answer.json()['job_id']}")

    async def snapshot(self, address: str) -> dict[str, Any]:
        async with self._client(address) as client:
            answer = await _retry_until_answered(lambda: client.get("/api/v1/realtime/snapshot/"))
            return {record["topic"]: record for record in answer.json()["records"]}

    def truth(self) -> dict[str, tuple[str, int]]:
        """Return the states of this seed's jobs in the database."""
        rows = self.system.query(
            "SELECT job_id::text, status, attempt FROM aijob WHERE 'job:' || job_id::text = ANY(%s)", self.jobs
        )
        return {f"job:{job_id}": (status, attempt) for job_id, status, attempt in rows}

    def all_ended(self) -> bool:
        return all(rank(status) == 2 for status, _attempt in self.truth().values())

    def _client(self, address: str | None = None) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.AsyncClient(base_url=address or self.system.address, headers=headers, timeout=60)


async def _retry_until_answered(request: Callable[[], Any]) -> httpx.Response:
    """Repeat the request until it gets a response other than 401 and server errors.

    Return this response if it is a success, otherwise fail.

    A process that started while the clock of Redis was wrong refuses good tokens until the clock has been right again
    for ten seconds (docs/explanation/clocks.md).
    """
    async with asyncio.timeout(SETTLE_SECONDS):
        while True:
            try:
                answer: httpx.Response = await request()
            except LOST:
                answer = httpx.Response(503)
            if answer.status_code < 500 and answer.status_code != httpx.codes.UNAUTHORIZED:
                assert answer.is_success, answer.text
                return answer
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("seed", seeds())
async def test_after_any_schedule_of_faults_every_client_has_the_true_state(faulty: Faulty, seed: int) -> None:
    system, webs = faulty.system, faulty.webs
    chance = random.Random(seed)
    # pytest shows this line with a failure: the command repeats the run.
    print(f"seed {seed}: HISTORY_SEEDS={seed} script/test tests/faults/test_history.py")
    academies = {code: Academy(system, code) for code in ACADEMIES}
    for academy in academies.values():
        await academy.sign_in()
    roamers = {
        code: [
            Roamer(
                f"{code} {number}",
                random.Random(chance.random()),
                [web.address for web in webs],
                academy.ticket,
                foreign=partial(list, academies[ACADEMIES[code]].jobs),
            )
            for number in range(ROAMERS)
        ]
        for code, academy in academies.items()
    }
    everybody = [roamer for of_academy in roamers.values() for roamer in of_academy]
    chaos = Chaos(system, faulty.pair, faulty.clocks, webs, everybody, chance)
    roaming = [asyncio.ensure_future(roamer.run()) for roamer in everybody]
    try:
        await asyncio.gather(chaos.some(FAULTS, lambda: chance.uniform(0.1, 0.8)), _submit(academies, chance))
        chaos.calm()
        print(f"  faults: {', '.join(chaos.done)}")
        await _until_settled(academies, roamers, roaming)
        for code, academy in academies.items():
            await _judge(academy, roamers[code], [web.address for web in webs])
    finally:
        for task in roaming:
            task.cancel()
        await asyncio.gather(*roaming, return_exceptions=True)


async def _submit(academies: dict[str, Academy], chance: random.Random) -> None:
    for _ in range(JOBS):
        for academy in academies.values():
            await academy.submit(chance.choice([30, 300, 1500]), seed=chance.randint(1, 10**6))
            await asyncio.sleep(chance.uniform(0, 0.5))


async def _until_settled(
    academies: dict[str, Academy], roamers: dict[str, list[Roamer]], roaming: Sequence[asyncio.Future[None]]
) -> None:
    """Wait until all jobs have ended, and no client waits for the end of one.

    No client then holds an unfinished job, and each client holds every job that a snapshot still shows.
    """

    async def unheard() -> list[str]:
        found = []
        for code, academy in academies.items():
            shown = await academy.snapshot(academy.system.address)
            for roamer, topic in product(roamers[code], academy.jobs):
                held = roamer.fold.get(topic)
                if rank(held["status"]) < 2 if held else topic in shown:
                    found.append(f"{roamer.name}: {topic} {held}")
        return found

    for academy in academies.values():
        await eventually(academy.all_ended, SETTLE_SECONDS)
    found = ["not looked yet"]
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while found := await unheard():
                assert not any(task.done() for task in roaming), "a client broke"
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"Terminal records were lost: {found}") from None


async def _judge(academy: Academy, roamers: list[Roamer], addresses: list[str]) -> None:
    truth = academy.truth()
    assert len(truth) == JOBS
    for roamer in roamers:
        assert roamer.problems == []
        for topic, (status, attempt) in truth.items():
            held = roamer.fold.get(topic)  # None: the job ended and left the feed while the client was not connected
            assert held is None or (held["status"], held["attempt"]) == (status, attempt), f"{roamer.name}: {topic}"
    for address in addresses:
        await _until_fresh(academy, roamers, address)


async def _until_fresh(academy: Academy, roamers: list[Roamer], address: str) -> None:
    """Wait until a new client of the process at `address` is shown no unfinished job, and all roamers agree with it.

    If the link of a process to Redis fails silently, the process shows old records until its next probe. Meanwhile,
    the roamers may have newer records from another process.
    """

    def differing(fresh: dict[str, Any]) -> list[str]:
        shown = [topic for topic in academy.jobs if topic in fresh]
        return [
            f"{roamer.name}: {topic} {fresh[topic]} {roamer.fold.get(topic)}"
            for topic, roamer in product(shown, roamers)
            if rank(fresh[topic]["status"]) < 2
            or topic not in roamer.fold
            or strength(fresh[topic]) != strength(roamer.fold[topic])
        ]

    found: list[str] = []
    try:
        async with asyncio.timeout(HEALED_SECONDS):
            while found := differing(await academy.snapshot(address)):
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{address} goes on telling what is over: {found}") from None
