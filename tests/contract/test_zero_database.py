"""Tests of guarantee 5: connections and polls need no SQL. The web process opens no link to PostgreSQL for them."""

import asyncio

from academy.adapters.excel.sample import sample_workbook
from harness.system import System, import_workbook

WEB = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'web' AND datname = current_database()"
POLLS, CONNECTS = 1000, 100


async def test_a_thousand_polls_and_a_hundred_connections_need_no_sql_statement(own_system: System) -> None:
    async with own_system.client() as client:
        async with await own_system.watcher(client) as watcher:
            job_id = await import_workbook(client, sample_workbook(500, seed=31))
            await watcher.until_terminal(f"job:{job_id}")
        own_system.worker.stop()
        # A new web process has no database connection, so the first statement of any request opens one.
        own_system.web.stop()
        own_system.web.start()
        await asyncio.to_thread(own_system.web.wait_ready)
        before = own_system.query(WEB)
        for _ in range(POLLS // 20):
            answers = await asyncio.gather(*(client.get(f"/api/v1/jobs/{job_id}/progress/") for _ in range(20)))
            assert {answer.json()["status"] for answer in answers} == {"DONE"}
        places = [await connect(own_system, client) for _ in range(CONNECTS)]
        after = own_system.query(WEB)
        # To check the measurement: an endpoint that reads the database does open a connection.
        assert (await client.get("/api/v1/jobs/")).status_code == 200
        shown = own_system.query(WEB)
    assert len(set(places)) == 1
    assert (before, after) == ([(0,)], [(0,)])
    assert shown != [(0,)]


async def connect(system: System, client: object) -> str:
    async with await system.watcher(client) as watcher:  # type: ignore[arg-type]
        await watcher.read_until("snapshot")
        return str(watcher.place)
