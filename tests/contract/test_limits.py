"""Tests of the limits on connections, of the answers beyond a limit, and of the drain."""

import asyncio
import os
import signal

import httpx
import pytest

from embedded.plan import Web
from harness.event_stream import EventStream, RefusedStreamError
from harness.system import PATIENCE_SECONDS, System, eventually, new_ticket, tenant_of
from harness.watcher import Watcher
from realtime.publish import Publisher


def terminate(web: Web) -> None:
    """Send the signal with which an orchestrator ends a process."""
    assert web.pid is not None
    os.kill(web.pid, signal.SIGTERM)


async def open_when_let_in(url: str, ticket: str) -> EventStream:
    """Open a stream as soon as the server lets it in."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await EventStream.open(url, ticket)
            except RefusedStreamError:
                await asyncio.sleep(0.1)


@pytest.mark.every_server
async def test_beyond_the_limit_a_websocket_is_closed_with_4101_and_a_stream_answered_429(system: System) -> None:
    with system.another_web(REALTIME_MAX_CONNECTIONS_PER_USER="1") as web:
        async with system.client() as client:
            ticket = (await new_ticket(client))["ticket"]
            url = web.address.replace("http", "ws") + "/ws/events/"
            async with await Watcher.connect(url, ticket) as watcher:
                await watcher.read_until("snapshot")
                async with await Watcher.connect(url, ticket) as second:
                    closing = await second.read()
                    assert (closing["type"], closing["code"]) == ("closing", 4101)
                    assert closing["retry_after_ms"] > 0
                    assert closing["limit"] == "user"
                    code, reason = await second.closed()
                    assert code == 4101
                    sentence = "You have as many connections as you may; close another tab."
                    assert reason == sentence or not system.sends_close_reasons
                with pytest.raises(RefusedStreamError) as refused:
                    await EventStream.open(f"{web.address}/api/v1/events/", ticket)
                assert refused.value.answer.status_code == 429
                assert refused.value.answer.json()["limit"] == "user"
                assert int(refused.value.answer.headers["retry-after"]) >= 1
            # A connection that was closed makes room for another, as soon as the server has noticed its end.
            async with await open_when_let_in(f"{web.address}/api/v1/events/", ticket) as events:
                await events.read_until("snapshot")


async def test_a_process_that_shuts_down_drains_its_clients_and_serves_the_others_meanwhile(
    system: System,
) -> None:
    publisher, tenant_id = Publisher.from_url(system.redis.url), tenant_of(system, "hanbit")
    with system.another_web(REALTIME_DRAIN_SECONDS="3") as web:
        async with system.client() as client:
            ticket = (await new_ticket(client))["ticket"]
            url = web.address.replace("http", "ws") + "/ws/events/"
            watchers = [await Watcher.connect(url, ticket, topics="drain:*") for _ in range(20)]
            stream = await EventStream.open(f"{web.address}/api/v1/events/", ticket, topics="drain:*")
            for watcher in [*watchers, stream]:
                await watcher.read_until("snapshot")
            async with httpx.AsyncClient(base_url=web.address) as probe:
                assert (await probe.get("/readyz")).status_code == 200
                terminate(web)
                ends = [asyncio.ensure_future(watcher.closed()) for watcher in watchers]
                end_of_stream = asyncio.ensure_future(stream.ended())
                await asyncio.wait([*ends, end_of_stream], return_when=asyncio.FIRST_COMPLETED)
                publisher.status(tenant_id=tenant_id, topic="drain:late", attempt=1, status="DONE")
                # Requests on an open connection are still answered; new connections are not accepted.
                ready = await probe.get("/readyz")
                assert (ready.status_code, ready.text) == (503, "The process is shutting down.")
            assert {code for code, _reason in await asyncio.gather(*ends)} == {1012}
            closing = [watcher.frames[-1] for watcher in watchers]
            last = await end_of_stream
            await stream.__aexit__()
        for frame in [*closing, last]:
            assert (frame["type"], frame["code"]) == ("closing", 1012)
            assert 0 <= frame["retry_after_ms"] <= 300
        # `retry_after_ms` is not sent as a second `retry:` line, which a browser would use for all later attempts.
        assert stream.retry_lines == 1
        assert any("drain:late" in watcher.records for watcher in [*watchers, stream])
    publisher.close()


async def test_a_second_signal_ends_a_drain_at_once(system: System) -> None:
    with system.another_web(REALTIME_DRAIN_SECONDS="600") as web:
        async with system.client() as client:
            ticket = (await new_ticket(client))["ticket"]
            watchers = [
                await Watcher.connect(web.address.replace("http", "ws") + "/ws/events/", ticket) for _ in range(5)
            ]
            for watcher in watchers:
                await watcher.read_until("snapshot")
            terminate(web)
            ends = [asyncio.ensure_future(watcher.socket.wait_closed()) for watcher in watchers]
            readers = [asyncio.ensure_future(watcher.closed()) for watcher in watchers]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            terminate(web)
            await asyncio.wait_for(asyncio.wait(ends), PATIENCE_SECONDS)
            await asyncio.gather(*readers, return_exceptions=True)
            await eventually(lambda: web.pid is None)
