"""Tests of pings, of the lifetimes of connections, and of how many subscriptions in Redis the connections need."""

import asyncio
from collections.abc import Iterator

import pytest
from redis import Redis

from embedded.group import Servers
from embedded.scratch import scratch_folder
from harness.system import PATIENCE_SECONDS, System, eventually, new_ticket, running_system
from harness.watcher import Watcher

pytestmark = pytest.mark.every_server


@pytest.fixture(scope="module")
def hasty_system(server: str, template: Servers) -> Iterator[System]:
    """Yield a running product with short pauses between pings and short lifetimes of connections."""
    times = {"REALTIME_PING_SECONDS": "0.5", "REALTIME_CONNECTION_SECONDS": "8"}
    name = f"hasty_{server}_system"
    with scratch_folder("system") as folder, running_system(template, folder, name, server, **times) as running:
        yield running


async def test_a_quiet_connection_gets_pings_with_its_place_and_stays_while_it_answers(hasty_system: System) -> None:
    async with hasty_system.client() as client, await hasty_system.watcher(client) as watcher:
        place = (await watcher.read_until("snapshot"))["place"]
        for _ in range(5):
            ping = await watcher.read_until("ping")
    assert ping == {"type": "ping", "place": place}


async def test_a_connection_that_answers_no_ping_is_closed(hasty_system: System) -> None:
    async with hasty_system.client() as client, await hasty_system.watcher(client) as watcher:
        watcher.answers_pings = False
        code, reason = await watcher.closed()
    assert code == 4001
    assert reason == "no pong for two periods" or not hasty_system.sends_close_reasons
    assert [frame["type"] for frame in watcher.frames].count("ping") == 2
    assert watcher.frames[-1] == {"type": "closing", "code": 4001, "reason": "no pong for two periods"}


async def test_a_connection_ends_with_its_lifetime_unless_it_is_refreshed(hasty_system: System) -> None:
    async with hasty_system.client() as client:
        ticket = await new_ticket(client)
        async with (
            await Watcher.connect(ticket["websocket_url"], ticket["ticket"]) as left,
            await Watcher.connect(ticket["websocket_url"], ticket["ticket"]) as refreshed,
        ):
            await refreshed.read_until("snapshot")
            ends = asyncio.create_task(left.closed())
            answering = asyncio.create_task(refreshed.closed())
            # Before half of the lifetime of a connection is over, one of the two connections gets a new ticket.
            for _ in range(6):
                await asyncio.wait_for(pinged(refreshed), PATIENCE_SECONDS)
            await refreshed.send({"type": "refresh", "ticket": (await new_ticket(client))["ticket"]})
            assert (await ends)[0] == 4100
            seen_when_the_other_ended = len(refreshed.frames)
            await asyncio.wait_for(pinged(refreshed), PATIENCE_SECONDS)
            assert (await answering)[0] == 4100
    assert len(refreshed.frames) > seen_when_the_other_ended
    assert any(frame["type"] == "refreshed" for frame in refreshed.frames)


async def pinged(watcher: Watcher) -> None:
    """Wait until the watcher has received one more ping. The test reads the watcher's frames in a separate task."""
    count = sum(frame["type"] == "ping" for frame in watcher.frames)
    while sum(frame["type"] == "ping" for frame in watcher.frames) == count:
        await asyncio.sleep(0.01)


async def test_a_hundred_connections_of_two_academies_need_two_subscriptions_in_redis(system: System) -> None:
    tenants = system.query("SELECT id FROM tenant WHERE code IN ('hanbit', 'saebom')")
    feeds = [f"tenant:{tenant_id}:feed".encode() for (tenant_id,) in tenants]
    channels = {*feeds, b"realtime:revocations"}  # each web process subscribes to the revocations
    redis: Redis = Redis.from_url(system.redis.url)
    watchers: list[Watcher] = []
    async with system.client("hanbit") as hanbit, system.client("saebom") as saebom:
        try:
            for number in range(100):
                watchers.append(await system.watcher((hanbit, saebom)[number % 2]))
                await watchers[-1].read_until("snapshot")
                if number == 1:
                    links = len(redis.client_list())  # including those of other processes, such as workers
            # The subscriptions of earlier tests end soon after their connections.
            await eventually(lambda: set(redis.pubsub_channels("*")) == channels, what="two subscriptions")
            grown = len(redis.client_list()) - links
        finally:
            for watcher in watchers:
                await watcher.socket.close()
    redis.close()
    assert grown < 10
