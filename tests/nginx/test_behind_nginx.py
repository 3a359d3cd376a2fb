"""The product behind a real nginx, with TLS: addresses, cookies, tickets, streams, uploads."""

from typing import Any

import httpx
from websockets.asyncio.client import connect

from academy.adapters.excel.sample import sample_workbook
from embedded.ports import HOST
from tests.event_stream import EventStream
from tests.nginx.conftest import Nginx
from tests.system import PASSWORD, System, import_workbook, new_ticket
from tests.watcher import Watcher

ACCOUNT = {"tenant": "hanbit", "username": "owner", "password": PASSWORD}


def browser(proxy: Nginx, address: str = HOST, **headers: str) -> httpx.AsyncClient:
    """A client that comes from another address of the loopback, as nginx sees it."""
    transport = httpx.AsyncHTTPTransport(verify=proxy.trust(), local_address=address)
    return httpx.AsyncClient(base_url=proxy.address, transport=transport, headers=headers, timeout=30)


def signed_in(system: System, proxy: Nginx, address: str = "127.0.0.2") -> httpx.AsyncClient:
    return browser(proxy, address, Authorization=f"Bearer {system.access_token('hanbit', 'owner')}")


async def sign_in(client: httpx.AsyncClient, **other: str) -> httpx.Response:
    return await client.post("/api/v1/auth/token/", json=ACCOUNT | other)


async def test_wrong_passwords_from_one_address_do_not_lock_out_another(proxy: Nginx) -> None:
    async with browser(proxy, "127.0.0.21") as guesser, browser(proxy, "127.0.0.22") as honest:
        answers = [await sign_in(guesser, password="wrong") for _ in range(12)]
        assert answers[-1].status_code == 429
        assert (await sign_in(honest)).status_code == 200


async def test_a_client_that_names_another_address_is_still_counted_by_its_own(proxy: Nginx) -> None:
    async with browser(proxy, "127.0.0.23") as guesser:
        answers = []
        for number in range(12):
            guesser.headers["X-Forwarded-For"] = f"203.0.113.{number}"
            answers.append(await sign_in(guesser, username="teacher", password="wrong"))
    assert answers[-1].status_code == 429


async def test_a_client_cannot_pass_for_a_program_of_the_same_machine(system: System, proxy: Nginx) -> None:
    async with browser(proxy) as client:
        assert (await client.get("/metrics")).status_code == 404
    async with httpx.AsyncClient(base_url=system.address) as direct:
        assert (await direct.get("/metrics")).status_code == 200
        for forged in ({"X-Forwarded-For": HOST}, {"Via": "1.1 proxy"}, {"X-Real-IP": HOST}):
            assert (await direct.get("/metrics", headers=forged)).status_code == 401


async def test_addresses_and_cookies_of_a_ticket_are_those_of_the_public_site(system: System, proxy: Nginx) -> None:
    async with signed_in(system, proxy) as client:
        answer = await client.post("/api/v1/realtime/ticket/", json={"cookie": True})
    ticket = answer.json()
    assert ticket["websocket_url"] == f"wss://{HOST}:{proxy.port}/ws/events/"
    assert ticket["events_url"] == f"https://{HOST}:{proxy.port}/api/v1/events/"
    assert "Secure" in answer.headers["set-cookie"]


async def test_an_import_is_watched_through_nginx_by_websocket(system: System, proxy: Nginx) -> None:
    async with signed_in(system, proxy) as client:
        ticket = await new_ticket(client)
        protocols: Any = ["realtime.v1", f"ticket.{ticket['ticket']}"]
        origin: Any = proxy.address
        url = ticket["websocket_url"]
        async with connect(url, subprotocols=protocols, origin=origin, ssl=proxy.trust(), max_size=None) as socket:
            watcher = Watcher(socket)
            job_id = await import_workbook(client, sample_workbook(50, seed=7))
            assert (await watcher.until_terminal(f"job:{job_id}"))["status"] == "DONE"


async def test_events_come_through_nginx_while_the_stream_is_open(system: System, proxy: Nginx) -> None:
    async with signed_in(system, proxy) as client:
        ticket = await new_ticket(client)
        async with await EventStream.open("/api/v1/events/", ticket["ticket"], client=client) as stream:
            assert (await stream.read())["type"] == "welcome"
            await stream.read_until("snapshot")


async def test_a_body_that_nginx_lets_through_is_refused_before_it_was_sent(proxy: Nginx) -> None:
    """A stranger's video: the answer comes though the body has not ended, and nginx passes it on."""
    async with browser(proxy, "127.0.0.24") as stranger:
        answer = await stranger.post("/media/videos/", content=b"x" * 30_000_000, headers={"Content-Type": "video/mp4"})
    assert answer.status_code in {401, 413}
    assert answer.json().keys() == {"code", "message"}
