"""Tests that an outage of Redis has the effects that the pages describe."""

import httpx

from harness.system import PASSWORD, System, new_ticket
from harness.watcher import Watcher
from realtime.protocol.close_codes import CloseCode
from tests.docs.pages import page

WHEN_DOWN = page("docs/how-to/when-something-is-down.md")
PROTOCOL = page("docs/reference/realtime-protocol.md")


async def test_while_redis_is_away_a_feed_that_the_server_knows_is_shown_and_another_refused_without_a_welcome(
    own_system: System,
) -> None:
    async with own_system.client("hanbit") as known, own_system.client("saebom") as unknown:
        tickets = [await new_ticket(client) for client in (known, unknown)]
        async with await own_system.watcher(known) as first:
            await first.read_until("snapshot")
            own_system.redis.kill()
            served, refused = [await Watcher.connect(made["websocket_url"], made["ticket"]) for made in tickets]
            await served.read_until("snapshot")
            code, _ = await refused.closed()
            await served.socket.close()
    assert [frame["type"] for frame in served.frames] == ["welcome", "snapshot"]
    assert [frame["type"] for frame in refused.frames] == ["closing"]
    assert code == refused.frames[0]["code"] == CloseCode.FEED_UNAVAILABLE
    assert "with `welcome`, a `snapshot` of what was known last, and `delayed`" in PROTOCOL.prose
    assert "without a `welcome`" in WHEN_DOWN.prose


async def test_while_redis_is_away_signing_in_goes_on_and_what_is_asked_with_a_token_gets_503(
    own_system: System,
) -> None:
    (works, refused), *_ = [row[1:3] for row in WHEN_DOWN.rows("down") if row[0] == "Redis"]
    assert "sign-in" in works
    assert "lists, imports, progress, tickets" in refused
    async with own_system.client() as client:
        own_system.redis.kill()
        answers = [
            await client.get("/api/v1/students/"),
            await client.post("/api/v1/students/import/", files={"file": ("a.csv", b"-")}),
            await client.get("/api/v1/jobs/6b7a9c2e-0000-4000-8000-000000000000/progress/"),
            await client.post("/api/v1/realtime/ticket/", json={}),
        ]
        account = {"tenant": "hanbit", "username": "owner", "password": PASSWORD}
        async with httpx.AsyncClient(base_url=own_system.address, timeout=30) as anyone:
            signed_in = await anyone.post("/api/v1/auth/token/", json=account)
    assert [answer.status_code for answer in answers] == [503] * 4
    assert all(answer.headers["Retry-After"] for answer in answers)
    assert signed_in.status_code == 200
