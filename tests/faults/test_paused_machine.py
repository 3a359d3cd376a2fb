"""The machine of the only worker is paused for longer than a lease: each job succeeds once, and no file is blamed.

The tests suspend the worker and all processes that it started. With `script/test --faults` a pause takes 63 s, and
leases are those of production. In CI a pause takes 6 s, and leases are shorter.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import boto3
import httpx
import psutil
import pytest

from academy.adapters.excel.sample import sample_workbook
from embedded.group import Servers
from embedded.plan import Worker
from embedded.scratch import scratch_folder
from harness.slow_imports import slow_imports
from harness.system import QUICK, System, import_workbook, running_system
from harness.videos import sample, slow_ffmpeg, uploaded
from harness.watcher import Record, Watcher, rank
from tests.faults.test_killed_video_worker import made_of
from tests.faults.test_killed_worker import TWINS

LONG = bool(os.environ.get("LONG_FAULTS"))
PAUSE_SECONDS = 63.0 if LONG else 6.0
"""Longer than a lease, and longer than the visibility of a message."""
SECONDS = 36

_systems = count(1)

pytestmark = pytest.mark.slow


@pytest.fixture
def system(template: Servers) -> Iterator[System]:
    with scratch_folder("paused") as folder:
        with running_system(template, folder, f"paused_system_{next(_systems)}", **({} if LONG else QUICK)) as running:
            yield running


@contextmanager
def paused(worker: Worker) -> Iterator[int]:
    """Suspend the worker and the processes that it has started. Yield the number of these processes."""
    assert worker.pid is not None
    process = psutil.Process(worker.pid)
    process.suspend()  # first, so that it starts no more processes
    started = process.children(recursive=True)
    for child in started:
        child.suspend()
    try:
        yield len(started)
    finally:
        for each in (*started, process):
            each.resume()


async def end_after_pause(
    system: System, client: httpx.AsyncClient, worker: Worker, topic: str, *, started: int = 0
) -> Record:
    with paused(worker) as number:
        await asyncio.sleep(PAUSE_SECONDS)
    assert number >= started
    # A new watcher, because that of the test answered no pings during the pause: the server may have disconnected it.
    async with await system.watcher(client) as later:
        return await later.until_terminal(topic)


def exported(system: System) -> list[str]:
    """Return the names of the exports in the storage."""
    variables = system.environment
    storage = boto3.client(
        "s3",
        endpoint_url=variables["S3_ENDPOINT_URL"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )
    ((tenant_id,),) = system.query("SELECT id FROM tenant WHERE code = 'hanbit'")
    listed = storage.list_objects_v2(Bucket=variables["S3_BUCKET"], Prefix=f"exports/{tenant_id}/")
    return [entry["Key"] for entry in listed.get("Contents", [])]


async def test_a_video_whose_worker_was_paused_while_it_encoded_is_ready_with_one_set_of_files(
    system: System, tmp_path: Path
) -> None:
    content, slow = sample(tmp_path, SECONDS), slow_ffmpeg(tmp_path / "tools")
    async with system.client() as client, await system.watcher(client) as watcher:
        with system.running_worker("video_worker", FFMPEG=slow) as worker:
            video_id = await uploaded(client, content)
            topic = f"video:{video_id}"
            await watcher.until(lambda: watcher.percent(topic) > 10)
            end = await end_after_pause(system, client, worker, topic, started=1)
    assert (end["status"], end["error"]) == ("READY", None)
    names = made_of(system, video_id)
    assert {name.partition("/")[0] for name in names} == {str(end["attempt"])}
    assert len([name for name in names if name.startswith(f"{end['attempt']}/90p/")]) == SECONDS // 6 + 1


async def test_an_import_whose_worker_was_paused_ends_with_each_student_once(system: System) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        with slow_imports(system):
            job_id = await import_workbook(client, sample_workbook(2000, seed=21))
            await watcher.until(lambda: watcher.percent(f"job:{job_id}") > 10)
            end = await end_after_pause(system, client, system.worker, f"job:{job_id}")
    assert end["status"] == "DONE"
    assert system.query(TWINS, job_id) == []
    rows = "SELECT count(*) FROM aijob_row r JOIN aijob j ON j.id = r.job_id WHERE j.job_id = %s"
    assert system.query(rows, job_id) == [(2000,)]


async def submit_export(client: httpx.AsyncClient) -> str:
    job_id: str = (await client.post("/api/v1/students/export/", json={})).json()["job_id"]
    return job_id


async def is_seen_running(watcher: Watcher, topic: str) -> bool:
    """Wait for progress, and return True. Return False if the job ends first: the feed may leave out progress."""

    def has_ended() -> bool:
        return rank(watcher.records.get(topic, {}).get("status", "PENDING")) == 2

    await watcher.until(lambda: watcher.percent(topic) > 0 or has_ended())
    return not has_ended()


async def test_an_export_whose_worker_was_paused_has_one_file(system: System) -> None:
    async with system.client() as client, await system.watcher(client) as watcher:
        imported = await import_workbook(client, sample_workbook(8000, seed=22))
        await watcher.until_terminal(f"job:{imported}")
        job_id = await submit_export(client)
        while not await is_seen_running(watcher, f"job:{job_id}"):
            job_id = await submit_export(client)
        end = await end_after_pause(system, client, system.worker, f"job:{job_id}")
    assert (end["status"], end["error"]) == ("DONE", None)
    files = [name.rpartition("/")[2] for name in exported(system)]
    assert [name for name in files if name.startswith(job_id)] == [f"{job_id}-{end['attempt']}.xlsx"]
