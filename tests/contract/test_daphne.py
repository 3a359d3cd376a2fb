"""Tests with daphne, whose `send` never waits: only pongs show how much a client has read."""

from contextlib import AsyncExitStack
from itertools import count

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from harness.system import System, new_ticket, tenant_of
from harness.watcher import Watcher
from realtime.publish import Publisher

BIG = {"text": "x" * 40_000}
SNAPSHOT_BYTES = 262_144


def publish_big(system: System, topics: list[str], attempt: int, **more: object) -> None:
    publisher, tenant_id = Publisher.from_url(system.redis.url), tenant_of(system, "saebom")
    for topic in topics:
        publisher.status(tenant_id=tenant_id, topic=topic, attempt=attempt, **({"status": "PROCESSING"} | more))  # type: ignore[arg-type]
    publisher.close()


async def watching(system: System, client: httpx.AsyncClient, **parameters: str) -> Watcher:
    watcher = await system.watcher(client, **parameters)
    await watcher.read_until("snapshot")
    return watcher


async def test_records_wait_for_the_pong_of_a_slow_client_and_the_newest_of_each_topic_follow(
    daphne_system: System,
) -> None:
    async with (
        daphne_system.client("saebom") as client,
        await watching(daphne_system, client, topics="pong:*") as watcher,
    ):
        watcher.answers_pings = False
        attempts = count(1)
        frame = None
        while frame is None or frame["type"] != "ping":  # read each record before the next, which would replace it
            publish_big(daphne_system, ["pong:a"], next(attempts), data=BIG)
            frame = await watcher.read()
        assert frame["place"] == watcher.frames[-2]["place"]
        received = watcher.records["pong:a"]["attempt"]
        for _ in range(3):
            publish_big(daphne_system, ["pong:a"], next(attempts), data=BIG)
        newest = next(attempts)
        publish_big(daphne_system, ["pong:a"], newest, status="DONE")
        await watcher.send({"type": "pong"})
        done = await watcher.until_terminal("pong:a")
    assert [record["attempt"] for record in watcher.history] == [*range(1, received + 1), newest]
    assert (done["attempt"], done["status"]) == (newest, "DONE")


async def test_a_ping_between_the_parts_of_a_snapshot_does_not_claim_that_the_client_has_all(
    daphne_system: System,
) -> None:
    topics = [f"part:{number}" for number in range(SNAPSHOT_BYTES // 40_000 + 2)]
    publish_big(daphne_system, topics, 1, data=BIG)
    try:
        async with daphne_system.client("saebom") as client:
            async with await daphne_system.watcher(client, topics="part:*") as watcher:
                await watcher.until(lambda: watcher.place is not None)
                first = set(watcher.records)
            async with await daphne_system.watcher(client, topics="part:*", since=str(watcher.place)) as again:
                await again.read_until("snapshot")
        assert first | set(again.records) == set(topics)
    finally:
        publish_big(daphne_system, topics, 2, status="DONE")


async def test_after_a_process_ended_clients_continue_from_their_places(daphne_system: System) -> None:
    async with daphne_system.client("saebom") as client:
        ticket = (await new_ticket(client))["ticket"]
        async with AsyncExitStack() as stack:
            with daphne_system.another_web() as web:
                url = web.address.replace("http", "ws") + "/ws/events/"
                watcher = await stack.enter_async_context(await Watcher.connect(url, ticket, topics="end:*"))
                await watcher.read_until("snapshot")
            with pytest.raises(ConnectionClosed) as broken:
                await watcher.read()
            assert broken.value.rcvd is None
        publish_big(daphne_system, ["end:a"], 1, status="DONE")
        async with await daphne_system.watcher(client, topics="end:*", since=str(watcher.place)) as again:
            snapshot = await again.read_until("snapshot")
    assert snapshot["recovered"] is True
    assert [record["topic"] for record in snapshot["records"]] == ["end:a"]
