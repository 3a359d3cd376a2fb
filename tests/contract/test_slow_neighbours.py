"""Tests of a storage or queue that hangs: only requests that use it are delayed. They hold no database connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from harness.proxy import Proxy
from harness.system import System, demo_lecture
from harness.watcher import LONG_PATIENCE_SECONDS

UPLOADS = 12


@asynccontextmanager
async def behind_a_proxy(system: System, variable: str) -> AsyncIterator[tuple[Proxy, httpx.AsyncClient]]:
    """Run a web process with one database connection, and a proxy in front of its storage or queue.

    `variable` is the environment variable with the address of the storage or queue. Yield the proxy, and a client of
    the web process.
    """
    async with Proxy(urlsplit(system.environment[variable]).port or 0) as proxy:
        changed = {variable: f"http://127.0.0.1:{proxy.port}"}
        with system.another_web(DATABASE_POOL_SIZE="1", **changed) as web:
            headers = {"Authorization": f"Bearer {system.access_token('hanbit', 'owner')}"}
            async with httpx.AsyncClient(base_url=web.address, headers=headers, timeout=60) as client:
                yield proxy, client


@pytest.mark.asyncio(loop_scope="module")
async def test_others_are_answered_while_files_are_stored(own_system: System) -> None:
    """While all uploads wait for the storage, other requests still get a thread and the only database connection."""
    async with behind_a_proxy(own_system, "S3_ENDPOINT_URL") as (storage, client):
        lecture = await demo_lecture(client)
        storage.stall()
        file, fields = ("v.mp4", b"video"), {"title": "v", "lecture": lecture["id"]}
        uploads = [
            asyncio.create_task(client.post("/media/videos/", files={"file": file}, data=fields))
            for _ in range(UPLOADS)
        ]
        async with asyncio.timeout(LONG_PATIENCE_SECONDS):
            while storage.connections < UPLOADS:
                await asyncio.sleep(0.01)
        for _ in range(5):
            assert (await client.get("/api/v1/lectures/")).status_code == 200
        assert not any(upload.done() for upload in uploads)
        storage.flow()
        assert [(await upload).status_code for upload in uploads] == [202] * UPLOADS


@pytest.mark.asyncio(loop_scope="module")
async def test_others_are_answered_while_the_queue_hangs_and_the_job_is_done_later(own_system: System) -> None:
    async with behind_a_proxy(own_system, "SQS_ENDPOINT_URL") as (queue, client):
        queue.stall()
        submitted = asyncio.create_task(client.post("/api/v1/students/export/", json={}))
        async with asyncio.timeout(LONG_PATIENCE_SECONDS):
            while not queue.connections:
                await asyncio.sleep(0.01)
        for _ in range(5):
            assert (await client.get("/api/v1/lectures/")).status_code == 200
        assert not submitted.done()
        job_id = (await submitted).json()["job_id"]
        async with asyncio.timeout(LONG_PATIENCE_SECONDS):
            while (await client.get(f"/api/v1/jobs/{job_id}/")).json()["status"] != "DONE":  # the relay sends its job
                await asyncio.sleep(0.05)
