"""The ends of jobs are sent even if relays freeze, lose their links, have a wrong clock, or find invalid data.

Each test inserts rows into the outbox like those of a process that died after its commit. The tenants of the rows need
not exist.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from embedded.group import Servers
from embedded.plan import Program
from embedded.scratch import scratch_folder
from harness.forked import ForkedProgram
from harness.proxy import Proxy
from harness.system import System, eventually, running_system

ENDS = 30
_tenants = count(7_000_000)
_names = count(1)


@pytest.fixture(scope="module")
def quiet(template: Servers) -> Iterator[System]:
    """Run a product without its worker, so that the only relays are those that a test starts."""
    with scratch_folder("relays") as folder, running_system(template, folder, "relays") as system:
        system.worker.stop()
        yield system


@pytest.fixture
def tenant() -> int:
    return next(_tenants)


@contextmanager
def relay(system: System, **environment: str) -> Iterator[Program]:
    """Run `manage.py realtime_relay`."""
    name = f"relay_{next(_names)}"
    variables = {**system.environment, "PROCESS_NAME": "relay", **environment}
    argv = [sys.executable, "manage.py", "realtime_relay"]
    program = ForkedProgram(name, argv, system.folder / f"{name}.log", variables)
    program.start()
    try:
        yield program
    finally:
        if program.pid is not None:
            os.kill(program.pid, signal.SIGCONT)
        program.stop()


def leave_behind(system: System, tenant: int, payloads: list[dict[str, Any]], kind: str = "record") -> None:
    """Insert unsent rows as if they were committed ten seconds ago, by the clock of the database."""
    with psycopg.connect(system.database_url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO realtime_outbox (kind, tenant_id, payload, created_at)"
            " VALUES (%s, %s, %s, now() - interval '10 seconds')",
            [(kind, tenant, json.dumps(payload)) for payload in payloads],
        )


def ends(number: int = ENDS, **fields: Any) -> list[dict[str, Any]]:
    usual = {"attempt": 1, "status": "DONE", "published_at": 1.8e9}
    return [{"topic": f"job:{place}", **usual, **fields} for place in range(number)]


def all_are_there(system: System, tenant: int, number: int = ENDS) -> bool:
    with Redis.from_url(system.redis.url) as redis:
        return int(redis.zcard(f"tenant:{tenant}:feed:index")) == number


def some_are_claimed(system: System, tenant: int) -> bool:
    rows = "FROM realtime_outbox WHERE tenant_id = %s AND next_try_at > now()"
    return bool(system.query(f"SELECT count(*) {rows}", tenant)[0][0])


async def wait_for_ends(system: System, tenant: int, number: int = ENDS) -> None:
    await eventually(lambda: all_are_there(system, tenant, number), 40, f"{number} ends of tenant {tenant}")


@asynccontextmanager
async def relay_in_the_middle(system: System, tenant: int) -> AsyncIterator[tuple[Program, Proxy]]:
    """Run a relay that has claimed a tenant's rows and waits for Redis. Yield the relay and its proxy to PostgreSQL."""
    port = system.postgres.port
    async with Proxy(system.redis.port) as to_redis, Proxy(port) as to_postgres:
        to_redis.stall()
        environment = {
            "REDIS_URL": f"redis://127.0.0.1:{to_redis.port}/0",
            "DATABASE_URL": system.database_url.replace(f":{port}/", f":{to_postgres.port}/"),
        }
        with relay(system, **environment) as program:
            leave_behind(system, tenant, ends())
            await eventually(lambda: some_are_claimed(system, tenant), 40, "a claim of the relay")
            yield program, to_postgres
        for proxy in (to_redis, to_postgres):
            proxy.flow()


async def test_when_a_relay_freezes_while_sending_another_one_sends_its_rows(quiet: System, tenant: int) -> None:
    async with relay_in_the_middle(quiet, tenant) as (frozen, _):
        assert frozen.pid is not None
        os.kill(frozen.pid, signal.SIGSTOP)
        with relay(quiet):
            await wait_for_ends(quiet, tenant)


async def test_when_a_relays_link_to_the_database_goes_silent_another_one_sends_its_rows(
    quiet: System, tenant: int
) -> None:
    async with relay_in_the_middle(quiet, tenant) as (_, to_postgres):
        to_postgres.stall()
        with relay(quiet):
            await wait_for_ends(quiet, tenant)


async def test_a_queue_that_never_answers_does_not_delay_the_ends_of_jobs(quiet: System, tenant: int) -> None:
    asked, connections = asyncio.Event(), asyncio.Queue[asyncio.Task[None]]()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: Any = asyncio.current_task()
        connections.put_nowait(task)
        asked.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    messages = [{"queue": "ai", "body": {"number": number}} for number in range(20)]
    with relay(quiet, SQS_ENDPOINT_URL=f"http://127.0.0.1:{port}"):
        leave_behind(quiet, tenant, messages, "queue")
        await asyncio.wait_for(asked.wait(), 120)
        leave_behind(quiet, tenant, ends())
        await wait_for_ends(quiet, tenant)
    left = quiet.query(
        "SELECT count(*) FROM realtime_outbox WHERE tenant_id = %s AND kind = 'queue' AND sent_at IS NULL"
        " AND failed_at IS NULL",
        tenant,
    )
    assert left == [(20,)]
    server.close()
    while not connections.empty():
        await connections.get_nowait()


async def test_rows_that_can_never_be_sent_are_set_aside_and_delay_no_other(quiet: System, tenant: int) -> None:
    leave_behind(quiet, tenant, ends(400, attempt="x"))
    other = next(_tenants)
    leave_behind(quiet, other, ends())
    aside = "SELECT count(*) FROM realtime_outbox WHERE tenant_id = %s AND failed_at IS NOT NULL AND error <> ''"
    with relay(quiet):
        await wait_for_ends(quiet, other)
        await eventually(lambda: quiet.query(aside, tenant) == [(400,)], 40, "400 rows to be set aside")


async def test_a_key_of_the_wrong_type_does_not_stop_the_refill_of_other_tenants(quiet: System, tenant: int) -> None:
    good = next(_tenants)
    with relay(quiet):
        for who in (tenant, good):
            leave_behind(quiet, who, ends())
            await wait_for_ends(quiet, who)
        with Redis.from_url(quiet.redis.url) as redis:
            redis.eval(
                "redis.call('FLUSHALL') redis.call('SET', KEYS[1], 'of another program')", 1, f"tenant:{tenant}:feed"
            )
        await wait_for_ends(quiet, good)


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_a_relay_with_a_wrong_clock_sends_the_unsent_rows(quiet: System, tenant: int, minutes: int) -> None:
    clock = {"PYTHONPATH": str(Path(__file__).with_name("other_clock")), "OTHER_CLOCK_SECONDS": str(60 * minutes)}
    with relay(quiet, **clock):
        leave_behind(quiet, tenant, ends())
        await wait_for_ends(quiet, tenant)
