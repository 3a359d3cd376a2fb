"""Tests that hostile sockets occupy neither memory nor connections for long, and that slow clients are served."""

import asyncio
import base64
import contextlib
import os
import re
import socket
from collections.abc import AsyncIterator, Iterator

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from embedded.plan import Web
from harness.event_stream import EventStream
from harness.slow_clients import narrow_socket
from harness.system import PATIENCE_SECONDS, System, running
from harness.watcher import Watcher
from realtime.publish import Publisher

HEAD_SECONDS = 2.0
MEGABYTE = 1_000_000
FLAT = 25 * MEGABYTE
HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CHUNKED = b"POST /api/v1/auth/token/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def web(system: System) -> Iterator[Web]:
    """Yield a web process with a short time limit for the heads of requests."""
    web = system.web_of()
    web.argv = [*web.argv, "--head-seconds", str(HEAD_SECONDS)]
    with running(web):
        yield web


def memory(web: Web) -> int:
    return int(psutil.Process(web.pid).memory_info().rss)


async def talk(web: Web, first: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(first)
    return reader, writer


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """Return everything that the server sends before it closes the connection."""
    read = b""
    async with asyncio.timeout(PATIENCE_SECONDS):
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(65_536):
                read += part
    return read


async def flood(web: Web, first: bytes, endless: bytes) -> bytes:
    """Send `first`, and then `endless` again and again until the server closes the connection. Return the answer."""
    reader, writer = await talk(web, first)
    answer = asyncio.ensure_future(rest_of(reader))
    with contextlib.suppress(ConnectionError):
        while not answer.done():
            writer.write(endless)
            await writer.drain()
            await asyncio.sleep(0)
    writer.close()
    return await answer


@pytest.mark.parametrize(
    ("first", "endless"),
    [
        (HEAD + b"X-A: ", b"a" * 60_000),
        (b"GET /", b"a" * 60_000),
        (HEAD, b"a: b\r\n" * 10_000),
        (b"", b"\r\n" * 30_000),
    ],
    ids=["a field", "an address", "fields", "nothing"],
)
async def test_an_endless_head_is_answered_431_and_uses_no_memory(web: Web, first: bytes, endless: bytes) -> None:
    before = memory(web)
    for answer in await asyncio.gather(*(flood(web, first, endless) for _ in range(10))):
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 431 "), answer
        assert body == b"A request's head has at most 65536 bytes and 128 fields."
    assert memory(web) - before < FLAT


@pytest.mark.parametrize(
    ("first", "endless"),
    [
        (CHUNKED + b"2\r\n{}\r\n0\r\nX-A: ", b"a" * 60_000),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", b"a: b\r\n" * 10_000),
        (CHUNKED + b"2;", b"a" * 60_000),
        (b"", (HEAD + b"\r\n") * 1000),
    ],
    ids=["a trailer", "trailers", "an extension", "requests"],
)
async def test_other_parts_of_a_request_without_an_end_close_the_connection(
    web: Web, first: bytes, endless: bytes
) -> None:
    before = memory(web)
    await asyncio.gather(*(flood(web, first, endless) for _ in range(10)))
    assert memory(web) - before < FLAT


async def test_a_head_of_60_kib_is_served(web: Web) -> None:
    async with httpx.AsyncClient(base_url=web.address) as client:
        fields = {f"X-{number}": "a" * 6000 for number in range(10)}
        assert (await client.get("/healthz", headers=fields)).status_code == 200


async def test_silent_and_half_sent_connections_are_closed(web: Web) -> None:
    begun = asyncio.get_running_loop().time()
    firsts = [b""] * 100 + [HEAD] * 50 + [b"\r\n"] * 10
    connections = [await talk(web, first) for first in firsts]
    assert await asyncio.gather(*(rest_of(reader) for reader, _ in connections)) == [b""] * len(firsts)
    assert asyncio.get_running_loop().time() - begun >= HEAD_SECONDS
    for _, writer in connections:
        writer.close()


@pytest.mark.parametrize("drop", [b"\r\n", b"a: b\r\n"], ids=["empty lines", "fields"])
async def test_the_head_of_a_later_request_has_a_time_limit_too(web: Web, drop: bytes) -> None:
    reader, writer = await talk(web, HEAD + b"\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"" if drop == b"\r\n" else HEAD)
    end = asyncio.ensure_future(rest_of(reader))
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            writer.write(drop)
            if (await asyncio.wait([end], timeout=HEAD_SECONDS / 5))[0]:
                break
    assert end.done()
    assert b"HTTP/1.1" not in await end
    writer.close()


async def test_the_time_limit_of_a_head_does_not_apply_to_bodies_and_answers(system: System, web: Web) -> None:
    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.xlsx"\r\n\r\n'
    parts = [start, *[bytes(MEGABYTE)] * 15, b"\r\n--x--\r\n"]

    async def slowly() -> AsyncIterator[bytes]:
        for part in parts:
            yield part
            await asyncio.sleep(HEAD_SECONDS / 5)

    tenant_id = 78_001
    ticket = system.ticket_of(tenant_id)
    headers = {
        "Authorization": f"Bearer {system.access_token('hanbit', 'owner')}",
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": str(sum(map(len, parts))),
    }
    publisher = Publisher.from_url(system.redis.url)
    async with (
        httpx.AsyncClient(base_url=web.address, headers=headers, timeout=30) as client,
        await Watcher.connect(web.address.replace("http", "ws") + "/ws/events/", ticket) as watcher,
        await EventStream.open(f"{web.address}/api/v1/events/", ticket) as stream,
    ):
        uploaded = await client.post("/api/v1/students/import/", content=slowly())
        assert uploaded.status_code == 202, uploaded.text
        publisher.status(tenant_id=tenant_id, topic="after:upload", attempt=1, status="DONE")
        for each in (watcher, stream):
            await each.until_terminal("after:upload")
    publisher.close()


async def test_requests_share_a_connection(web: Web) -> None:
    async def answer() -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        await reader.readexactly(int(re.findall(rb"content-length: (\d+)", head.lower())[0]))

    reader, writer = await talk(web)
    for _ in range(4):
        writer.write(HEAD + b"\r\n")
        await answer()
        await asyncio.sleep(HEAD_SECONDS * 0.3)  # the four pauses together exceed the limit of a head
    writer.write((HEAD + b"\r\n") * 3)
    for _ in range(3):
        await answer()
    writer.close()


async def test_a_ping_gets_its_pong_and_too_many_end_the_connection(system: System, web: Web) -> None:
    url, ticket = web.address.replace("http", "ws") + "/ws/events/", system.ticket_of(78_002)
    async with await Watcher.connect(url, ticket) as watcher:
        await watcher.read_until("snapshot")
        for _ in range(5):
            await asyncio.wait_for(await watcher.socket.ping(), PATIENCE_SECONDS)
        for _ in range(100):
            with contextlib.suppress(ConnectionClosed):
                await watcher.socket.ping()
        assert await watcher.closed() == (1008, "too many pings")


def open_deaf_socket(web: Web, ticket: str) -> socket.socket:
    deaf = narrow_socket(web.address)
    key = base64.b64encode(os.urandom(16)).decode()
    fields = {
        "Host": web.where,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": f"realtime.v1, ticket.{ticket}",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    deaf.sendall(f"GET /ws/events/ HTTP/1.1\r\n{lines}\r\n".encode())
    assert deaf.recv(12) == b"HTTP/1.1 101"
    return deaf


def send_for_ever(deaf: socket.socket, frame: bytes) -> None:
    deaf.settimeout(PATIENCE_SECONDS)
    deaf.sendall(bytes([0x01, 0x80]) + bytes(4) if frame[0] == 0 else b"")  # `frame` continues this fragment
    while True:
        deaf.sendall(frame * 500)


@pytest.mark.parametrize(
    "frame",
    [bytes([0x89, 0x80 | 125]) + bytes(4) + b"x" * 125, bytes([0x00, 0x80]) + bytes(4)],
    ids=["pings", "parts of a message"],
)
async def test_endless_frames_of_a_client_that_does_not_read_use_no_memory(
    system: System, web: Web, frame: bytes
) -> None:
    before = memory(web)

    def send_until_closed() -> None:
        with open_deaf_socket(web, system.ticket_of(78_003)) as deaf, pytest.raises(ConnectionError):
            send_for_ever(deaf, frame)

    async with asyncio.timeout(2 * PATIENCE_SECONDS):
        await asyncio.gather(*(asyncio.to_thread(send_until_closed) for _ in range(5)))
    assert memory(web) - before < FLAT


async def test_an_invalid_handshake_is_answered(web: Web) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    reader, writer = await talk(web, HEAD + upgrade + b"X: " + b"a" * 9000 + b"\r\n\r\n")
    assert (await rest_of(reader)).startswith(b"HTTP/1.1 431 ")
    writer.close()
