"""Tests that many jobs of one academy do not delay the jobs of another.

The tests check the order in which the worker begins the jobs.
"""

import asyncio
import json
from pathlib import Path

import httpx

from harness.system import System

MANY = 24
SLOTS = 5
EXPORT = "/api/v1/students/export/"


async def submitted(client: httpx.AsyncClient, number: int) -> list[str]:
    """Start this many exports, and return their ids."""
    answers = [await client.post(EXPORT, json={}) for _ in range(number)]
    assert {answer.status_code for answer in answers} == {202}
    return [answer.json()["job_id"] for answer in answers]


def begun(log_file: Path) -> list[str]:
    """Return the ids of the jobs in the order in which the worker began them."""
    lines = (json.loads(line) for line in log_file.read_text().splitlines(keepends=True) if line.endswith("}\n"))
    return [line["job"].removeprefix("job:") for line in lines if line.get("event") == "job_started"]


async def test_a_job_of_one_academy_begins_before_the_backlog_of_another(own_system: System) -> None:
    own_system.worker.stop()
    async with own_system.client("hanbit") as many, own_system.client("saebom") as one:
        backlog = await submitted(many, MANY)
        (single,) = await submitted(one, 1)
        async with await own_system.watcher(many) as watcher, await own_system.watcher(one) as other:
            own_system.worker.start()
            done = await other.until_terminal(f"job:{single}")
            ends = [await watcher.until_terminal(f"job:{job_id}") for job_id in backlog]
    order = begun(own_system.worker.log_file)
    assert done["status"] == "DONE"
    assert {end["status"] for end in ends} == {"DONE"}
    assert set(order) == {*backlog, single}
    assert order.index(single) < SLOTS


async def test_two_backlogs_are_worked_off_in_turns(own_system: System) -> None:
    own_system.worker.stop()
    async with own_system.client("hanbit") as first, own_system.client("saebom") as second:
        ours, theirs = await submitted(first, MANY), await submitted(second, MANY // 4)
        async with await own_system.watcher(first) as watcher, await own_system.watcher(second) as other:
            own_system.worker.start()
            await asyncio.gather(
                *(watcher.until_terminal(f"job:{job_id}") for job_id in ours[-1:]),
                *(other.until_terminal(f"job:{job_id}") for job_id in theirs[-1:]),
            )
    order = begun(own_system.worker.log_file)
    ahead = [job_id for job_id in order[: order.index(theirs[-1])] if job_id in ours]
    assert len(ahead) <= len(theirs) + 2 * SLOTS  # the two academies took turns
