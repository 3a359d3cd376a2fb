"""Tests of revocations, which a logout or a change of an account causes.

A revocation takes effect at once, in every process. If its message is lost, the next probe finds it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from redis import Redis

from harness.event_stream import EventStream
from harness.sign_ins import REVOKED, SOON_SECONDS, STUDENT_OF_A_VIDEO, account_of, signed_in, watching, with_token
from harness.system import PASSWORD, System, eventually, new_ticket, tenant_of
from harness.watcher import Watcher

pytestmark = pytest.mark.every_server


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
        assert (await watcher.closed(SOON_SECONDS))[0] == REVOKED
        assert watcher.frames[-1]["code"] == REVOKED
        last = await events.ended(SOON_SECONDS)
        assert (last["type"], last["code"]) == ("closing", REVOKED)
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
    assert (await system.refused(ticket["websocket_url"], subprotocols))[0] == REVOKED


async def test_a_refresh_token_used_twice_ends_all_of_that_session(system: System) -> None:
    async with httpx.AsyncClient(base_url=system.address, timeout=30) as bare:
        tokens = (await bare.post("/api/v1/auth/token/", json=account_of("staff"))).json()
        refresh = tokens["refresh"]
        for _ in range(2):
            newer = (await bare.post("/api/v1/auth/refresh/", json={"refresh": refresh})).json()
            refresh = newer["refresh"]
        async with with_token(system, newer["access"]) as thief, await watching(system, thief) as watcher:
            ticket = await new_ticket(thief)
            again = await bare.post("/api/v1/auth/refresh/", json={"refresh": tokens["refresh"]})
            assert again.status_code == 401
            assert (await watcher.closed(SOON_SECONDS))[0] == REVOKED
            assert (await thief.get("/api/v1/jobs/")).status_code == 401
            subprotocols = ["realtime.v1", f"ticket.{ticket['ticket']}"]
            assert (await system.refused(ticket["websocket_url"], subprotocols))[0] == REVOKED


@contextmanager
def held_up(system: System, table: str) -> Iterator[Callable[[int], Awaitable[None]]]:
    """Lock a table until the block ends. Yield a function that waits until a given number of statements wait for it."""
    with psycopg.connect(system.database_url) as connection:
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(table)))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass"

        async def held(number: int) -> None:
            seen = f"{number} statement(s) that wait for the table {table}"
            await eventually(lambda: system.query(waiting, table)[0][0] == number, what=seen)

        yield held


async def test_a_ticket_requested_before_a_revocation_and_issued_after_it_opens_nothing(own_system: System) -> None:
    ((video_id, _, tenant_id, user_id),) = own_system.query(STUDENT_OF_A_VIDEO)
    revoking = (
        "from academy.adapters.db.django.repositories_core import revoke_users; from django.db import transaction\n"
        f"with transaction.atomic(): revoke_users({tenant_id}, {user_id})"
    )

    async def meanwhile(table: str, asked: Awaitable[httpx.Response]) -> Any:
        with held_up(own_system, table) as held:
            asking = asyncio.ensure_future(asked)
            await held(1)
            await asyncio.to_thread(own_system.shell, revoking)
        answer = await asking
        assert answer.status_code == 200
        return answer.json()

    async with (
        await signed_in(own_system, "student") as student,
        httpx.AsyncClient(base_url=own_system.address, timeout=30) as bare,
    ):
        named = student.post("/api/v1/realtime/ticket/", json={"topics": [f"video:{video_id}"]})
        ticket = await meanwhile("enrollment", named)
        subprotocols = ["realtime.v1", f"ticket.{ticket['ticket']}"]
        assert (await own_system.refused(ticket["websocket_url"], subprotocols))[0] == REVOKED
        sign_in = bare.post("/api/v1/auth/token/", json=account_of("student"))
        first = await meanwhile("tenant_membership", sign_in)
        refreshing = bare.post("/api/v1/auth/refresh/", json={"refresh": first["refresh"]})
        second = await meanwhile("tenant_membership", refreshing)
        for tokens in (first, second):
            async with with_token(own_system, tokens["access"]) as client:
                assert (await client.get("/api/v1/students/")).status_code == 401
        third = (await bare.post("/api/v1/auth/refresh/", json={"refresh": second["refresh"]})).json()
        async with with_token(own_system, third["access"]) as client:
            assert (await client.get("/api/v1/students/")).status_code == 200


async def test_tokens_of_a_refresh_during_a_logout_open_nothing(system: System) -> None:
    async with httpx.AsyncClient(base_url=system.address, timeout=30) as bare:
        tokens = (await bare.post("/api/v1/auth/token/", json=account_of("staff"))).json()
        async with with_token(system, tokens["access"]) as session:
            with held_up(system, "tenant_membership") as held:
                refreshing = asyncio.ensure_future(
                    bare.post("/api/v1/auth/refresh/", json={"refresh": tokens["refresh"]})
                )
                await held(1)
                assert (await session.post("/api/v1/auth/logout/")).status_code == 204
            newer = (await refreshing).json()
        async with with_token(system, newer["access"]) as client:
            assert (await client.get("/api/v1/jobs/")).status_code == 401


async def test_a_sign_in_with_the_old_password_during_a_change_opens_nothing(own_system: System) -> None:
    new = {"old_password": PASSWORD, "new_password": "호랑이 담배 피우던 시절 이야기"}
    async with (
        await signed_in(own_system) as session,
        httpx.AsyncClient(base_url=own_system.address, timeout=30) as bare,
    ):
        with held_up(own_system, "tenant_membership") as held:
            old = asyncio.ensure_future(bare.post("/api/v1/auth/token/", json=account_of("staff")))
            await held(1)
            changing = asyncio.ensure_future(session.post("/api/v1/auth/password/", json=new))
            await held(2)
        assert (await changing).status_code == 200
        assert (await old).status_code == 401


async def test_the_end_of_an_enrolment_ends_what_the_student_watches_through_it(own_system: System) -> None:
    ((video_id, enrolment_id, _, _),) = own_system.query(STUDENT_OF_A_VIDEO)
    topics = {"topics": [f"video:{video_id}"]}
    async with httpx.AsyncClient(base_url=own_system.address, timeout=30) as bare, own_system.client() as owner:
        tokens = (await bare.post("/api/v1/auth/token/", json=account_of("student"))).json()
        async with with_token(own_system, tokens["access"]) as student:
            ticket = await new_ticket(student, topics)
            async with await Watcher.connect(ticket["websocket_url"], ticket["ticket"]) as watcher:
                await watcher.read_until("snapshot")
                assert (await owner.delete(f"/api/v1/enrolments/{enrolment_id}/")).status_code == 204
                asked = await student.get("/api/v1/students/")
                assert asked.status_code == 401, "The enrolment ended, but what the student holds was not revoked."
                assert (await watcher.closed(SOON_SECONDS))[0] == REVOKED
        newer = (await bare.post("/api/v1/auth/refresh/", json={"refresh": tokens["refresh"]})).json()
        async with with_token(own_system, newer["access"]) as student:
            renewing = {"renew": ticket["ticket"]}
            assert (await student.post("/api/v1/realtime/ticket/", json=renewing)).status_code == 401
            assert (await student.post("/api/v1/realtime/ticket/", json=topics)).status_code == 403
            assert (await student.get("/api/v1/students/")).status_code == 200


async def test_another_process_learns_of_a_revocation_too(system: System, session: httpx.AsyncClient) -> None:
    with system.another_web() as web:
        ticket = await new_ticket(session)
        url = ticket["websocket_url"].replace(system.address.removeprefix("http"), web.address.removeprefix("http"))
        async with await Watcher.connect(url, ticket["ticket"]) as watcher:
            await watcher.read_until("snapshot")
            await session.post("/api/v1/auth/logout/")
            assert (await watcher.closed(SOON_SECONDS))[0] == REVOKED


async def test_the_probe_finds_a_revocation_whose_message_was_lost(system: System, session: httpx.AsyncClient) -> None:
    """The test writes the revocation to Redis without publishing a message, as if the message had been lost."""
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
            assert (await watcher.closed(SOON_SECONDS))[0] == REVOKED
            redis.zrem(key, f"user:{user_id}")
            redis.close()


async def test_a_changed_role_a_removed_membership_and_a_suspended_academy_revoke(
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
                assert (await watcher.closed(SOON_SECONDS))[0] == REVOKED
                assert (await client.get("/api/v1/jobs/")).status_code == 401
        assert stays.socket.state.name == "OPEN"


async def test_a_new_password_a_closed_account_and_a_password_to_be_changed_revoke_by_any_writer(
    own_system: System,
) -> None:
    shell = "from apps.core.models import *; u = User.objects.get(username='teacher', tenant__code='hanbit'); "
    changes: dict[str, Callable[[], object]] = {
        "teacher": lambda: own_system.shell(f"{shell} u.set_password('another password'); u.save()"),
        "student": lambda: own_system.query(WHOSE.format("is_active = false"), "student"),
        "staff": lambda: own_system.query(WHOSE.format("must_change_password = true"), "staff"),
    }
    async with httpx.AsyncClient(base_url=own_system.address, timeout=30) as bare:
        for username, change in changes.items():
            tokens = (await bare.post("/api/v1/auth/token/", json=account_of(username))).json()
            async with with_token(own_system, tokens["access"]) as client:
                ticket = await new_ticket(client, {"topics": []} if username != "student" else topics_of(own_system))
                async with await Watcher.connect(ticket["websocket_url"], ticket["ticket"]) as watcher:
                    await watcher.read_until("snapshot")
                    await asyncio.to_thread(change)
                    assert (await watcher.closed(SOON_SECONDS))[0] == REVOKED
                assert (await client.get("/api/v1/students/")).status_code == 401
            again = await bare.post("/api/v1/auth/refresh/", json={"refresh": tokens["refresh"]})
            assert again.status_code == (200 if username == "staff" else 401)
        async with with_token(own_system, again.json()["access"]) as client:
            refused = await client.get("/api/v1/students/")
            assert (refused.status_code, refused.json()["code"]) == (403, "password_change_needed")


WHOSE = """
    UPDATE "user" SET {} WHERE username = %s AND tenant_id = (SELECT id FROM tenant WHERE code = 'hanbit')
    RETURNING id
"""


def topics_of(system: System) -> dict[str, list[str]]:
    ((video_id, _, _, _),) = system.query(STUDENT_OF_A_VIDEO)
    return {"topics": [f"video:{video_id}"]}


async def test_if_the_marks_cannot_be_read_nobody_is_admitted(own_system: System) -> None:
    async with own_system.client() as client:
        own_system.redis.kill()
        answer = await client.get("/api/v1/jobs/")
    assert answer.status_code == 503
    assert answer.json()["code"] == "redis_unavailable"
