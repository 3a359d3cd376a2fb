"""Tests of large, slow and unfinished request bodies that strangers and users send to the running product."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
import pytest

from harness.system import System, eventually

LARGE = 20_900_000
UPLOAD, IMPORT, TOKEN = "/media/videos/", "/api/v1/students/import/", "/api/v1/auth/token/"
MULTIPART = "multipart/form-data; boundary=B"
LARGE_FORM = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + b"x" * 200_000


class Socket:
    """A client that writes arbitrary bytes, and reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def begin(self, path: str, length: int, *headers: str, token: str = "", version: str = "1.1") -> None:
        lines = [f"POST {path} HTTP/{version}", "Host: 127.0.0.1", f"Content-Length: {length}", *headers]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode())

    async def send(self, body: bytes) -> None:
        """Send the body, or the part of it that the server reads before it closes the connection."""
        with suppress(ConnectionError):
            self.writer.write(body)
            await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(30):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            body: dict[str, str] = json.loads(await self.reader.readexactly(length))
        return int(head.split()[1]), body

    async def rest(self) -> bytes:
        """Return everything that the server still sends before it closes the connection."""
        async with asyncio.timeout(30):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


Connect = Callable[..., Awaitable[Socket]]


@pytest.fixture
async def connect(system: System) -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def connected(address: str = system.address) -> Socket:
            url = httpx.URL(address)
            socket = Socket(*await asyncio.open_connection(url.host, url.port))
            stack.push_async_callback(socket.close)
            return socket

        yield connected


@pytest.fixture
def token(system: System) -> str:
    return system.access_token("hanbit", "owner")


def bytes_in_files(system: System) -> int:
    """Return how many bytes the web process has in deleted temporary files."""
    total = 0
    for entry in Path(f"/proc/{system.web.pid}/fd").iterdir():
        try:
            if entry.readlink().name.endswith(" (deleted)"):
                total += entry.stat().st_size
        except FileNotFoundError:
            continue
    return total


async def test_unfinished_bodies_of_strangers_take_no_slots(system: System, connect: Connect) -> None:
    before = bytes_in_files(system)
    sockets = [await connect() for _ in range(15)]
    for number, socket in enumerate(sockets):
        socket.begin((TOKEN, UPLOAD, "/nowhere/")[number % 3], LARGE + 100, "Content-Type: application/json")
    sending = [asyncio.create_task(socket.send(b"x" * LARGE)) for socket in sockets]
    answers = await asyncio.gather(*(socket.answer() for socket in sockets))
    assert {status for status, _body in answers} == {401, 413}
    await asyncio.gather(*sending)
    await asyncio.gather(*(socket.rest() for socket in sockets))
    assert bytes_in_files(system) <= before


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_without_a_token_has_at_most_64_kib(system: System, chunked: bool) -> None:
    account = {"tenant": "hanbit", "username": "nobody-here", "password": "x" * 150}
    body = json.dumps(account).encode()

    async def status(size: int) -> int:
        async def parts() -> AsyncIterator[bytes]:
            yield body + b" " * (size - len(body))

        headers = {"Content-Type": "application/json"}
        content = parts() if chunked else body + b" " * (size - len(body))
        async with httpx.AsyncClient(base_url=system.address, timeout=30) as client:
            return (await client.post(TOKEN, content=content, headers=headers)).status_code

    assert await status(65_536) == 401  # the body was read, but there is no such account
    assert await status(65_537) == 413


async def test_a_client_that_expects_100_continue_is_refused_before_it_sends_the_body(
    system: System, connect: Connect
) -> None:
    socket = await connect()
    socket.begin(UPLOAD, LARGE, "Expect: 100-continue", f"Content-Type: {MULTIPART}")
    status, body = await socket.answer()
    assert (status, body["code"]) == (401, "not_authenticated")


async def test_bytes_after_a_refused_body_are_not_read_as_a_request(
    system: System, connect: Connect, token: str
) -> None:
    """With pipelining, neither an unread body nor what follows it may be read as the next request."""
    socket = await connect()
    socket.begin(TOKEN, 70_000)
    follows = f"GET /api/v1/lectures/ HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    await socket.send(follows + b"x" * (70_000 - len(follows)) + follows)
    assert (await socket.answer())[0] == 413
    assert await socket.rest() == b""


async def test_a_client_of_http_1_0_is_refused_in_the_same_way(system: System, connect: Connect) -> None:
    socket = await connect()
    socket.begin(TOKEN, 70_000, version="1.0")
    assert (await socket.answer())[0] == 413


@pytest.mark.parametrize(
    ("username", "path", "content_type", "status"),
    [
        ("owner", IMPORT, MULTIPART, 200),
        ("teacher", IMPORT, MULTIPART, 403),
        ("student", UPLOAD, MULTIPART, 403),
        ("teacher", UPLOAD, MULTIPART, 200),
        ("owner", UPLOAD, "application/json", 413),
        ("student", "/api/v1/auth/password/", "application/json", 413),
        ("owner", "/api/v1/lectures/", MULTIPART, 413),
        ("owner", "/api/v1/nowhere/", MULTIPART, 413),
    ],
)
async def test_only_uploads_of_senders_who_may_upload_are_waited_for(
    system: System, connect: Connect, username: str, path: str, content_type: str, status: int
) -> None:
    socket = await connect()
    token = system.access_token("hanbit", username)
    socket.begin(path, LARGE, "Expect: 100-continue", f"Content-Type: {content_type}", token=token)
    if status == 200:
        async with asyncio.timeout(30):
            assert await socket.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    else:
        assert (await socket.answer())[0] == status


async def test_students_and_parents_take_no_slot_for_a_large_body(system: System, connect: Connect) -> None:
    socket = await connect()
    student, teacher = (system.access_token("hanbit", name) for name in ("student", "teacher"))
    socket.begin("/api/v1/auth/password/", 200_000, "Expect: 100-continue", token=student)
    assert (await socket.answer())[0] == 413
    other = await connect()
    other.begin("/api/v1/auth/password/", 200_000, "Expect: 100-continue", token=teacher)
    async with asyncio.timeout(30):
        assert await other.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_a_session_that_has_ended_cannot_send_a_large_body(system: System, connect: Connect) -> None:
    async with httpx.AsyncClient(base_url=system.address, timeout=30) as client:
        account = {"tenant": "saebom", "username": "staff", "password": "academy-demo"}
        token = (await client.post(TOKEN, json=account)).json()["access"]
        out = await client.post("/api/v1/auth/logout/", headers={"Authorization": f"Bearer {token}"})
        assert out.status_code == 204
    socket = await connect()
    socket.begin(IMPORT, LARGE, "Expect: 100-continue", f"Content-Type: {MULTIPART}", token=token)
    assert (await socket.answer())[1]["code"] == "session_ended"


async def test_a_user_has_a_limited_number_of_unfinished_uploads(system: System, connect: Connect, token: str) -> None:
    before = bytes_in_files(system)
    sockets = [await connect() for _ in range(4)]
    for socket in sockets:
        socket.begin(IMPORT, LARGE, f"Content-Type: {MULTIPART}", token=token)
        await socket.send(LARGE_FORM)
    one_more = await connect()
    async with asyncio.timeout(30):
        while True:  # until the server has begun to read all four uploads
            one_more.begin(IMPORT, LARGE, "Expect: 100-continue", f"Content-Type: {MULTIPART}", token=token)
            first = await one_more.reader.readuntil(b"\r\n")
            await one_more.close()
            if b"429" in first:
                break
            one_more = await connect()
    for socket in sockets:
        await socket.close()
    await eventually(lambda: bytes_in_files(system) <= before, what="the files of uploads that were given up to go")


async def test_a_body_that_stops_arriving_is_given_up(system: System, connect: Connect, token: str) -> None:
    with system.another_web(BODY_GRACE_SECONDS="0.5") as web:
        small, large = await connect(web.address), await connect(web.address)
        small.begin(TOKEN, 1000, "Content-Type: application/json")
        await small.send(b"{")
        large.begin(IMPORT, LARGE, f"Content-Type: {MULTIPART}", token=token)
        await large.send(LARGE_FORM)
        for socket in (small, large):
            status, body = await socket.answer()
            assert (status, body["code"]) == (408, "too_slow")


VIDEO = 2_000_000_000


async def send_until_answered(socket: Socket, part: bytes, pause: float) -> tuple[int, dict[str, str]]:
    """Continue to send the body slowly until the server answers, and return the answer."""
    answer = asyncio.create_task(socket.answer())
    while not answer.done():
        await socket.send(part)
        await asyncio.wait([answer], timeout=pause)
    return await answer


async def test_a_large_body_that_would_take_longer_than_six_hours_is_given_up(
    system: System, connect: Connect, token: str
) -> None:
    with system.another_web(BODY_GRACE_SECONDS="1") as web:
        socket = await connect(web.address)
        socket.begin(UPLOAD, VIDEO, f"Content-Type: {MULTIPART}", token=token)
        await socket.send(LARGE_FORM)
        status, body = await send_until_answered(socket, b"x" * 2_000, 0.1)  # ten times BODY_MIN_BYTES_PER_SECOND
        assert (status, body["code"]) == (408, "too_slow")


async def test_a_body_ends_soon_after_the_session_of_its_sender(system: System, connect: Connect) -> None:
    async with httpx.AsyncClient(base_url=system.address, timeout=30) as client:
        account = {"tenant": "saebom", "username": "staff", "password": "academy-demo"}
        token = (await client.post(TOKEN, json=account)).json()["access"]
        socket = await connect()
        socket.begin(UPLOAD, VIDEO, f"Content-Type: {MULTIPART}", token=token)
        await socket.send(LARGE_FORM)
        out = await client.post("/api/v1/auth/logout/", headers={"Authorization": f"Bearer {token}"})
        assert out.status_code == 204
    status, body = await send_until_answered(socket, b"x" * 100_000, 0.2)
    assert (status, body["code"]) == (401, "session_ended")


async def begins(socket: Socket, path: str, length: int, content_type: str, token: str) -> int:
    """Send the head of a request that expects 100 Continue, and return the status of the answer.

    If the status is 100, send the first part of the body, too.
    """
    socket.begin(path, length, "Expect: 100-continue", f"Content-Type: {content_type}", token=token)
    async with asyncio.timeout(30):
        status = int((await socket.reader.readuntil(b"\r\n")).split()[1])
    if status == 100:
        await socket.send(LARGE_FORM[: length - 1])
    return status


async def test_uploads_that_do_not_end_do_not_stop_other_senders(system: System, connect: Connect) -> None:
    names = ("hanbit", "owner"), ("hanbit", "teacher"), ("saebom", "owner")
    tokens = {name: system.access_token(*name) for name in names}
    with system.another_web() as web:
        for name, token in tokens.items():
            taken = [await begins(await connect(web.address), UPLOAD, VIDEO, MULTIPART, token) for _ in range(2)]
            assert taken == [100, 429], name
        for name, token in tokens.items():
            socket = await connect(web.address)
            assert await begins(socket, "/api/v1/auth/password/", 100_000, "application/json", token) == 100, name
