"""Redis answers but refuses writes: revoked sessions still end, and /readyz names the failure."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager

import httpx
import pytest
from redis import Redis

from academy.adapters.excel.sample import sample_workbook
from embedded.group import Servers
from embedded.scratch import scratch_folder
from harness.proxy import Proxy
from harness.sign_ins import REVOKED, SOON_SECONDS, signed_in, watching
from harness.system import System, eventually, import_workbook, new_ticket, running_system, tenant_of
from harness.watcher import Watcher
from tests.faults.refusing import REFUSING, memory_full, read_only

ALL = pytest.mark.parametrize("code", [*REFUSING, "OOM"])


@pytest.fixture(scope="module")
def system(template: Servers) -> Iterator[System]:
    """Yield a running product for this module alone.

    The tests make its Redis refuse writes, but kill none of its processes.
    """
    with scratch_folder("system") as folder, running_system(template, folder, "refusing_system") as running:
        yield running


def refusing(code: str, system: System) -> AbstractContextManager[None]:
    return memory_full(system.redis) if code == "OOM" else REFUSING[code](system.redis)


async def everything_of(client: httpx.AsyncClient, ticket: str) -> list[int]:
    """Send one request of each kind in the client's session. Return the statuses of the responses."""
    answers = [
        await client.get("/api/v1/jobs/"),
        await client.post("/api/v1/realtime/ticket/"),
        await client.post("/api/v1/realtime/ticket/", json={"renew": ticket}),
        await client.get("/api/v1/realtime/snapshot/"),
        await client.get("/api/v1/jobs/00000000-0000-0000-0000-000000000000/progress/"),
    ]
    return [answer.status_code for answer in answers]


def at(system: System, address: str, ticket: dict[str, str]) -> str:
    """Return the ticket's WebSocket URL, but at the address of another process."""
    return ticket["websocket_url"].replace(system.address.removeprefix("http"), address.removeprefix("http"))


@ALL
async def test_a_logout_ends_token_tickets_and_connections_in_every_process(system: System, code: str) -> None:
    with system.another_web() as web:
        async with await signed_in(system) as session, await signed_in(system) as other:
            ticket, spare = await new_ticket(session), await new_ticket(session)
            async with (
                await watching(system, session) as here,
                await Watcher.connect(at(system, web.address, ticket), ticket["ticket"]) as there,
                httpx.AsyncClient(base_url=web.address, headers=session.headers, timeout=60) as elsewhere,
                await watching(system, other) as untouched,
            ):
                await there.read_until("snapshot")
                with refusing(code, system):
                    assert (await session.post("/api/v1/auth/logout/")).status_code == 204
                    assert (await here.closed(SOON_SECONDS))[0] == REVOKED
                    assert (await there.closed(SOON_SECONDS))[0] == REVOKED
                    assert await everything_of(session, spare["ticket"]) == [401] * 5
                    assert await everything_of(elsewhere, spare["ticket"]) == [401] * 5
                    for url in (spare["websocket_url"], at(system, web.address, spare)):
                        offered = ["realtime.v1", f"ticket.{spare['ticket']}"]
                        assert (await system.refused(url, offered))[0] == REVOKED
                    assert (await other.get("/api/v1/jobs/")).status_code == 200
                    assert untouched.socket.state.name == "OPEN"
                assert await everything_of(session, spare["ticket"]) == [401] * 5


@ALL
async def test_a_changed_role_and_a_suspended_academy_end_their_sessions(system: System, code: str) -> None:
    """A Django shell makes each change, not the web process that serves the sessions."""
    changes = {
        "teacher": "m = TenantMembership.objects.get(user__username='teacher', tenant__code='hanbit'); "
        "old, m.role = m.role, 'parent'; m.save(); m.role = old; m.save()",
        "owner": "t = Tenant.objects.get(code='hanbit'); t.active = False; t.save(); t.active = True; t.save()",
    }
    for username, change in changes.items():
        async with await signed_in(system, username) as client, await watching(system, client) as watcher:
            with refusing(code, system):
                await asyncio.to_thread(system.shell, f"from apps.core.models import *; {change}")
                assert (await watcher.closed(SOON_SECONDS))[0] == REVOKED
                assert (await client.get("/api/v1/jobs/")).status_code == 401


@pytest.mark.parametrize("code", REFUSING)
async def test_a_process_that_starts_during_the_fault_knows_the_revocations(system: System, code: str) -> None:
    async with await signed_in(system) as session:
        spare = await new_ticket(session)
        with refusing(code, system):
            assert (await session.post("/api/v1/auth/logout/")).status_code == 204
            web = system.web_of()
            web.start()
            try:
                async with httpx.AsyncClient(base_url=web.address, headers=session.headers, timeout=60) as elsewhere:
                    await eventually(lambda: answers(web.address))
                    assert await everything_of(elsewhere, spare["ticket"]) == [401] * 5
                    offered = ["realtime.v1", f"ticket.{spare['ticket']}"]
                    assert (await system.refused(at(system, web.address, spare), offered))[0] == REVOKED
            finally:
                web.stop()


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


async def test_a_mark_that_is_written_late_does_not_end_newer_sign_ins(system: System) -> None:
    key, subject = f"tenant:{tenant_of(system, 'hanbit')}:revoked", f"user:{user_of(system, 'staff')}"
    async with await signed_in(system) as before:
        with read_only(system.redis):
            await asyncio.to_thread(system.shell, revoking(system, "staff"))
            async with asyncio.timeout(
                SOON_SECONDS
            ):  # Redis is a replica now: web processes read revocations in the database, each second
                while (await before.get("/api/v1/jobs/")).status_code == 200:
                    await asyncio.sleep(0.05)
            after = await signed_in(system)
        async with after:
            redis: Redis = Redis.from_url(system.redis.url)
            await eventually(lambda: redis.zscore(key, subject) is not None, what="the mark in Redis")
            redis.close()
            assert (await after.get("/api/v1/jobs/")).status_code == 200
            assert (await before.get("/api/v1/jobs/")).status_code == 401


def user_of(system: System, username: str) -> int:
    statement = """
        SELECT u.id FROM "user" u JOIN tenant t ON t.id = u.tenant_id WHERE t.code = 'hanbit' AND u.username = %s
    """
    ((user_id,),) = system.query(statement, username)
    return int(user_id)


def revoking(system: System, username: str) -> str:
    tenant_id = tenant_of(system, "hanbit")
    return f"from realtime.outbox.revoke import revoke; revoke({tenant_id}, user_id={user_of(system, username)})"


@pytest.mark.parametrize("code", REFUSING)
async def test_if_redis_and_the_database_cannot_report_revocations_nobody_is_admitted(
    system: System, code: str
) -> None:
    port = int(system.database_url.rpartition(":")[2].partition("/")[0])
    async with Proxy(port) as proxy:
        url = system.database_url.replace(f":{port}/", f":{proxy.port}/")
        web = system.web_of(DATABASE_URL=url)
        web.start()
        try:
            await asyncio.to_thread(web.wait_ready)  # in a thread: this event loop runs the proxy
            async with (
                await signed_in(system) as session,
                httpx.AsyncClient(base_url=web.address, headers=session.headers, timeout=60) as client,
            ):
                ticket = await new_ticket(session)
                assert (await client.post("/api/v1/realtime/ticket/")).status_code == 200
                with refusing(code, system):
                    proxy.refuse()
                    ready = await until_ready_says(web.address, "the database cannot be read")
                    assert ready.status_code == 503
                    answer = await client.post("/api/v1/realtime/ticket/")
                    assert (answer.status_code, answer.json()["code"]) == (503, "redis_unavailable")
                    offered = ["realtime.v1", f"ticket.{ticket['ticket']}"]
                    closed, reason = await system.refused(at(system, web.address, ticket), offered)
                    assert (closed, "database" in reason) == (4003, True)
                proxy.refuse(refusing=False)
                await until_ready_says(web.address, "ok")
                assert (await client.post("/api/v1/realtime/ticket/")).status_code == 200
        finally:
            web.stop()


async def until_ready_says(address: str, said: str) -> httpx.Response:
    found: list[httpx.Response] = []

    def matches() -> bool:
        found[:] = [httpx.get(f"{address}/readyz", timeout=60)]
        return found[0].text == said if said == "ok" else said in found[0].text

    try:
        await eventually(matches, what=f"/readyz to say {said!r}")
    except AssertionError as problem:
        raise AssertionError(f"{problem} It says {[answer.text for answer in found]}.") from None
    return found[0]


@ALL
async def test_readyz_names_the_failure(system: System, code: str) -> None:
    with refusing(code, system):
        answer = await until_ready_says(system.address, code)
        assert answer.status_code == (200 if code == "OOM" else 503)
    assert (await until_ready_says(system.address, "ok")).status_code == 200


async def test_at_the_memory_limit_a_job_runs_and_its_end_reaches_the_browser(system: System) -> None:
    async with system.client() as client, await watching(system, client) as watcher:
        with memory_full(system.redis):
            job_id = await import_workbook(client, sample_workbook(300, seed=41))
            done = await watcher.until_terminal(f"job:{job_id}")
            assert done["status"] == "DONE"
            statuses = {record["status"] for frame in watcher.frames for record in frame.get("records", ())}
            assert not {"PENDING", "PROCESSING"} & statuses, "What is unfinished was to be refused."
