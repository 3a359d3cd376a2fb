"""Servers stop, hang and fail over: the client tells its state, reconnects by itself, and learns how jobs ended."""

import asyncio

import pytest

from embedded.group import Servers
from embedded.scratch import scratch_folder
from harness.redis_pair import RedisPair
from harness.system import System
from tests.contract.test_hung_redis import hanging
from tests.faults.chaos import faulty_webs
from tests.realtime.client.faults.watching import Browser, Tabs

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_a_job_that_ends_while_the_server_is_down_is_learnt_when_it_is_back(tabs: Tabs, damaged: System) -> None:
    tab = await tabs.watch()
    topic = await tab.begin()
    await asyncio.to_thread(damaged.web.stop)
    await tab.is_in("offline")
    await tab.publish(topic, "DONE")
    await asyncio.to_thread(damaged.web.start)
    await asyncio.to_thread(damaged.web.wait_ready)
    assert await tab.end_of(topic) == "DONE"
    await tab.is_in("live")


async def test_a_killed_server_is_noticed_at_once(tabs: Tabs, damaged: System) -> None:
    tab = await tabs.watch()
    topic = await tab.begin()
    await asyncio.to_thread(damaged.web.kill)
    await tab.is_in("offline")
    await asyncio.to_thread(damaged.web.start)
    await tab.is_in("live")
    await tab.publish(topic, "FAILED")
    assert await tab.end_of(topic) == "FAILED"


async def test_while_redis_restarts_the_page_is_delayed_and_then_live_again(tabs: Tabs, damaged: System) -> None:
    tab = await tabs.watch()
    topic = await tab.begin()
    await asyncio.to_thread(damaged.redis.stop)
    await tab.is_in("delayed")
    await asyncio.to_thread(damaged.redis.start)
    await asyncio.to_thread(damaged.redis.wait_ready)
    await tab.is_in("live")
    await tab.publish(topic, "DONE")
    assert await tab.end_of(topic) == "DONE"


async def test_while_redis_hangs_the_page_is_delayed_and_then_live_again(tabs: Tabs, damaged: System) -> None:
    tab = await tabs.watch()
    topic = await tab.begin()
    with hanging(damaged):
        await tab.is_in("delayed")
    await tab.is_in("live")
    await tab.publish(topic, "CANCELLED")
    assert await tab.end_of(topic) == "CANCELLED"


async def test_after_a_failover_and_back_the_page_is_live_and_learns_the_end(
    driven: Browser, template: Servers
) -> None:
    with scratch_folder("failover") as folder:
        system = System(template, folder, "failover", REALTIME_PING_SECONDS="1")
        pair = RedisPair(folder, system.redis)
        async with faulty_webs(system, pair, 0):
            tabs = Tabs(driven, system, pair.url)
            tab = await tabs.watch()
            first = await tab.begin()
            await pair.fail_over()
            await tab.publish(first, "DONE")
            assert await tab.end_of(first) == "DONE"
            await pair.replicate()
            await pair.promote()
            second = await tab.begin()
            await tab.publish(second, "DONE")
            assert await tab.end_of(second) == "DONE"
            await tab.is_in("live")
            await tabs.close()
