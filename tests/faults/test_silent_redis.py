"""Redis accepts connections but answers nothing: sessions that were ended in the database are still refused."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from embedded.plan import Web
from embedded.ports import HOST
from harness.event_stream import EventStream
from harness.proxy import Proxy
from harness.sign_ins import REVOKED, STUDENT_OF_A_VIDEO, with_token
from harness.system import System, eventually, new_ticket
from harness.watcher import Watcher
from tests.contract.test_ticket_readers import (
    ALL_KNOCKS,
    Visitor,
    at_a_refresh,
    at_the_websocket,
    get_ticket,
    refreshed,
    sign_in,
)

SOON_SECONDS = 60.0
"""A generous limit for closing the connections of an ended session.

It takes 1 s if the process has already noticed that Redis hangs, otherwise 4 s.
"""
REFUSED = {
    "at_the_websocket": "4410",
    "at_the_events": "401",
    "at_the_events_with_the_cookie": "401",
    "at_the_snapshot": "401",
    "at_a_renewal": "503",
    "at_the_progress": "503",
}


@asynccontextmanager
async def stopped(system: System) -> AsyncIterator[tuple[Web, Callable[[], None]]]:
    """Yield a second web process, and a function that makes Redis hang for both processes."""
    assert system.redis.pid is not None
    try:
        with system.another_web() as web:
            yield web, lambda: os.kill(system.redis.pid or 0, signal.SIGSTOP)
            os.kill(system.redis.pid, signal.SIGCONT)
    finally:
        os.kill(system.redis.pid, signal.SIGCONT)


@asynccontextmanager
async def behind_a_proxy(system: System, **environment: str) -> AsyncIterator[tuple[Web, Callable[[], None]]]:
    """Yield a second web process, and a function that makes Redis hang for this process only."""
    async with Proxy(system.redis.port) as proxy:
        web = system.web_of(REDIS_URL=f"redis://{HOST}:{proxy.port}/0", **environment)
        await asyncio.to_thread(web.start)
        try:
            await asyncio.to_thread(web.wait_ready)
            yield web, proxy.stall
        finally:
            proxy.flow()
            await asyncio.to_thread(web.stop)


@asynccontextmanager
async def visitor_at(system: System, web: Web) -> AsyncIterator[Visitor]:
    """Sign in a student, and yield a visitor that uses this session at the given process."""
    ((video_id, *_),) = system.query(STUDENT_OF_A_VIDEO)
    tokens = await sign_in(system)
    async with with_token(system, tokens["access"]) as client:
        ticket, cookie = await get_ticket(client, video_id)
    async with httpx.AsyncClient(base_url=web.address, headers=client.headers, timeout=60) as client:
        yield Visitor(web.address, client, ticket, cookie, video_id)


async def log_out(system: System, visitor: Visitor) -> int:
    """Log the visitor out at `system.address`, which is not the process that it uses. Return the status."""
    async with httpx.AsyncClient(base_url=system.address, headers=visitor.client.headers, timeout=60) as elsewhere:
        return (await elsewhere.post("/api/v1/auth/logout/")).status_code


async def knock_at_all_but_a_refresh(visitor: Visitor) -> dict[str, str]:
    return {knock.__name__: await knock(visitor) for knock, _ in ALL_KNOCKS if knock is not at_a_refresh}


async def requests_of(visitor: Visitor) -> list[int]:
    """Return the statuses of an ordinary request and of a request for a ticket."""
    answers = [await visitor.client.get("/api/v1/jobs/"), await visitor.client.post("/api/v1/realtime/ticket/")]
    return [answer.status_code for answer in answers]


@pytest.mark.parametrize("behind_proxy", [False, True], ids=["stopped", "behind_a_proxy"])
async def test_a_logout_in_another_process_ends_what_is_open_and_its_tickets_are_refused(
    own_system: System, behind_proxy: bool
) -> None:
    async with AsyncExitStack() as stack:
        hanging = behind_a_proxy if behind_proxy else stopped
        web, hang = await stack.enter_async_context(hanging(own_system))
        leaving = await stack.enter_async_context(visitor_at(own_system, web))
        staying = await stack.enter_async_context(visitor_at(own_system, web))
        socket = await stack.enter_async_context(await Watcher.connect(leaving.websocket, leaving.ticket))
        events = await stack.enter_async_context(await EventStream.open(leaving.events, leaving.ticket))
        untouched = await stack.enter_async_context(await Watcher.connect(staying.websocket, staying.ticket))
        for watcher in (socket, events, untouched):
            await watcher.read_until("snapshot")
        assert set((await knock_at_all_but_a_refresh(leaving)).values()) == {"open"}
        of_owner = await new_ticket(await stack.enter_async_context(own_system.client()))

        hang()
        assert await log_out(own_system, leaving) == (204 if behind_proxy else 503)
        assert (await socket.closed(SOON_SECONDS))[0] == REVOKED
        assert (await events.ended(SOON_SECONDS))["code"] == REVOKED

        assert await refreshed(untouched, leaving.ticket) == "ticket_invalid"
        assert await knock_at_all_but_a_refresh(leaving) == REFUSED
        assert await requests_of(leaving) == [503, 503]
        # The process reads the database: valid sessions stay connected, and new ones can connect.
        assert await refreshed(untouched, staying.ticket) == "open"
        async with await Watcher.connect(leaving.websocket, of_owner["ticket"]) as newcomer:
            assert (await newcomer.read())["type"] == "welcome"


async def test_a_session_that_ends_during_the_known_silence_is_closed_by_the_next_check(own_system: System) -> None:
    async with behind_a_proxy(own_system) as (web, hang):
        async with visitor_at(own_system, web) as first, visitor_at(own_system, web) as second:
            one, two = [await Watcher.connect(visitor.websocket, visitor.ticket) for visitor in (first, second)]
            for watcher in (one, two):
                await watcher.read_until("snapshot")
            hang()
            await log_out(own_system, first)
            assert (await one.closed(SOON_SECONDS))[0] == REVOKED
            await log_out(own_system, second)
            assert (await two.closed(SOON_SECONDS))[0] == REVOKED
            assert await at_the_websocket(second) == "4410"


async def test_where_the_database_is_silent_too_no_ticket_is_accepted(own_system: System) -> None:
    url = own_system.database_url
    async with Proxy(own_system.postgres.port) as database:
        through = url.replace(f":{own_system.postgres.port}/", f":{database.port}/")
        assert through != url
        async with (
            behind_a_proxy(own_system, DATABASE_URL=through) as (web, hang),
            visitor_at(own_system, web) as visitor,
            await Watcher.connect(visitor.websocket, visitor.ticket) as watcher,
        ):
            await watcher.read_until("snapshot")
            hang()
            database.stall()
            async with asyncio.timeout(60):  # for two seconds the process relies on what it knew before
                while await refreshed(watcher, visitor.ticket) != "unavailable":
                    await asyncio.sleep(0.1)
            answers = await knock_at_all_but_a_refresh(visitor)
            database.flow()
    assert answers == dict.fromkeys(REFUSED, "503") | {"at_the_websocket": "4003"}


async def test_a_revoked_session_stays_out_after_redis_answers_again(own_system: System) -> None:
    """No relay runs that could write the revocation to Redis. The web processes read it from the database."""
    own_system.worker.stop()
    async with stopped(own_system) as (web, hang), visitor_at(own_system, web) as visitor:
        assert set((await knock_at_all_but_a_refresh(visitor)).values()) == {"open"}
        hang()
        assert await log_out(own_system, visitor) == 503
        assert own_system.redis.pid is not None
        os.kill(own_system.redis.pid, signal.SIGCONT)
        await eventually(lambda: httpx.get(web.address + "/readyz").status_code == 200)
        # Both processes refuse the session: the one that the visitor uses, and the one that handled the logout.
        assert [(await visitor.client.get("/api/v1/jobs/")).status_code for _ in range(3)] == [401] * 3
        async with httpx.AsyncClient(base_url=own_system.address, headers=visitor.client.headers) as there:
            assert (await there.get("/api/v1/jobs/")).status_code == 401
        assert await at_the_websocket(visitor) == "4410"
