"""Tests that every ticket reader refuses revoked tickets, and accepts only tickets that were made for it."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed

from embedded.home import PROJECT
from harness.event_stream import EventStream, RefusedStreamError
from harness.proxy import Proxy
from harness.sign_ins import STUDENT_OF_A_VIDEO, account_of, with_token
from harness.system import System, eventually, new_ticket
from harness.watcher import LONG_PATIENCE_SECONDS, Watcher
from realtime.web.ticket_readers import TicketReader

TICKET = "/api/v1/realtime/ticket/"
COOKIE = re.compile(r"((?:__Secure-)?realtime_hanbit)=([^;]+);")


@dataclass
class Visitor:
    """A user with a ticket, a ticket from a cookie, and a client that has an access token."""

    address: str
    client: httpx.AsyncClient
    ticket: str
    cookie: str
    video_id: int

    @property
    def websocket(self) -> str:
        return self.address.replace("http", "ws") + "/ws/events/"

    @property
    def events(self) -> str:
        return self.address + "/api/v1/events/"

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.ticket}"}


async def at_the_websocket(visitor: Visitor) -> str:
    async with await Watcher.connect(visitor.websocket, visitor.ticket) as watcher:
        with suppress(ConnectionClosed):
            if (await watcher.read())["type"] == "welcome":
                return "open"
        return str((await watcher.closed())[0])


async def at_the_events(visitor: Visitor, **sent: Any) -> str:
    try:
        async with await EventStream.open(visitor.events, **(sent or {"ticket": visitor.ticket})) as events:
            assert (await events.read())["type"] == "welcome"
            return "open"
    except RefusedStreamError as refused:
        return str(refused.answer.status_code)


async def at_the_events_with_the_cookie(visitor: Visitor) -> str:
    return await at_the_events(
        visitor, headers={"Cookie": f"realtime_hanbit={visitor.cookie}", "Last-Event-ID": "x"}, tenant="hanbit"
    )


async def at_the_snapshot(visitor: Visitor) -> str:
    async with httpx.AsyncClient(timeout=30) as bare:
        answer = await bare.get(visitor.address + "/api/v1/realtime/snapshot/", headers=visitor.bearer)
    return "open" if answer.status_code == 200 else str(answer.status_code)


async def at_a_refresh(visitor: Visitor) -> str:
    fresh = await new_ticket(visitor.client, {"topics": [f"video:{visitor.video_id}"]})
    async with await Watcher.connect(visitor.websocket, fresh["ticket"]) as watcher:
        await watcher.read_until("snapshot")
        return await refreshed(watcher, visitor.ticket)


async def refreshed(watcher: Watcher, ticket: str) -> str:
    await watcher.send({"type": "refresh", "ticket": ticket})
    async with watcher.waiting_for("the answer to a refresh", LONG_PATIENCE_SECONDS):
        while (frame := await watcher.read())["type"] not in {"refreshed", "error"}:
            pass
    return "open" if frame["type"] == "refreshed" else str(frame["code"])


async def at_a_renewal(visitor: Visitor) -> str:
    answer = await visitor.client.post(TICKET, json={"renew": visitor.ticket})
    return "open" if answer.status_code == 200 else str(answer.status_code)


async def at_the_progress(visitor: Visitor) -> str:
    path = f"/media/videos/{visitor.video_id}/progress/"
    answer = await visitor.client.get(path, headers={"X-Realtime-Ticket": visitor.ticket})
    return "open" if answer.status_code == 200 else str(answer.status_code)


KNOCKS: dict[TicketReader, list[tuple[Callable[[Visitor], Awaitable[str]], str]]] = {
    TicketReader.WEBSOCKET: [(at_the_websocket, "4410")],
    TicketReader.EVENTS: [(at_the_events, "401"), (at_the_events_with_the_cookie, "401")],
    TicketReader.SNAPSHOT: [(at_the_snapshot, "401")],
    TicketReader.REFRESH: [(at_a_refresh, "ticket_invalid")],
    TicketReader.RENEWAL: [(at_a_renewal, "401")],
    TicketReader.PROGRESS: [(at_the_progress, "403")],
}
ALL_KNOCKS = [knock for reader in TicketReader for knock in KNOCKS[reader]]


async def knock_at_all(visitor: Visitor) -> dict[str, str]:
    return {knock.__name__: await knock(visitor) for knock, _ in ALL_KNOCKS}


async def sign_in(system: System) -> dict[str, str]:
    async with httpx.AsyncClient(base_url=system.address, timeout=30) as bare:
        answer = await bare.post("/api/v1/auth/token/", json=account_of("student"))
    assert answer.status_code == 200, answer.text
    tokens: dict[str, str] = answer.json()
    return tokens


async def get_ticket(client: httpx.AsyncClient, video_id: int) -> tuple[str, str]:
    """Return a ticket, and the ticket in the cookie that the same answer sets."""
    answer = await client.post(TICKET, json={"topics": [f"video:{video_id}"], "cookie": True})
    assert answer.status_code == 200, answer.text
    found = COOKIE.match(answer.headers["set-cookie"])
    assert found is not None
    return answer.json()["ticket"], found[2]


@asynccontextmanager
async def visitor_of(system: System, video_id: int) -> AsyncIterator[Visitor]:
    tokens = await sign_in(system)
    async with with_token(system, tokens["access"]) as client:
        yield Visitor(system.address, client, *await get_ticket(client, video_id), video_id)


def test_every_ticket_reader_is_tested_here_and_used_in_one_place() -> None:
    """To accept tickets in a new place, add a `TicketReader` for it, and a line to `KNOCKS`."""
    code = {
        path: path.read_text()
        for folder in ("realtime", "apps", "academy")
        for path in (PROJECT / folder).rglob("*.py")
    }
    module = PROJECT / "realtime" / "web" / "ticket_readers.py"
    reading = [
        path
        for path, text in code.items()
        if re.search(r"\b(read_(cookie_)?ticket|read_rights|read_renewable)\(", text)
    ]
    assert sorted(reading) == sorted([module, PROJECT / "realtime" / "connect" / "tickets.py"])
    assert set(KNOCKS) == set(TicketReader)
    uses = {
        reader: [path for path, text in code.items() if path != module for _ in uses_of(reader, text)]
        for reader in TicketReader
    }
    assert {reader: len(places) for reader, places in uses.items()} == dict.fromkeys(TicketReader, 1), uses
    unnamed = [path for path, text in code.items() if "jwt.decode(" in text]
    assert {path.relative_to(PROJECT) for path in unnamed} == {
        Path("realtime/connect/tickets.py"),
        Path("apps/core/tokens.py"),
    }


def uses_of(reader: TicketReader, text: str) -> list[str]:
    """Return the calls that read a ticket with this reader."""
    return re.findall(rf"\b(?:read|read_handshake|admit)\(TicketReader\.{reader.name}\b", text)


async def test_no_ticket_is_accepted_after_a_revocation(own_system: System) -> None:
    """The client gets a new access token after the revocation, so that every refusal is due to the ticket."""
    ((video_id, enrolment_id, tenant_id, user_id),) = own_system.query(STUDENT_OF_A_VIDEO)

    async def log_out(held: Visitor) -> None:
        assert (await held.client.post("/api/v1/auth/logout/")).status_code == 204

    async def revoke(subject: str) -> None:
        line = f"from realtime.outbox.revoke import revoke; revoke({tenant_id}{subject})"
        await asyncio.to_thread(own_system.shell, line)

    async def end_enrolment(_held: Visitor) -> None:
        async with own_system.client() as owner:
            assert (await owner.delete(f"/api/v1/enrolments/{enrolment_id}/")).status_code == 204

    revocations: dict[str, Callable[[Visitor], Awaitable[None]]] = {
        "session": log_out,
        "user": lambda _: revoke(f", user_id={user_id}"),
        "tenant": lambda _: revoke(""),
    }
    refused = {knock.__name__: answer for knock, answer in ALL_KNOCKS}
    for subject, revoked in revocations.items():
        async with visitor_of(own_system, video_id) as held:
            assert set((await knock_at_all(held)).values()) == {"open"}
            await revoked(held)
            async with visitor_of(own_system, video_id) as newer:
                held.client = newer.client
                assert await knock_at_all(held) == refused, subject
    async with visitor_of(own_system, video_id) as held:
        await end_enrolment(held)
        tokens = await sign_in(own_system)
        async with with_token(own_system, tokens["access"]) as student:
            held.client = student
            answers = {knock.__name__: await knock(held) for knock, _ in ALL_KNOCKS if knock is not at_a_refresh}
        assert answers == {name: answer for name, answer in refused.items() if name != "at_a_refresh"}


async def test_if_the_marks_cannot_be_read_no_ticket_is_accepted(own_system: System) -> None:
    """Redis was killed, and the database accepts no connections."""
    ((video_id, *_),) = own_system.query(STUDENT_OF_A_VIDEO)
    async with Proxy(own_system.postgres.port) as database, visitor_of(own_system, video_id) as visitor:
        through = own_system.database_url.replace(f":{own_system.postgres.port}/", f":{database.port}/")
        with own_system.another_web(DATABASE_URL=through) as web:
            visitor.address = web.address
            async with await Watcher.connect(visitor.websocket, visitor.ticket) as watcher:
                await watcher.read_until("snapshot")
                database.refuse()
                own_system.redis.kill()
                await eventually(lambda: httpx.get(web.address + "/readyz").status_code == 503)
                async with watcher.waiting_for("a refresh that is refused", LONG_PATIENCE_SECONDS):
                    while await refreshed(watcher, visitor.ticket) == "open":
                        await asyncio.sleep(0.2)  # the process has not yet noticed the end of Redis
                assert await refreshed(watcher, visitor.ticket) == "unavailable"
            answers = {knock.__name__: await knock(visitor) for knock, _ in ALL_KNOCKS if knock is not at_a_refresh}
    assert answers == {
        "at_the_websocket": "4003",
        "at_the_events": "503",
        "at_the_events_with_the_cookie": "503",
        "at_the_snapshot": "503",
        "at_a_renewal": "503",
        "at_the_progress": "503",
    }


async def test_a_ticket_is_not_accepted_as_a_cookie_nor_the_reverse(system: System) -> None:
    async with system.client() as client:
        answer = await client.post(TICKET, json={"cookie": True})
        found = COOKIE.match(answer.headers["set-cookie"])
        assert found is not None
        ticket, cookie = answer.json()["ticket"], found[2]
        swapped = Visitor(system.address, client, cookie, ticket, 1)
        assert await at_the_websocket(swapped) == "4401"
        assert await at_the_events(swapped) == "401"
        assert await at_the_events_with_the_cookie(swapped) == "401"
        assert await at_the_snapshot(swapped) == "401"
        assert await at_a_renewal(swapped) == "401"
        assert await at_the_snapshot(Visitor(system.address, client, ticket, cookie, 1)) == "open"
        # The cookie is not accepted under the name for another academy, or under the name that is used with TLS.
        for name, tenant in (("realtime_saebom", "saebom"), ("__Secure-realtime_hanbit", "hanbit")):
            headers = {"Cookie": f"{name}={cookie}", "Last-Event-ID": "x"}
            assert await at_the_events(swapped, headers=headers, tenant=tenant) == "401"
        async with await Watcher.connect(swapped.websocket, ticket) as watcher:
            await watcher.read_until("snapshot")
            assert await refreshed(watcher, cookie) == "ticket_invalid"


async def test_only_the_event_stream_accepts_a_cookie(system: System) -> None:
    async with system.client() as client, httpx.AsyncClient(base_url=system.address) as bare:
        answer = await client.post(TICKET, json={"cookie": True})
        cookie = answer.headers["set-cookie"].partition(";")[0]
        polled = await bare.get("/api/v1/realtime/snapshot/?tenant=hanbit", headers={"Cookie": cookie})
    assert (polled.status_code, polled.json()["message"]) == (
        401,
        "No ticket was sent: send Authorization: Bearer <ticket>.",
    )
