"""The product behind real proxies, with TLS and HTTP/2: addresses, cookies, tickets, streams, uploads."""

from typing import Any

import httpx
from websockets.asyncio.client import connect

from academy.adapters.excel.sample import sample_workbook
from embedded.ports import HOST
from harness.event_stream import EventStream
from harness.system import PASSWORD, System, import_workbook, new_ticket
from harness.watcher import Watcher
from tests.proxies.conftest import Proxy

ACCOUNT = {"tenant": "hanbit", "username": "owner", "password": PASSWORD}


def browser(proxy: Proxy, address: str = HOST, *, http2: bool = True, **headers: str) -> httpx.AsyncClient:
    """Return a client that connects to the proxy from `address`, one of the loopback addresses.

    Over HTTP/2, httpx reads no answer before it has sent the whole body.
    """
    transport = httpx.AsyncHTTPTransport(verify=proxy.trust(), local_address=address, http2=http2)
    return httpx.AsyncClient(base_url=proxy.address, transport=transport, headers=headers, timeout=30)


def signed_in(system: System, proxy: Proxy, address: str = "127.0.0.2", *, http2: bool = True) -> httpx.AsyncClient:
    return browser(proxy, address, http2=http2, Authorization=f"Bearer {system.access_token('hanbit', 'owner')}")


async def sign_in(client: httpx.AsyncClient, **other: str) -> httpx.Response:
    return await client.post("/api/v1/auth/token/", json=ACCOUNT | other)


async def test_wrong_passwords_from_one_address_do_not_lock_out_another(proxy: Proxy) -> None:
    async with browser(proxy, "127.0.0.21") as guesser, browser(proxy, "127.0.0.22") as honest:
        answers = [await sign_in(guesser, password="wrong") for _ in range(12)]
        assert answers[-1].status_code == 429
        assert (await sign_in(honest)).status_code == 200


async def test_a_client_that_names_another_address_is_still_counted_by_its_own(proxy: Proxy) -> None:
    async with browser(proxy, "127.0.0.23") as guesser:
        answers = []
        for number in range(12):
            guesser.headers["X-Forwarded-For"] = f"203.0.113.{number}"
            answers.append(await sign_in(guesser, username="teacher", password="wrong"))
    assert answers[-1].status_code == 429


async def test_a_client_cannot_pretend_to_be_a_program_on_the_same_machine(system: System, proxy: Proxy) -> None:
    async with browser(proxy) as client:
        assert (await client.get("/metrics")).status_code == 404
    async with httpx.AsyncClient(base_url=system.address) as direct:
        assert (await direct.get("/metrics")).status_code == 200
        for forged in ({"X-Forwarded-For": HOST}, {"Via": "1.1 proxy"}, {"X-Real-IP": HOST}):
            assert (await direct.get("/metrics", headers=forged)).status_code == 401


async def test_addresses_and_cookies_of_a_ticket_are_those_of_the_public_site(system: System, proxy: Proxy) -> None:
    async with signed_in(system, proxy) as client:
        answer = await client.post("/api/v1/realtime/ticket/", json={"cookie": True})
    ticket = answer.json()
    assert ticket["websocket_url"] == f"wss://{HOST}:{proxy.port}/ws/events/"
    assert ticket["events_url"] == f"https://{HOST}:{proxy.port}/api/v1/events/"
    assert "Secure" in answer.headers["set-cookie"]


async def test_an_import_is_watched_by_websocket(system: System, proxy: Proxy) -> None:
    async with signed_in(system, proxy) as client:
        ticket = await new_ticket(client)
        protocols: Any = ["realtime.v1", f"ticket.{ticket['ticket']}"]
        origin: Any = proxy.address
        url = ticket["websocket_url"]
        async with connect(url, subprotocols=protocols, origin=origin, ssl=proxy.trust(), max_size=None) as socket:
            watcher = Watcher(socket)
            job_id = await import_workbook(client, sample_workbook(50, seed=7))
            assert (await watcher.until_terminal(f"job:{job_id}"))["status"] == "DONE"


async def test_events_arrive_while_the_stream_is_open(system: System, proxy: Proxy) -> None:
    async with signed_in(system, proxy) as client:
        assert (await client.get("/healthz")).http_version == "HTTP/2"
        ticket = await new_ticket(client)
        async with await EventStream.open("/api/v1/events/", ticket["ticket"], client=client) as stream:
            assert (await stream.read())["type"] == "welcome"
            await stream.read_until("snapshot")


async def test_a_body_that_the_proxy_passes_on_is_refused_before_it_is_sent(proxy: Proxy) -> None:
    """A stranger sends a video. The server answers before it has the whole video. The proxy passes the answer on."""
    async with browser(proxy, "127.0.0.24", http2=False) as stranger:
        answer = await stranger.post("/media/videos/", content=b"x" * 30_000_000, headers={"Content-Type": "video/mp4"})
    assert answer.status_code in {401, 413}
    assert answer.json().keys() == {"code", "message"}


async def test_each_path_has_its_limit_on_bodies(system: System, proxy: Proxy) -> None:
    """The server receives and examines a workbook of 15 MB. On paths that take no files, the limit is 1 MB."""
    async with signed_in(system, proxy, http2=False) as client:
        workbook = {"file": ("students.xlsx", b"PK" + bytes(15_000_000))}
        answer = await client.post("/api/v1/students/import/", files=workbook)
        assert answer.status_code in {202, 400}, answer.text
        assert answer.headers["content-type"] == "application/json"
        large = await client.post("/api/v1/auth/token/", content=bytes(1_200_000))
        assert large.status_code == 413


async def test_a_request_by_http_is_redirected_to_https(proxy: Proxy) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://{HOST}:{proxy.plain_port}/healthz?a=b")
    location = httpx.URL(answer.headers["location"])
    assert (answer.status_code, location.scheme, location.host) == (308, "https", HOST)
    assert location.raw_path == b"/healthz?a=b"
