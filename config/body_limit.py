"""Guards request bodies before the application reads them, since Django reads each to its end and writes it to disk.

A small body is read whoever sends it. A larger one is read only after `admit` has said that its sender may send it, and
while there is a slot for it (`config.body_slots`), and only while the session of its sender holds. Every body has to
keep a least pace (`config.body_pace`).
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from config.body_pace import Pace, PaceLimits
from config.body_slots import NoSlotError, Sender, Slot, SlotLimits, Slots
from realtime.redis.clock import clock

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

SMALL_BODY_BYTES = 65_536
"""The largest body that is read before anybody knows who sends it."""
FORM_BYTES = 1_000_000
"""The form around an uploaded file."""
MAX_DIGITS = 18
"""Of an announced length: Python itself refuses to read numbers of some thousand digits."""
READ_ON_BYTES, READ_ON_SECONDS = 32_000_000, 10.0
SENDER_READ_ON_BYTES, SENDER_READ_ON_SECONDS = 200_000_000, 30.0
"""For a sender who is known. A client that still sends when its connection ends may never see the answer."""
RETRY_SECONDS = 10
RECHECK_SECONDS = 5.0
"""How often the sender of a body that is on its way is looked at again."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What `admit` says of a larger body."""

    max_bytes: int
    sender: Sender
    recheck: Callable[[], Awaitable[None]] | None = None
    """Called every few seconds while the body arrives. Raises BodyRefusedError once its sender may not send it."""


class BodyRefusedError(Exception):
    """The body is not read. The text is the answer's message."""

    def __init__(
        self, status: int, code: str, message: str, headers: tuple[tuple[str, str], ...] = (), *, known: bool = False
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers, self.known = status, code, headers, known


Admit = Callable[[Scope], Awaitable[Allowance]]
"""Says whose larger body this is, and how large it may be. Raises BodyRefusedError."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    pace: PaceLimits = field(default_factory=PaceLimits)
    slots: SlotLimits = field(default_factory=SlotLimits)


def limit_body(application: Application, admit: Admit, limits: BodyLimits | None = None) -> Application:
    """Wrap an ASGI application: it gets bodies that their senders may send, and no others.

    `scope["arrived_at"]` (Unix seconds) tells the application when the request began: a large body may take longer than
    a token lives.
    """
    limits = limits or BodyLimits()
    slots = Slots(limits.slots)

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        scope["arrived_at"] = clock.now()
        body = _Body(scope, receive, admit, slots, Pace(limits.pace))
        try:
            await body.begin()
            await application(scope, body.receive, send)
        except BodyRefusedError as refused:
            body.end()  # reading on needs no room
            await _refuse(refused, receive if body.more else None, send)
        finally:
            body.end()

    return limited


class _Body:
    """The body of one request."""

    def __init__(self, scope: Scope, receive: Receive, admit: Admit, slots: Slots, pace: Pace) -> None:
        self._scope, self._receive, self._admit, self._slots, self._pace = scope, receive, admit, slots, pace
        self._max_bytes = SMALL_BODY_BYTES
        self._received = 0
        self._slot: Slot | None = None
        self._allowance: Allowance | None = None
        self._checked_at = 0.0
        self.more = True

    async def begin(self) -> None:
        """Look at the announced length. Raises BodyRefusedError."""
        announced = dict(self._scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or len(announced) > MAX_DIGITS:
            raise BodyRefusedError(413, "too_large", "The length that the request announces is not one that is taken.")
        if int(announced) > SMALL_BODY_BYTES:
            await self._ask(int(announced))

    async def receive(self) -> Message:
        """Read on, as the application asks. Raises BodyRefusedError."""
        if not self.more:  # what comes now is that the client has gone, which may be never
            return await self._receive()
        message = await self._next()
        await self._recheck()
        self._received += len(message.get("body", b""))
        self.more = message.get("more_body", False)
        if self._received > self._max_bytes and self._slot is None:
            await self._ask(None)
        if self._received > self._max_bytes:
            raise self._too_large()
        if not self.more:
            self._tell_length()
            if self._slot is not None:
                self._slot.finish()
        return message

    def _tell_length(self) -> None:
        """Give a body that came in chunks its length, which REST framework takes for zero where none is announced.

        Django reads a body to its end before it looks at the headers.
        """
        headers = self._scope["headers"]
        if self._received and not any(name == b"content-length" for name, _ in headers):
            headers.append((b"content-length", b"%d" % self._received))

    def end(self) -> None:
        if self._slot is not None:
            self._slot.release()

    async def _next(self) -> Message:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._pace.seconds_left):
                message = await self._receive()
        except TimeoutError:
            raise self._too_slow() from None
        self._pace.waited(time.monotonic() - began, len(message.get("body", b"")))
        if self._pace.seconds_left <= 0 and message.get("more_body", False):
            raise self._too_slow()  # a timeout would not end it where the next part is there already
        return message

    async def _recheck(self) -> None:
        """Look at the sender again, from time to time: its session may have ended since."""
        if self._allowance is None or self._allowance.recheck is None:
            return
        if time.monotonic() - self._checked_at >= RECHECK_SECONDS:
            await self._allowance.recheck()
            self._checked_at = time.monotonic()

    async def _ask(self, announced: int | None) -> None:
        """Ask who sends it, and take a slot."""
        self._allowance = allowance = await self._admit(self._scope)
        self._max_bytes, self._checked_at = allowance.max_bytes, time.monotonic()
        if announced is not None and announced > allowance.max_bytes:
            raise self._too_large()
        size = allowance.max_bytes if announced is None else announced
        self._pace.expect(size)
        try:
            self._slot = self._slots.take(allowance.sender, size)
        except NoSlotError as problem:
            status, code = (429, "too_many_uploads") if problem.is_own else (503, "no_room")
            raise BodyRefusedError(
                status, code, str(problem), (("retry-after", str(RETRY_SECONDS)),), known=True
            ) from None

    def _too_large(self) -> BodyRefusedError:
        message = f"The request is larger than {_shown(self._max_bytes)}, which is all that is taken here."
        return BodyRefusedError(413, "too_large", message, known=self._allowance is not None)

    def _too_slow(self) -> BodyRefusedError:
        return BodyRefusedError(408, "too_slow", "The body of the request comes too slowly.")


def _shown(count: int) -> str:
    return f"{count // 1_000_000} MB" if count >= 1_000_000 else f"{count // 1024} KiB"  # noqa: PLR2004 - one of these


async def _refuse(refused: BodyRefusedError, receive: Receive | None, send: Send) -> None:
    """Answer at once; then read on for a while, because a client may look at the answer only when it has sent all."""
    body = json.dumps({"code": refused.code, "message": str(refused)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *((name.encode(), value.encode()) for name, value in refused.headers),
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    if receive is not None and refused.status != 408:  # noqa: PLR2004 - a slow client has had its time
        most = (SENDER_READ_ON_BYTES, SENDER_READ_ON_SECONDS) if refused.known else (READ_ON_BYTES, READ_ON_SECONDS)
        await _read_on(receive, *most)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _read_on(receive: Receive, max_bytes: int, seconds: float) -> None:
    received = 0
    try:
        async with asyncio.timeout(seconds):
            while received < max_bytes:
                message = await receive()
                received += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
