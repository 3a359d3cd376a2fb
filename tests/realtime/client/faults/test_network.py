"""The network fails in many ways: the client notices each, tries again with growing waits, and misses nothing."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from embedded.ports import HOST
from harness.proxy import Proxy
from harness.system import System
from tests.realtime.client.faults.watching import Tabs

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def network(damaged: System) -> AsyncIterator[Proxy]:
    async with Proxy(damaged.web.port) as proxy:
        yield proxy


def address_of(network: Proxy) -> str:
    return f"http://{HOST}:{network.port}"


async def test_a_network_that_swallows_everything_is_noticed_by_its_silence(tabs: Tabs, network: Proxy) -> None:
    tab = await tabs.watch(address_of(network))
    topic = await tab.begin()
    network.stall()
    await tab.is_in("delayed", "offline")
    await tab.publish(topic, "DONE")
    network.cut()
    network.flow()
    assert await tab.end_of(topic) == "DONE"
    await tab.is_in("live")


async def test_without_a_network_the_waits_grow_and_the_attempts_are_counted(tabs: Tabs, network: Proxy) -> None:
    tab = await tabs.watch(address_of(network))
    topic = await tab.begin()
    before = await tab.tickets()
    network.refuse()
    # Count the tickets at the same moment as the attempts: the next attempt may follow at once.
    counted = "(window.counted = [tickets, states.at(-1).attempt])"
    await tab.until(f"states.at(-1).attempt >= 4 && feed.state === 'offline' && {counted}")
    tickets, attempts = await tab.tab.evaluate("() => counted")
    waits = await tab.tab.evaluate(
        "() => states.filter(({ nextAt }) => nextAt).map(({ attempt, nextAt }) => [attempt, nextAt - Date.now()])"
    )
    assert [attempt for attempt, _ in waits] == sorted({attempt for attempt, _ in waits}), "one wait for each attempt"
    assert tickets - before <= attempts, "no attempt that the status does not count"
    assert waits[-1][1] <= 60_000
    await tab.publish(topic, "DONE")
    network.refuse(refusing=False)
    await tab.tab.evaluate("() => feed.reconnect()")
    assert await tab.end_of(topic) == "DONE"
    await tab.is_in("live")
