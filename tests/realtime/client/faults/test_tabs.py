"""Tabs of one browser share a connection. When any of them is closed, the others still have a connection."""

import asyncio
import re
from secrets import token_hex

import httpx
import pytest

from embedded.plan import Web
from harness.system import System, eventually, tenant_of
from realtime.publish import Publisher
from tests.realtime.client.faults.watching import Tabs

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
COUNT = 5000
GOES_UP = """(topic) => {
  const counts = seen.filter((record) => record.topic === topic).map(({ data }) => data.count);
  return counts.every((count, index) => index === 0 || count > counts[index - 1]);
}"""


def connections(web: Web) -> int:
    """Return how many WebSockets are open at the server."""
    metrics = httpx.get(f"{web.address}/metrics").text
    (count,) = re.findall(r'^realtime_connections\{transport="websocket"\} ([\d.]+)$', metrics, re.MULTILINE)
    return int(float(count))


def publish_counts(system: System, topic: str) -> None:
    """Publish one record of a job for each count from 1 to COUNT. The last record ends the job."""
    tenant_id = tenant_of(system, "hanbit")
    with Publisher.from_url(system.redis.url) as publisher:
        for count in range(1, COUNT + 1):
            status = "DONE" if count == COUNT else "PROCESSING"
            publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status=status, data={"count": count})


async def test_seven_tabs_of_one_academy_hold_one_connection_and_another_academy_has_its_own(
    tabs: Tabs, damaged: System
) -> None:
    with damaged.another_web() as web:
        here = [await tabs.watch(web.address) for _ in range(7)]
        await eventually(lambda: connections(web) == 1, what="one connection")
        there = await tabs.watch(web.address, "saebom")
        await eventually(lambda: connections(web) == 2, what="two connections")
        mine, theirs = f"job:{token_hex(4)}", f"job:{token_hex(4)}"
        await here[0].publish(mine, "DONE")
        await there.publish(theirs, "DONE")
        for tab in here:
            await tab.until(f"feed.records.has('{mine}')")
        await there.until(f"feed.records.has('{theirs}')")
        assert not await there.tab.evaluate("(topic) => feed.records.has(topic)", mine)
        for tab in here:
            assert not await tab.tab.evaluate("(topic) => feed.records.has(topic)", theirs)


async def test_a_count_to_5000_never_goes_back_or_repeats_while_the_tabs_with_the_connection_close(
    tabs: Tabs, damaged: System
) -> None:
    opened = [await tabs.watch() for _ in range(4)]
    topic = f"job:{token_hex(4)}"
    counting = asyncio.create_task(asyncio.to_thread(publish_counts, damaged, topic))
    for handover in (1000, 3000):
        await opened[-1].until(f"feed.records.get('{topic}')?.data.count >= {handover}")
        await opened.pop(0).close()  # the oldest tab has the connection
    await counting
    for tab in opened:
        await tab.until(f"feed.records.get('{topic}')?.status === 'DONE'")
        assert await tab.tab.evaluate(GOES_UP, topic)
        assert await tab.tab.evaluate("(topic) => feed.records.get(topic).data.count", topic) == COUNT
