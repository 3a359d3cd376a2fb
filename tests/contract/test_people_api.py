"""Tests of the people API with real servers: ended sessions and connections, simultaneous requests, the audit log."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from typing import Any

import httpx
import jwt
import psycopg
import pytest

from harness.event_stream import EventStream
from harness.sign_ins import REVOKED, SOON_SECONDS, watching, with_token
from harness.system import System, eventually, new_ticket, tenant_of

PEOPLE = "/api/v1/people/"
CHOSEN = "호랑이 담배 피우던 시절 이야기"
_numbers = count(1)


class Person:
    """An account that a test has added, and an HTTP client that is signed in to it."""

    def __init__(self, added: dict[str, Any], tokens: dict[str, str], client: httpx.AsyncClient) -> None:
        self.id: int = added["id"]
        self.username: str = added["username"]
        self.path = f"{PEOPLE}{self.id}/"
        self.tokens, self.client = tokens, client

    async def refresh(self) -> int:
        answer = await self.client.post("/api/v1/auth/refresh/", json={"refresh": self.tokens["refresh"]})
        return answer.status_code


async def add(client: httpx.AsyncClient, role: str = "teacher") -> dict[str, Any]:
    new = {"role": role, "name": "새 사람", "username": f"people-{next(_numbers)}"}
    answer = await client.post(PEOPLE, json=new)
    assert answer.status_code == 201, answer.text
    added: dict[str, Any] = answer.json()
    return added


async def code_for(client: httpx.AsyncClient, user_id: int) -> str:
    answer = await client.post(f"{PEOPLE}{user_id}/code/")
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    code: str = answer.json()["code"]
    return code


async def sign_in(system: System, username: str, password: str) -> httpx.Response:
    account = {"tenant": "hanbit", "username": username, "password": password}
    async with httpx.AsyncClient(base_url=system.address, timeout=30) as client:
        return await client.post("/api/v1/auth/token/", json=account)


@asynccontextmanager
async def person(system: System, owner: httpx.AsyncClient, role: str = "teacher") -> AsyncIterator[Person]:
    """Add an account, sign in to it by a code, and choose a password. Yield the account with a signed-in client."""
    added = await add(owner, role)
    first = (await sign_in(system, added["username"], await code_for(owner, added["id"]))).json()
    async with with_token(system, first["access"]) as client:
        changed = await client.post("/api/v1/auth/password/", json={"new_password": CHOSEN})
    assert changed.status_code == 200, changed.text
    tokens = changed.json()
    async with with_token(system, tokens["access"]) as client:
        yield Person(added, tokens, client)


@contextmanager
def locked(system: System, statement: str, *values: object) -> Iterator[Callable[[int], bool]]:
    """Lock rows until the block ends. Yield a function that returns whether at least a given number of queries wait."""
    with psycopg.connect(system.database_url) as holder, psycopg.connect(system.database_url, autocommit=True) as other:
        holder.execute(statement, values)

        def waiting(number: int) -> bool:
            row = other.execute(WAITING)
            return int(row.fetchone()[0]) >= number  # type: ignore[index]

        yield waiting


async def at_once(
    system: System, statement: str, values: tuple[object, ...], requests: list[Awaitable[httpx.Response]]
) -> list[httpx.Response]:
    """Send all requests while `statement` locks rows. Release the rows when all requests wait. Return the answers."""
    with locked(system, statement, *values) as waiting:
        running = asyncio.gather(*requests)
        await eventually(lambda: waiting(len(requests)), 10.0, "both requests to wait for the lock")
    return await running


async def test_closing_an_account_ends_its_sign_in_and_its_open_feeds_at_once(system: System) -> None:
    async with system.client() as owner, person(system, owner) as teacher:
        ticket = await new_ticket(teacher.client)
        async with (
            await watching(system, teacher.client) as watcher,
            await EventStream.open(ticket["events_url"], ticket["ticket"]) as events,
            await watching(system, owner) as untouched,
        ):
            await events.read_until("snapshot")
            assert (await owner.post(f"{teacher.path}close/")).json()["active"] is False
            assert (await watcher.closed(SOON_SECONDS))[0] == REVOKED
            assert (await events.ended(SOON_SECONDS))["code"] == REVOKED
            assert untouched.socket.state.name == "OPEN"
        assert (await teacher.client.get("/api/v1/jobs/")).status_code == 401
        assert await teacher.refresh() == 401
        assert (await sign_in(system, teacher.username, CHOSEN)).status_code == 401
        assert (await owner.post(f"{teacher.path}reopen/")).json()["active"] is True
        assert await teacher.refresh() == 401
        assert (await sign_in(system, teacher.username, CHOSEN)).status_code == 200


async def test_closing_an_account_needs_no_relay(own_system: System) -> None:
    """The web process that closes the account publishes the revocation itself, so no worker has to run."""
    async with own_system.client() as owner, person(own_system, owner) as teacher:
        own_system.worker.stop()
        async with await watching(own_system, teacher.client) as watcher:
            assert (await owner.post(f"{teacher.path}close/")).status_code == 200
            assert (await watcher.closed(SOON_SECONDS))[0] == REVOKED


async def test_another_role_ends_the_feed_and_the_next_token_has_it(system: System) -> None:
    async with system.client() as owner, person(system, owner, "staff") as colleague:
        async with await watching(system, colleague.client) as watcher:
            assert (await owner.patch(colleague.path, json={"role": "parent"})).json()["role"] == "parent"
            assert (await watcher.closed(SOON_SECONDS))[0] == REVOKED
        assert (await colleague.client.get(PEOPLE)).status_code == 401
        answer = await colleague.client.post("/api/v1/auth/refresh/", json={"refresh": colleague.tokens["refresh"]})
        claims = jwt.decode(answer.json()["access"], options={"verify_signature": False})
        assert claims["role"] == "parent"
        async with with_token(system, answer.json()["access"]) as again:
            assert (await again.get(PEOPLE)).status_code == 403


async def test_a_code_ends_the_other_sign_ins_and_their_feeds(system: System) -> None:
    async with system.client() as owner, person(system, owner) as teacher:
        async with await watching(system, teacher.client) as watcher:
            code = await code_for(owner, teacher.id)
            assert (await teacher.client.get("/api/v1/jobs/")).status_code == 200
            signed_in = await sign_in(system, teacher.username, code)
            assert signed_in.status_code == 200
            assert (await watcher.closed(SOON_SECONDS))[0] == REVOKED
        assert await teacher.refresh() == 401
        async with with_token(system, signed_in.json()["access"]) as client:
            ticket = await client.post("/api/v1/realtime/ticket/", json={})
            assert ticket.status_code == 403
            sessions = await client.get("/api/v1/auth/sessions/")
            assert (sessions.status_code, sessions.json()["code"]) == (403, "password_change_needed")


# Two requests at the same moment.

WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pg_blocking_pids(pid) <> '{}'
"""
LOCK_TENANT = "SELECT 1 FROM tenant WHERE id = %s FOR UPDATE"
LOCK_USER = 'SELECT 1 FROM "user" WHERE id = %s FOR UPDATE'


@pytest.mark.parametrize("deed", ["demote", "close"])
async def test_two_owners_who_take_each_others_rights_leave_one_owner(system: System, deed: str) -> None:
    async with system.client() as owner, person(system, owner, "owner") as one, person(system, owner, "owner") as two:

        async def strike(striker: Person, other: Person) -> httpx.Response:
            if deed == "close":
                return await striker.client.post(f"{other.path}close/")
            return await striker.client.patch(other.path, json={"role": "teacher"})

        tenant = (tenant_of(system, "hanbit"),)
        answers = await at_once(system, LOCK_TENANT, tenant, [strike(one, two), strike(two, one)])
        assert sorted(answer.status_code for answer in answers) == [200, 403]
        states = [(await owner.get(each.path)).json() for each in (one, two)]
        assert [state["role"] == "owner" and state["active"] for state in states].count(True) == 1
        for each in (one, two):
            assert (await owner.post(f"{each.path}close/")).status_code == 200


async def test_a_code_that_is_used_twice_at_once_signs_in_once(system: System) -> None:
    async with system.client() as owner:
        added = await add(owner)
        code = await code_for(owner, added["id"])
        tries = [sign_in(system, added["username"], code) for _ in range(2)]
        answers = await at_once(system, LOCK_USER, (added["id"],), list(tries))
        assert sorted(answer.status_code for answer in answers) == [200, 401]
        statement = "SELECT count(*) FROM login_session WHERE user_id = %s AND ended_at IS NULL"
        assert system.query(statement, added["id"]) == [(1,)]


async def test_a_code_that_is_used_while_its_account_is_closed_opens_nothing(system: System) -> None:
    async with system.client() as owner:
        added = await add(owner)
        code = await code_for(owner, added["id"])
        close = owner.post(f"{PEOPLE}{added['id']}/close/")
        closed, used = await at_once(
            system, LOCK_USER, (added["id"],), [close, sign_in(system, added["username"], code)]
        )
        assert closed.status_code == 200
        statement = "SELECT count(*) FROM login_session WHERE user_id = %s AND ended_at IS NULL"
        assert system.query(statement, added["id"]) == [(0,)]
        if used.status_code == 200:  # it was used first, and the session ended with the account
            async with with_token(system, used.json()["access"]) as client:
                answer = await client.post("/api/v1/auth/password/", json={"new_password": CHOSEN})
            assert answer.status_code == 401
        assert (await owner.post(f"{PEOPLE}{added['id']}/reopen/")).status_code == 200
        assert (await sign_in(system, added["username"], code)).status_code == 401


async def test_a_code_that_is_issued_while_its_account_becomes_an_owners_is_not_valid(system: System) -> None:
    async with system.client() as owner, system.client(username="staff") as staff:
        added = await add(owner)
        promote = owner.patch(f"{PEOPLE}{added['id']}/", json={"role": "owner"})
        tenant = (tenant_of(system, "hanbit"),)
        issued, promoted = await at_once(
            system, LOCK_TENANT, tenant, [staff.post(f"{PEOPLE}{added['id']}/code/"), promote]
        )
        assert promoted.status_code == 200
        assert issued.status_code in {201, 403}
        if issued.status_code == 201:
            assert (await sign_in(system, added["username"], issued.json()["code"])).status_code == 401
        assert system.query("SELECT count(*) FROM one_time_code WHERE user_id = %s", added["id"]) == [(0,)]
        assert (await owner.post(f"{PEOPLE}{added['id']}/close/")).status_code == 200


async def test_a_lock_that_somebody_keeps_is_answered_with_503_and_changes_nothing(system: System) -> None:
    async with system.client() as owner:
        added = await add(owner)
        with locked(system, LOCK_TENANT, tenant_of(system, "hanbit")):
            answer = await owner.post(f"{PEOPLE}{added['id']}/close/")
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert (await owner.get(f"{PEOPLE}{added['id']}/")).json()["active"] is True


# The audit log, and requests from another academy.


async def test_the_audit_log_has_each_deed_and_each_look_over_the_wall(own_system: System) -> None:
    async with own_system.client() as owner, own_system.client("saebom") as stranger:
        added = await add(owner)
        path = f"{PEOPLE}{added['id']}/"
        await owner.patch(path, json={"name": "다른 이름", "role": "parent"})
        code = await code_for(owner, added["id"])
        assert (await sign_in(own_system, added["username"], code)).status_code == 200
        own_system.query("UPDATE one_time_code SET expires_at = now() RETURNING 1")
        late = await code_for(owner, added["id"])
        own_system.query("UPDATE one_time_code SET expires_at = now() RETURNING 1")
        assert (await sign_in(own_system, added["username"], late)).json()["code"] == "code_expired"
        await owner.post(f"{path}close/")
        await owner.post(f"{path}reopen/")
        for answer in (
            await stranger.get(path),
            await stranger.patch(path, json={"role": "owner"}),
            await stranger.post(f"{path}code/"),
            await stranger.post(f"{path}close/"),
        ):
            assert answer.status_code == 404
        assert "새 사람" not in (await stranger.get(PEOPLE, params={"page_size": 200})).text
    text = (own_system.folder / "web.log").read_text(encoding="utf-8")
    lines = [line for line in map(json.loads, text.splitlines()) if line.get("logger") == "academy.audit"]
    subject = f"user:{added['id']}"
    concerned = [line for line in lines if line["subject"] == subject]
    assert [line["event"] for line in concerned] == [
        "person_added",
        "person_renamed",
        "person_role_changed",
        "code_issued",
        "signed_in",
        "code_issued",
        "sign_in_failed",
        "person_closed",
        "person_reopened",
        *["other_tenant_refused"] * 4,
    ]
    owner_id = jwt.decode(own_system.access_token("hanbit", "owner"), options={"verify_signature": False})["user"]
    deeds = [line for line in concerned if line["event"].startswith(("person", "code"))]
    assert {(line["user"], line["outcome"], line["address"]) for line in deeds} == {(owner_id, "ok", "127.0.0.1")}
    changed = concerned[2]
    assert (changed["role_before"], changed["role"]) == ("teacher", "parent")
    assert (concerned[4]["by"], concerned[6]["reason"]) == ("code", "code_expired")
    for secret in (code, code.replace(" ", ""), late, late.replace(" ", ""), "다른 이름"):
        assert secret not in text
