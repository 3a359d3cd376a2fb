"""Tests of figures: who may watch them, whether they add up all processes, and how many SQL statements they cost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from redis import Redis

from embedded.plan import Web
from harness.system import System, eventually, new_ticket, tenant_of
from harness.watcher import Watcher
from realtime.connect.tickets import Ticket, issue_ticket
from realtime.publish import Publisher
from realtime.records.keys import SYSTEM_TENANT, Keys
from realtime.records.topics import STATS, TopicFilter

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEBSOCKET = "/ws/events/"
STEADY = 3
"""After how many equal measurements a number is considered steady."""


@pytest.fixture(scope="module")
def second(system: System) -> Iterator[Web]:
    with system.another_web() as web:
        yield web


def url(address: str) -> str:
    return address.replace("http", "ws", 1) + WEBSOCKET


async def operator(system: System, address: str = "") -> Watcher:
    """Return a client that watches the figures of the whole system, as the admin's page Operations does."""
    ticket = Ticket(SYSTEM_TENANT, 1, "admin", "operator", TopicFilter.of([STATS]), 300)
    return await Watcher.connect(url(address or system.address), issue_ticket(ticket, system.ticket_key()))


async def owner(system: System) -> Watcher:
    async with system.client() as client:
        ticket = await new_ticket(client, {"topics": [STATS]})
    return await Watcher.connect(ticket["websocket_url"], ticket["ticket"])


@pytest_asyncio.fixture(loop_scope="module")
async def watcher(system: System) -> AsyncIterator[Watcher]:
    async with await operator(system) as watcher:
        yield watcher


async def figures(watcher: Watcher, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
    """Read until `holds` is true of figures that arrived after this call, and return these figures."""
    begun = len(watcher.history)

    def latest() -> dict[str, Any]:
        return dict(watcher.history[-1]["data"]) if len(watcher.history) > begun else {}

    await watcher.until(lambda: bool(latest()) and holds(latest()), what)
    return latest()


async def steady_connections(watcher: Watcher) -> int:
    """Wait until the connections of earlier tests have ended, and return the number of those that stay."""
    seen: list[int] = []
    while len(seen) < STEADY or len(set(seen[-STEADY:])) > 1:
        seen.append((await figures(watcher, lambda _: True, "figures"))["connections"]["websocket"])
    return seen[-1]


async def test_the_connections_of_two_web_processes_are_added_up(system: System, second: Web, watcher: Watcher) -> None:
    everything = system.ticket_of(tenant_of(system, "hanbit"))
    await figures(watcher, lambda data: len(data["processes"]) >= 3, "both web processes and the worker")
    number = await steady_connections(watcher)
    clients = [await Watcher.connect(url(address), everything) for address in (system.address, second.address) * 2]
    data = await figures(watcher, lambda data: data["connections"]["websocket"] >= number + 4, "four more connections")
    (hanbit,) = [tenant for tenant in data["tenants"] if tenant["id"] == tenant_of(system, "hanbit")]
    assert hanbit["connections"]["websocket"] >= 4
    of_web = [process["connections"] for process in data["processes"] if process["kind"] == "web"]
    assert sorted(of_web)[-2] >= 2
    assert data["polling_sql"] == sum(data["connections"].values())
    for client in clients:
        await client.socket.close()
    await figures(watcher, lambda data: data["connections"]["websocket"] <= number, "the end of these connections")


async def test_records_of_any_publisher_are_counted(system: System, watcher: Watcher) -> None:
    tenant_id, stop = tenant_of(system, "hanbit"), asyncio.Event()

    def publish() -> None:
        with Publisher.from_url(system.redis.url) as publisher:
            number = 0
            while not stop.is_set():
                number += 1
                publisher.status(tenant_id=tenant_id, topic=f"count:{number % 5}", attempt=number, status="PROCESSING")

    publishing = asyncio.create_task(asyncio.to_thread(publish))
    try:
        data = await figures(watcher, lambda data: data["records"] > 20, "many records a second")
    finally:
        stop.set()
        await publishing
    assert data["history"]["records"][-1] == data["records"]
    with Publisher.from_url(system.redis.url) as publisher:
        for number in range(5):
            publisher.status(tenant_id=tenant_id, topic=f"count:{number}", attempt=10**9, status="DONE")


async def test_an_owner_watches_the_figures_of_their_own_academy_alone(system: System, second: Web) -> None:
    async with await owner(system) as watcher, await operator(system, second.address) as other:
        data = await figures(watcher, lambda data: "queues" in data, "the jobs of the academy")
        assert {record["topic"] for record in watcher.history} == {STATS}
        assert set(data) == {
            *("connections", "records", "history", "code", "name"),
            *("stalled", "waiting", "running", "oldest_waiting", "queues"),
        }
        assert data["code"] == "hanbit"
        assert data["connections"]["websocket"] >= 1
        everything = await figures(other, lambda data: "queues" in data, "the queues")
        assert [queue["queue"] for queue in everything["queues"]] == ["ai", "video", "messaging"]


@pytest.mark.parametrize("role", ["staff", "teacher"])
async def test_nobody_but_the_owner_gets_a_ticket_for_figures(system: System, role: str) -> None:
    async with system.client(username=role) as client:
        for topics in ([STATS], ["stats:*"], ["*", STATS]):
            answer = await client.post("/api/v1/realtime/ticket/", json={"topics": topics})
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_topic")


async def test_a_ticket_for_everything_never_brings_figures(system: System) -> None:
    async with system.client(username="staff") as client:
        ticket = await new_ticket(client)
        poll = {"Authorization": f"Bearer {ticket['ticket']}"}
        async with await owner(system) as watcher, await system.watcher(client) as staff:
            await figures(watcher, lambda _: True, "figures")
            with Publisher.from_url(system.redis.url) as publisher:
                tenant_id = tenant_of(system, "hanbit")
                publisher.status(tenant_id=tenant_id, topic="after:figures", attempt=1, status="DONE")
            await staff.until_terminal("after:figures")
            assert STATS not in {record["topic"] for record in staff.history}
            await staff.send({"type": "subscribe", "id": 1, "topics": [STATS]})
            assert (await staff.read_until("error"))["code"] == "forbidden_topic"
            shown = (await client.get("/api/v1/realtime/snapshot/", headers=poll)).json()["records"]
            assert STATS not in {record["topic"] for record in shown}
            refused = await client.get("/api/v1/realtime/snapshot/", params={"topics": STATS}, headers=poll)
            assert refused.status_code == 403


async def test_a_client_that_polls_gets_figures_too(system: System) -> None:
    async with system.client() as client:
        ticket = await new_ticket(client, {"topics": [STATS]})
    headers = {"Authorization": f"Bearer {ticket['ticket']}"}

    def is_measured() -> bool:
        answer = httpx.get(ticket["snapshot_url"], headers=headers).json()
        before = seen[-1] if seen else None
        seen.append(answer["records"][0].get("published_at"))
        return before is not None and seen[-1] is not None and seen[-1] > before

    seen: list[float | None] = []
    await eventually(is_measured, what="figures that are measured while somebody polls")


async def test_another_process_measures_if_the_first_is_gone(system: System) -> None:
    with system.another_web() as web:
        async with await operator(system) as watcher:
            await figures(watcher, lambda _: True, "figures")
            other = await operator(system, web.address)
            await figures(other, lambda _: True, "the same figures, by the other process")
            with Redis.from_url(system.redis.url) as redis:
                measurer = redis.get(Keys().measurer())
                web.kill()
                redis.set(Keys().measurer(), "gone", ex=1)  # as if the killed process had been the measurer
            await figures(watcher, lambda data: data["history"]["records"] != [], "figures of the process that is left")
            assert measurer is not None
            await other.socket.close()


async def test_nothing_is_measured_while_nobody_watches(system: System) -> None:
    with Redis.from_url(system.redis.url) as redis:
        await eventually(lambda: not redis.exists(Keys().watched()), what="the end of watching")
        await eventually(lambda: not redis.exists(Keys().measurer()), what="the end of measuring")
        offset = redis.hget(Keys().feed(SYSTEM_TENANT), "offset")
        time, _ = redis.time()
        reported = Keys().reports()
        await eventually(
            lambda: all(float(text.split(b" ")[0]) > time + 1 for text in redis.hgetall(reported).values()),
            what="another report of each process",
        )
        assert redis.hget(Keys().feed(SYSTEM_TENANT), "offset") == offset
