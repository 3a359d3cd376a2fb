"""Tests of requests by pages of other origins (CORS).

A page of an allowed origin can use the documented paths, and can read the errors. Other origins and other paths get no
permission.
"""

from collections.abc import Iterator

import httpx
import pytest

from embedded.plan import Web
from harness.event_stream import EventStream
from harness.system import System

PAGE = "https://app.example.com"
ALLOW, EXPOSE = "access-control-allow-origin", "access-control-expose-headers"


@pytest.fixture(scope="module")
def web(system: System) -> Iterator[Web]:
    with system.another_web(REALTIME_ALLOWED_ORIGINS=PAGE, REALTIME_MAX_CONNECTIONS_PER_USER="1") as running:
        yield running


async def test_pages_of_an_allowed_origin_can_use_the_documented_paths(system: System, web: Web) -> None:
    async with system.client() as client:
        client.base_url = httpx.URL(web.address)
        client.headers["Origin"] = PAGE
        answer = await client.post("/api/v1/realtime/ticket/", json={"cookie": True})
        assert (answer.status_code, answer.headers[ALLOW]) == (200, PAGE)
        assert answer.headers["access-control-allow-credentials"] == "true"
        ticket = answer.json()["ticket"]
        snapshot = await client.get("/api/v1/realtime/snapshot/")
        assert (snapshot.status_code, snapshot.headers[ALLOW]) == (200, PAGE)
        unknown = await client.get("/api/v1/jobs/6f9619ff-8b86-4d01-b42d-00cf4fc964ff/")
        assert (unknown.status_code, unknown.headers[ALLOW]) == (404, PAGE)
        assert "access-control-allow-credentials" not in unknown.headers
        async with await EventStream.open(f"{web.address}/api/v1/events/", ticket):
            crowd = await client.get("/api/v1/events/", headers={"Authorization": f"Bearer {ticket}"})
        assert (crowd.status_code, crowd.headers[ALLOW]) == (429, PAGE)
        assert int(crowd.headers["retry-after"]) > 0
        assert "Retry-After" in crowd.headers[EXPOSE]


async def test_pages_of_an_allowed_origin_can_read_errors_too(web: Web) -> None:
    async with httpx.AsyncClient(base_url=web.address, headers={"Origin": PAGE}) as stranger:
        for answer in (
            await stranger.post("/api/v1/realtime/ticket/"),
            await stranger.get("/api/v1/realtime/snapshot/"),
            await stranger.get("/api/v1/events/"),
            await stranger.get("/api/v1/jobs/"),
        ):
            assert (answer.status_code, answer.headers[ALLOW]) == (401, PAGE)


@pytest.mark.parametrize("path", ["/api/v1/realtime/ticket/", "/api/v1/events/", "/api/v1/jobs/1/"])
async def test_a_preflight_says_what_the_page_may_send(path: str, web: Web) -> None:
    asks = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    async with httpx.AsyncClient(base_url=web.address) as browser:
        allowed = await browser.options(path, headers=asks | {"Origin": PAGE})
        foreign = await browser.options(path, headers=asks | {"Origin": "https://evil.example"})
    assert (allowed.status_code, allowed.headers[ALLOW]) == (204, PAGE)
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    assert ALLOW not in foreign.headers


async def test_pages_of_other_origins_cannot_use_other_paths(system: System, web: Web) -> None:
    async with system.client() as client:
        client.base_url = httpx.URL(web.address)
        for path in ("/api/v1/students/", "/healthz"):
            answer = await client.get(path, headers={"Origin": PAGE})
            assert (answer.status_code, ALLOW in answer.headers) == (200, False)
