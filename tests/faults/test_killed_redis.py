"""Redis dies and comes back empty, or not at all: in the end, browsers still show the true state."""

import asyncio

import httpx

from academy.adapters.excel.sample import sample_workbook
from harness.slow_imports import slow_imports
from harness.system import System, eventually, import_workbook, new_ticket
from harness.watcher import Watcher


async def test_after_redis_comes_back_empty_during_an_import_browsers_still_show_done(own_system: System) -> None:
    async with (
        own_system.client() as client,
        await own_system.watcher(client) as watcher,
        await own_system.watcher(client) as other,
    ):
        with slow_imports(own_system):
            job_id = await import_workbook(client, sample_workbook(2000, seed=6))
            await watcher.until(lambda: watcher.percent(f"job:{job_id}") > 20)
            own_system.redis.kill()
            own_system.redis.start(empty=True)
        done = await watcher.until_terminal(f"job:{job_id}")
        await other.until_terminal(f"job:{job_id}")
    assert done["status"] == "DONE"
    epochs = {frame["place"].partition(".")[0] for frame in watcher.frames if frame.get("place")}
    assert len(epochs) == 2


async def test_a_done_that_was_committed_during_an_outage_of_redis_reaches_every_client_later(
    own_system: System,
) -> None:
    async with own_system.client() as client, await own_system.watcher(client) as watcher:
        with slow_imports(own_system):
            job_id = await import_workbook(client, sample_workbook(2000, seed=7))
            await watcher.until(lambda: watcher.percent(f"job:{job_id}") > 20)
            own_system.redis.kill()
        await eventually(
            lambda: own_system.query("SELECT status FROM aijob WHERE job_id = %s", job_id) == [("DONE",)], 120
        )
        own_system.redis.start(empty=True)
        done = await watcher.until_terminal(f"job:{job_id}")
    assert done["status"] == "DONE"
    assert done["data"]["result"]["created"] > 1750


async def test_a_done_that_an_emptied_redis_lost_is_published_again(own_system: System) -> None:
    async with own_system.client() as client:
        async with await own_system.watcher(client) as watcher:
            job_id = await import_workbook(client, sample_workbook(20, seed=8))
            await watcher.until_terminal(f"job:{job_id}")
        own_system.redis.kill()
        own_system.redis.start(empty=True)
        own_system.redis.wait_ready()
        # A new web process has never seen the job. The first process still has the job in its mirror.
        with own_system.another_web() as web:
            async with httpx.AsyncClient(base_url=web.address, headers=client.headers) as there:
                async with await own_system.watcher(there) as late:
                    done = await late.until_terminal(f"job:{job_id}")
    assert done["status"] == "DONE"


async def test_without_redis_each_answer_says_so_in_one_sentence(own_system: System) -> None:
    async with own_system.client() as client:
        ticket = await new_ticket(client)
        own_system.redis.kill()
        progress = await client.get("/api/v1/jobs/6b7a9c2e-0000-4000-8000-000000000000/progress/")
        ready = await client.get("/readyz")
        alive = await client.get("/healthz")
        jobs = await client.get("/api/v1/jobs/")
        upload = await client.post("/api/v1/students/import/", files={"file": ("a.xlsx", sample_workbook(5, seed=9))})
        watcher = await Watcher.connect(ticket["websocket_url"], ticket["ticket"])
        code, reason = await watcher.closed()
    assert (progress.status_code, progress.json()["code"]) == (503, "redis_unavailable")
    assert progress.headers["Retry-After"] == "5"
    assert (ready.status_code, alive.status_code) == (503, 200)
    assert "Redis cannot be reached" in ready.text
    # Without Redis these views cannot check whether the session was ended, so they refuse requests before any work.
    assert (jobs.status_code, upload.status_code) == (503, 503)
    # The WebSocket reads revocations from the database instead, so it accepts the ticket. But it cannot read the feed.
    assert (code, reason) == (4003, "The feed cannot be read at the moment; try again in a few seconds.")


async def test_without_a_database_watching_continues_and_signing_in_is_refused_with_the_reason(
    own_system: System,
) -> None:
    """The web process restarts with an address at which no database answers."""
    async with own_system.client() as client:
        job_id = await import_workbook(client, sample_workbook(20, seed=11))
        async with await own_system.watcher(client) as watcher:
            await watcher.until_terminal(f"job:{job_id}")
        own_system.web.stop()
        own_system.web.environment = {
            **own_system.web.environment,
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        }
        own_system.web.start()
        await asyncio.to_thread(own_system.web.wait_ready)
        async with await own_system.watcher(client) as watcher:
            assert (await watcher.until_terminal(f"job:{job_id}"))["status"] == "DONE"
        progress = await client.get(f"/api/v1/jobs/{job_id}/progress/")
        detail = await client.get(f"/api/v1/jobs/{job_id}/")
        async with httpx.AsyncClient(base_url=own_system.address, timeout=60) as stranger:
            account = {"tenant": "hanbit", "username": "owner", "password": "academy-demo"}
            sign_in = await stranger.post("/api/v1/auth/token/", json=account)
    assert (progress.status_code, progress.json()["status"]) == (200, "DONE")
    assert (detail.status_code, detail.json()["code"]) == (503, "database_unavailable")
    assert (sign_in.status_code, sign_in.json()["code"]) == (503, "database_unavailable")
