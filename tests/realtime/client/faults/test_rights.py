"""Rights end and limits are reached: the client says so, and continues as soon as it may."""

import asyncio
import time
from contextlib import AsyncExitStack, suppress

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from embedded.ports import HOST
from harness.proxy import Proxy
from harness.system import System, tenant_of
from harness.watcher import Watcher
from realtime.connect.tickets import Ticket, issue_ticket
from realtime.records.topics import TopicFilter
from tests.realtime.client.faults.watching import Tabs

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
WINDOWS = 20


async def keep_open(window: Watcher) -> None:
    """Answer the server's pings on a connection until the connection is closed."""
    with suppress(ConnectionClosed):
        while True:
            await window.read()


async def test_a_revoked_sign_in_stops_the_feed_and_what_waits_for_an_end(tabs: Tabs, damaged: System) -> None:
    tab = await tabs.watch()
    topic = await tab.begin()
    async with damaged.client() as client:
        ended = await client.post("/api/v1/auth/logout/")
    damaged.forget_tokens()
    assert ended.status_code == 204, ended.text
    await tab.is_in("stopped")
    refused = "(topic) => ends[topic].then(() => null, ({ name, code }) => `${name} ${code}`)"
    code = await tab.tab.evaluate(refused, topic)
    assert code == "FeedError 4410"
    before = await tab.tickets()
    await tab.tab.evaluate("() => feed.reconnect()")
    assert await tab.tickets() == before, "a feed that was stopped asks for no ticket"


async def test_a_ticket_that_has_expired_is_replaced(tabs: Tabs, damaged: System) -> None:
    tenant_id = tenant_of(damaged, "hanbit")
    issued_at = int(time.time()) - 3600
    rights = Ticket(tenant_id, 1, "s", "owner", TopicFilter.of(["*"]), 3600, issued_at=issued_at)
    expired = issue_ticket(rights, damaged.ticket_key())
    async with Proxy(damaged.web.port) as network:
        tab = await tabs.watch(f"http://{HOST}:{network.port}")
        topic = await tab.begin()
        await tab.tab.evaluate("(ticket) => { window.held = ticket; }", expired)  # as if it was kept while offline
        network.cut()
        await tab.until("states.some(({ code }) => code === 4100)")
        await tab.publish(topic, "DONE")
        assert await tab.end_of(topic) == "DONE"
        await tab.is_in("live")


async def test_the_21st_window_says_that_there_are_too_many_and_connects_when_another_closes(
    tabs: Tabs, damaged: System
) -> None:
    with damaged.another_web(REALTIME_MAX_CONNECTIONS_PER_USER=f"{WINDOWS}") as web:
        async with AsyncExitStack() as windows, httpx.AsyncClient(base_url=web.address) as client:
            client.headers["Authorization"] = f"Bearer {damaged.access_token('hanbit', 'owner')}"
            opened: list[Watcher] = []
            reading: list[asyncio.Task[None]] = []
            for _ in range(WINDOWS):  # each answers its pings from the beginning
                opened.append(await windows.enter_async_context(await damaged.watcher(client)))
                reading.append(asyncio.create_task(keep_open(opened[-1])))
            tab = await tabs.watch(web.address, wait=False)
            look = "(window.refusal = [feed.status.reason, feed.status.nextAt > Date.now()])"
            await tab.until(f"feed.state === 'refused' && {look}")
            assert await tab.tab.evaluate("() => refusal") == ["too_many_user", True]
            await opened[0].socket.close()
            await reading[0]
            await tab.is_in("live")
            topic = await tab.begin()
            await tab.publish(topic, "DONE")
            assert await tab.end_of(topic) == "DONE"
        await asyncio.gather(*reading)
