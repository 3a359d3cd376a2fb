"""The limits on request bodies: with an announced length, in chunks, slow, and longer than announced."""

import asyncio
import json
from typing import Any

import pytest

from config import body_limit
from config.body_limit import Allowance, BodyLimits, BodyRefusedError, Receive, Scope, Send, limit_body
from config.body_pace import PaceLimits
from config.body_slots import Sender, SlotLimits

SMALL, MOST = 100, 1000
ANNA = Sender(1, 1)


@pytest.fixture(autouse=True)
def small_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "SMALL_BODY_BYTES", SMALL)


class Exchange:
    """One request, whose body arrives in `parts`. After the last part, `receive` waits for ever, as in a real server.

    `announced` is the value of Content-Length. If `ends` is false, the last part is not the end of the body.
    """

    def __init__(self, *parts: bytes, announced: bytes | None = None, ends: bool = True) -> None:
        headers = [] if announced is None else [(b"content-length", announced)]
        self.scope: Scope = {"type": "http", "headers": headers}
        self.messages = [
            {"type": "http.request", "body": part, "more_body": not ends or number < len(parts) - 1}
            for number, part in enumerate(parts)
        ]
        self.read = 0
        self.sent: list[dict[str, Any]] = []
        self.read_at_answer = 0
        self.seen: bytes | None = None

    async def receive(self) -> dict[str, Any]:
        if self.messages:
            self.read += 1
            return self.messages.pop(0)
        return await asyncio.Future()

    async def send(self, message: dict[str, Any]) -> None:
        if not self.sent:
            self.read_at_answer = self.read
        self.sent.append(message)

    async def application(self, _scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message["more_body"]
        self.seen = body
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"taken"})

    async def answer(self, guard: Any = None) -> tuple[int, bytes]:
        async with asyncio.timeout(30):
            await (guard or limit_body(self.application, known))(self.scope, self.receive, self.send)
        return self.sent[0]["status"], b"".join(part["body"] for part in self.sent[1:])


async def known(_scope: Scope) -> Allowance:
    return Allowance(MOST, ANNA)


async def stranger(_scope: Scope) -> Allowance:
    raise BodyRefusedError(401, "not_authenticated", "Sign in.", (("www-authenticate", "Bearer"),))


@pytest.mark.parametrize("announced", [None, b"100"])
async def test_a_small_body_is_accepted_from_anybody(announced: bytes | None) -> None:
    exchange = Exchange(b"x" * 60, b"y" * 40, announced=announced)
    assert await exchange.answer(limit_body(exchange.application, stranger)) == (200, b"taken")
    assert exchange.seen == b"x" * 60 + b"y" * 40


@pytest.mark.parametrize("announced", [None, b"1000"])
async def test_a_larger_body_is_accepted_from_a_sender_who_may_send_it(announced: bytes | None) -> None:
    exchange = Exchange(b"x" * 600, b"y" * 400, announced=announced)
    assert await exchange.answer() == (200, b"taken")


async def test_the_application_gets_the_length_of_a_chunked_body() -> None:
    async def length_told(*parts: bytes, announced: bytes | None = None) -> list[bytes]:
        exchange = Exchange(*parts, announced=announced)
        assert await exchange.answer() == (200, b"taken")
        return [value for name, value in exchange.scope["headers"] if name == b"content-length"]

    assert await length_told(b"x" * 60, b"y" * 40) == [b"100"]
    assert await length_told(b"x" * 600, b"y" * 400) == [b"1000"]
    assert await length_told(b"x" * 60, b"y" * 40, announced=b"100") == [b"100"]
    assert await length_told(b"") == []


async def test_an_announced_body_of_a_stranger_is_refused_before_it_is_read() -> None:
    exchange = Exchange(b"x" * 101, announced=b"101")
    status, body = await exchange.answer(limit_body(exchange.application, stranger))
    assert (status, json.loads(body)["code"]) == (401, "not_authenticated")
    assert exchange.read_at_answer == 0
    assert {(b"connection", b"close"), (b"www-authenticate", b"Bearer")} <= set(exchange.sent[0]["headers"])


async def test_a_chunked_body_of_a_stranger_is_refused_when_it_is_no_longer_small() -> None:
    exchange = Exchange(*[b"x" * 60] * 5)
    status, _ = await exchange.answer(limit_body(exchange.application, stranger))
    assert status == 401
    assert exchange.read_at_answer == 2
    assert exchange.seen is None


async def test_the_refused_body_of_a_stranger_is_not_read_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "READ_ON_BYTES", 500)
    exchange = Exchange(*[b"x" * 100] * 50, announced=b"5000")
    assert (await exchange.answer(limit_body(exchange.application, stranger)))[0] == 401
    assert exchange.read == 5


@pytest.mark.parametrize("announced", [b"1001", b"-1", b"1e2", b"", b"9" * 5000])
async def test_a_too_large_body_is_refused_as_soon_as_it_is_announced(announced: bytes) -> None:
    exchange = Exchange(b"x" * 1001, announced=announced)
    status, body = await exchange.answer()
    assert status == 413
    assert json.loads(body).keys() == {"code", "message"}
    assert exchange.read_at_answer == 0
    assert exchange.seen is None


@pytest.mark.parametrize("announced", [None, b"10"])
@pytest.mark.parametrize("parts", [[b"x" * 600, b"y" * 600], [b"x" * 1001], [b"x" * 600, b"y" * 600, b"z" * 600]])
async def test_a_chunked_or_lying_body_is_refused_when_it_has_grown_too_large(
    parts: list[bytes], announced: bytes | None
) -> None:
    """The answer is sent at once, even if no further part arrives."""
    exchange = Exchange(*parts, announced=announced)
    status, body = await exchange.answer()
    assert (status, json.loads(body)["code"]) == (413, "too_large")
    assert exchange.seen is None
    assert exchange.messages == []


async def test_the_refused_body_of_a_known_client_is_read_to_its_end() -> None:
    exchange = Exchange(*[b"x" * 500] * 10, announced=b"5000")
    status, _ = await exchange.answer()
    assert status == 413
    assert exchange.messages == []


async def test_a_client_that_goes_away_while_refused_is_not_waited_for() -> None:
    exchange = Exchange(b"x" * 60, announced=b"5000", ends=False)
    exchange.messages.append({"type": "http.disconnect"})
    assert (await exchange.answer())[0] == 413


@pytest.mark.parametrize("announced", [b"90", b"900", None])
async def test_a_body_that_stops_arriving_is_given_up(announced: bytes | None) -> None:
    exchange = Exchange(b"x" * 60, announced=announced, ends=False)
    guard = limit_body(exchange.application, known, BodyLimits(PaceLimits(0.05, 1_000_000)))
    status, body = await exchange.answer(guard)
    assert (status, json.loads(body)["code"]) == (408, "too_slow")
    assert exchange.seen is None


async def test_waiting_for_the_disconnect_is_not_limited_like_the_body() -> None:
    exchange = Exchange(b"x" * 60)

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await receive()
        await exchange.application(scope, Exchange(b"x").receive, send)

    assert (await exchange.answer(limit_body(waits, known, BodyLimits(PaceLimits(0.05, 1)))))[0] == 200


async def test_the_number_of_unfinished_large_bodies_of_a_sender_is_limited() -> None:
    held, go_on = asyncio.Event(), asyncio.Event()

    async def holds(_scope: Scope, receive: Receive, send: Send) -> None:
        held.set()
        await go_on.wait()
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"taken"})

    guard = limit_body(holds, known, BodyLimits(slots=SlotLimits(unfinished_per_user=1)))
    first, second, third = (Exchange(b"x" * 500, announced=b"500") for _ in range(3))
    begun = asyncio.create_task(first.answer(guard))
    await held.wait()
    assert (await second.answer(guard))[0] == 429
    assert b"retry-after" in dict(second.sent[0]["headers"])
    go_on.set()
    assert (await begun)[0] == 200
    assert (await third.answer(guard))[0] == 200


async def test_a_body_is_refused_when_its_sender_may_no_longer_send_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "RECHECK_SECONDS", 0)
    exchange = Exchange(*[b"x" * 100] * 9, announced=b"900")

    async def recheck() -> None:
        if exchange.read == 3:
            raise BodyRefusedError(401, "session_ended", "The session has ended.")

    async def checked(_scope: Scope) -> Allowance:
        return Allowance(MOST, ANNA, recheck)

    status, body = await exchange.answer(limit_body(exchange.application, checked))
    assert (status, json.loads(body)["code"]) == (401, "session_ended")
    assert exchange.read_at_answer == 3


async def test_a_sender_is_not_checked_for_each_part_of_a_body() -> None:
    looks: list[None] = []

    async def recheck() -> None:
        looks.append(None)

    async def checked(_scope: Scope) -> Allowance:
        return Allowance(MOST, ANNA, recheck)

    exchange = Exchange(*[b"x" * 100] * 9, announced=b"900")
    assert (await exchange.answer(limit_body(exchange.application, checked)))[0] == 200
    assert looks == []


async def test_a_refused_body_takes_no_slot_while_the_rest_is_read() -> None:
    """The client may go on sending the refused body for a while. Other bodies need not wait for its end."""
    lying = Exchange(*[b"x" * 600] * 2, announced=b"500", ends=False)
    other = Exchange(b"x" * 500, announced=b"500")

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await (lying if scope is lying.scope else other).application(scope, receive, send)

    guard = limit_body(application, known, BodyLimits(slots=SlotLimits(unfinished_per_user=1)))
    reading_on = asyncio.create_task(lying.answer(guard))
    while not lying.sent:
        await asyncio.sleep(0)
    assert (await other.answer(guard))[0] == 200
    reading_on.cancel()


@pytest.mark.parametrize("announced", [None, b"1000"])
async def test_a_large_body_must_arrive_within_the_total_time(announced: bytes | None) -> None:
    """A body without an announced length is treated like a body of the largest allowed size."""
    exchange = Exchange(b"x" * 600, announced=announced, ends=False)
    limits = BodyLimits(PaceLimits(grace_seconds=60, bytes_per_second=1, total_seconds=0.05))
    status, body = await exchange.answer(limit_body(exchange.application, known, limits))
    assert (status, json.loads(body)["code"]) == (408, "too_slow")
