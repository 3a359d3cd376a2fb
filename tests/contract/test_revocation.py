"""What a logout or a change of an account ends: at once, in every process, and also when the message was lost."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from redis import Redis

from tests.contract.test_websocket import tenant_of
from tests.event_stream import EventStream
from tests.system import PASSWORD, System, new_ticket
from tests.watcher import Watcher

pytestmark = pytest.mark.every_server


async def signed_in(system: System, username: str = "staff", academy: str = "hanbit") -> httpx.AsyncClient:
    """A session of its own, which may be ended."""
    account = {"tenant": academy, "username": username, "password": PASSWORD}
    async with httpx.AsyncClient(base_url=system.address, timeout=30) as once:
        tokens = (await once.post("/api/v1/auth/token/", json=account)).json()
    headers = {"Authorization": f"Bearer {tokens['access']}"}
    return httpx.AsyncClient(base_url=system.address, timeout=30, headers=headers)


async def watching(system: System, client: httpx.AsyncClient) -> Watcher:
    watcher = await system.watcher(client)
    await watcher.read_until("snapshot")
    return watcher


@pytest.fixture
async def session(system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with await signed_in(system) as client:
        yield client


async def test_a_logout_ends_the_connections_of_that_session_and_of_no_other(
    system: System, session: httpx.AsyncClient
) -> None:
    ticket = await new_ticket(session)
    async with (
        await signed_in(system) as other,
        await watching(system, session) as watcher,
        await EventStream.open(ticket["events_url"], ticket["ticket"]) as events,
        await watching(system, other) as untouched,
    ):
        await events.read_until("snapshot")
        assert (await session.post("/api/v1/auth/logout/")).status_code == 204
        assert (await watcher.closed())[0] == 4410
        assert watcher.frames[-1]["code"] == 4410
        last = await events.ended()
        assert (last["type"], last["code"]) == ("closing", 4410)
        assert untouched.socket.state.name == "OPEN"
        assert (await other.get("/api/v1/jobs/")).status_code == 200


async def test_after_a_logout_neither_token_nor_ticket_opens_anything(
    system: System, session: httpx.AsyncClient
) -> None:
    ticket = await new_ticket(session)
    await session.post("/api/v1/auth/logout/")
    answers = [
        await session.get("/api/v1/jobs/"),
        await session.post("/api/v1/realtime/ticket/"),
        await session.post("/api/v1/realtime/ticket/", json={"renew": ticket["ticket"]}),
        await session.get("/api/v1/realtime/snapshot/"),
        await session.get("/api/v1/jobs/00000000-0000-0000-0000-000000000000/progress/"),
    ]
    assert [answer.status_code for answer in answers] == [401] * 5
    assert answers[0].json() == {
        "code": "session_ended",
        "message": "The session was ended, or the account changed: sign in again.",
    }
    subprotocols = ["realtime.v1", f"ticket.{ticket['ticket']}"]
    assert (await system.refused(ticket["websocket_url"], subprotocols))[0] == 4410


async def test_another_process_hears_of_it_too(system: System, session: httpx.AsyncClient) -> None:
    with system.another_web() as web:
        ticket = await new_ticket(session)
        url = ticket["websocket_url"].replace(system.address.removeprefix("http"), web.address.removeprefix("http"))
        async with await Watcher.connect(url, ticket["ticket"]) as watcher:
            await watcher.read_until("snapshot")
            await session.post("/api/v1/auth/logout/")
            assert (await watcher.closed())[0] == 4410


async def test_a_lost_message_is_made_good_by_the_probe(system: System, session: httpx.AsyncClient) -> None:
    """The mark stands in Redis, and nobody is told: what a dropped group message leaves behind."""
    with system.another_web(REALTIME_PROBE_SECONDS="0.2") as web:
        ticket = await new_ticket(session)
        url = ticket["websocket_url"].replace(system.address.removeprefix("http"), web.address.removeprefix("http"))
        async with await Watcher.connect(url, ticket["ticket"]) as watcher:
            await watcher.read_until("snapshot")
            (user_id,) = system.query(
                'SELECT u.id FROM "user" u JOIN tenant t ON t.id = u.tenant_id'
                " WHERE t.code = 'hanbit' AND u.username = 'staff'"
            )[0]
            redis: Redis = Redis.from_url(system.redis.url)
            seconds, microseconds = redis.time()
            key = f"tenant:{tenant_of(system, 'hanbit')}:revoked"
            redis.zadd(key, {f"user:{user_id}": 1000 * seconds + microseconds / 1000})
            assert (await watcher.closed())[0] == 4410
            redis.zrem(key, f"user:{user_id}")
            redis.close()


async def test_a_changed_role_a_removed_membership_and_a_suspended_academy_end_what_they_concern(
    own_system: System,
) -> None:
    role = "m = TenantMembership.objects.get(user__username='{}', tenant__code='hanbit'); "
    changes = {
        "teacher": role.format("teacher") + "m.role = 'parent'; m.save()",
        "staff": role.format("staff") + "m.delete()",
        "owner": "t = Tenant.objects.get(code='hanbit'); t.active = False; t.save()",
    }
    async with (
        await signed_in(own_system, "owner", "saebom") as elsewhere,
        await watching(own_system, elsewhere) as stays,
    ):
        for username, change in changes.items():
            async with (
                await signed_in(own_system, username) as client,
                await watching(own_system, client) as watcher,
            ):
                await asyncio.to_thread(own_system.shell, f"from apps.core.models import *; {change}")
                assert (await watcher.closed())[0] == 4410
                assert (await client.get("/api/v1/jobs/")).status_code == 401
        assert stays.socket.state.name == "OPEN"


async def test_where_the_marks_cannot_be_read_nobody_passes(own_system: System) -> None:
    async with own_system.client() as client:
        own_system.redis.kill()
        answer = await client.get("/api/v1/jobs/")
    assert answer.status_code == 503
    assert answer.json()["code"] == "redis_unavailable"
