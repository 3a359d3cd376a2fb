"""Tests of the headers for browsers and caches in all answers of the running product."""

import asyncio

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from harness.system import PASSWORD, System, import_workbook, new_ticket

ACCOUNT = {"tenant": "hanbit", "username": "owner", "password": PASSWORD}


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("GET", "/healthz"),
        ("GET", "/static/page/main.js"),
        ("GET", "/static/nowhere.js"),
        ("GET", "/api/v1/students/"),
        ("GET", "/api/v1/schema/"),
        ("GET", "/media/videos/"),
        ("GET", "/media/hls/x/master.m3u8"),
        ("GET", "/api/v1/realtime/snapshot/"),
        ("POST", "/api/v1/realtime/ticket/"),
        ("POST", "/api/v1/events/"),
        ("GET", "/api/v1/events/"),
        ("TRACE", "/"),
    ],
)
async def test_answers_forbid_sniffing_and_personal_data_is_not_cached(
    system: System, method: str, path: str, signed_in: bool
) -> None:
    headers = {"Authorization": f"Bearer {system.access_token('hanbit', 'owner')}"} if signed_in else {}
    async with httpx.AsyncClient(base_url=system.address, headers=headers, timeout=30) as client:
        answer = await client.request(method, path)
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert len(answer.headers.get_list("cache-control")) == 1
    if path.startswith(("/api/v1/", "/media/")) and "schema" not in path:
        assert answer.headers["cache-control"] == "no-store"


async def test_tokens_and_refusals_are_not_cached_either(system: System) -> None:
    async with httpx.AsyncClient(base_url=system.address, timeout=30) as client:
        for body in (ACCOUNT, ACCOUNT | {"password": "wrong"}, {}, {"password": "x" * 70_000}):
            answer = await client.post("/api/v1/auth/token/", json=body)
            assert answer.headers["cache-control"] == "no-store", answer.status_code
            assert answer.headers["x-content-type-options"] == "nosniff"
        odd = await client.post("/api/v1/auth/token/", content=b"{}", headers={"Content-Type": "text/x; charset=rot13"})
    assert (odd.status_code, odd.headers["x-content-type-options"]) == (415, "nosniff")


async def test_an_open_stream_forbids_sniffing(system: System) -> None:
    async with system.client() as client:
        headers = {"Authorization": f"Bearer {(await new_ticket(client))['ticket']}"}
        async with client.stream("GET", "/api/v1/events/", headers=headers) as stream:
            assert stream.headers["x-content-type-options"] == "nosniff"
            assert stream.headers["cache-control"] == "no-store"


async def test_progress_may_be_cached_by_its_client_and_revalidated(system: System) -> None:
    async with system.client() as client:
        job_id = await import_workbook(client, b"name,parent phone\n", "a.csv")
        async with asyncio.timeout(30):
            while (answer := await client.get(f"/api/v1/jobs/{job_id}/progress/")).json()["status"] == "UNKNOWN":
                await asyncio.sleep(0.05)
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("path", ["/ws/events/", "/ws/elsewhere/"])
async def test_a_websocket_that_is_refused_by_http_has_the_same_headers(system: System, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://{system.web.where}{path}", origin="https://evil.example"):  # type: ignore[arg-type]
            pass
    answer = refused.value.response
    assert answer.status_code == 403
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


async def test_the_page_may_connect_to_its_own_origin_and_to_the_named_ones(system: System) -> None:
    with system.another_web(PAGE_CONNECT_ORIGINS="https://cdn.example.com", SECURE_HSTS_SECONDS="60") as web:
        async with httpx.AsyncClient(base_url=web.address, timeout=30) as client:
            policy = (await client.get("/")).headers["content-security-policy"]
            secure = await client.get("/static/page/main.js", headers={"X-Forwarded-Proto": "https"})
    directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    assert directives["connect-src"] == f"'self' ws://{web.where} https://cdn.example.com"
    for name in ("base-uri", "frame-ancestors", "object-src"):
        assert directives[name] == "'none'"
    assert secure.headers["strict-transport-security"] == "max-age=60"


async def test_a_redirect_to_https_exempts_the_probes(system: System) -> None:
    with system.another_web(SECURE_SSL_REDIRECT="on") as web:  # waits until /readyz answers, so this probe works
        async with httpx.AsyncClient(base_url=web.address, timeout=30) as client:
            moved = await client.get("/static/page/main.js?x=1")
            behind = await client.get("/", headers={"X-Forwarded-Proto": "https"})
    assert (moved.status_code, moved.headers["location"]) == (301, f"https://{web.where}/static/page/main.js?x=1")
    assert behind.status_code == 200
