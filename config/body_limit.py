"""Limits request bodies before the application reads them. Django would read any body to its end and write it to disk.

A small body is accepted from anybody. A larger one is read only if `admit` allows its sender to send it, if there is a
slot for it (`config.body_slots`), and while its sender's session is valid. Every body must keep a minimum pace
(`config.body_pace`).
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
"""The largest body that is accepted from anybody."""
MAX_DIGITS = 18
"""How many digits Content-Length may have. Python refuses to parse numbers of thousands of digits."""
READ_ON_BYTES, READ_ON_SECONDS = 32_000_000, 10.0
"""How much of a refused body is still read, and for how long.

A client may miss the answer if its connection is closed while it still sends the body.
"""
SENDER_READ_ON_BYTES, SENDER_READ_ON_SECONDS = 200_000_000, 30.0
"""How much of a refused body is still read, and for how long, if its sender has a valid access token."""
RETRY_SECONDS = 10
RECHECK_SECONDS = 5.0
"""While a body arrives, its sender is checked again whenever this many seconds have passed."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What `admit` returns for a body above `SMALL_BODY_BYTES`: its sender, and the size that it may have."""

    max_bytes: int
    sender: Sender
    recheck: Callable[[], Awaitable[None]] | None = None
    """Called every few seconds while the body arrives. Raises BodyRefusedError if its sender may no longer send it."""


class BodyRefusedError(Exception):
    """The body is refused. The text is the message of the answer.

    `known` is true if the sender has a valid access token.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: tuple[tuple[str, str], ...] = (), *, known: bool = False
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers, self.known = status, code, headers, known


Admit = Callable[[Scope], Awaitable[Allowance]]
"""Called for a body above `SMALL_BODY_BYTES`. Raises BodyRefusedError if the body is refused."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The limits on the pace and the number of request bodies."""

    pace: PaceLimits = field(default_factory=PaceLimits)
    slots: SlotLimits = field(default_factory=SlotLimits)


def limit_body(application: Application, admit: Admit, limits: BodyLimits | None = None) -> Application:
    """Wrap an ASGI application, so that it receives only bodies within the limits.

    `scope["arrived_at"]` is set to when the request began, in Unix seconds. The application compares the expiry of
    tokens with that time, because a token may expire while a large body arrives.
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
            body.end()  # the rest of the body is read, but not kept, so it needs no slot
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
        """Check the Content-Length and, if it is large, the sender.

        Raises BodyRefusedError if either is not accepted.
        """
        announced = dict(self._scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or len(announced) > MAX_DIGITS:
            raise BodyRefusedError(413, "too_large", "The Content-Length of the request is not accepted.")
        if int(announced) > SMALL_BODY_BYTES:
            await self._admit_sender(int(announced))

    async def receive(self) -> Message:
        """Receive the next part of the body for the application.

        Raises BodyRefusedError if the body is too large or too slow, if its sender may not or may no longer send it, or
        if there is no slot for it.
        """
        if not self.more:  # the next message is a disconnect: wait for it without a time limit
            return await self._receive()
        message = await self._next()
        await self._recheck()
        self._received += len(message.get("body", b""))
        self.more = message.get("more_body", False)
        if self._received > self._max_bytes and self._slot is None:
            await self._admit_sender(None)
        if self._received > self._max_bytes:
            raise self._too_large()
        if not self.more:
            self._add_length()
            if self._slot is not None:
                self._slot.finish()
        return message

    def _add_length(self) -> None:
        """Add a Content-Length header if the body was chunked. Without it, REST framework assumes an empty body.

        It is not too late to add the header, because Django reads a body to its end before it reads the headers.
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
            raise self._too_slow()  # a part that can be received without waiting does not run into the timeout above
        return message

    async def _recheck(self) -> None:
        """Check whether the sender's session has ended, at most once in `RECHECK_SECONDS`.

        Raises BodyRefusedError if the sender may no longer send the body.
        """
        if self._allowance is None or self._allowance.recheck is None:
            return
        if time.monotonic() - self._checked_at >= RECHECK_SECONDS:
            await self._allowance.recheck()
            self._checked_at = time.monotonic()

    async def _admit_sender(self, announced: int | None) -> None:
        """Check who sends the body, and take a slot for the body.

        `announced` is the Content-Length, or None if there is none. Raises BodyRefusedError if the sender may not send
        the body, if the body is too large, or if there is no slot.
        """
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
        message = f"The request is larger than {_shown(self._max_bytes)}, which is the limit here."
        return BodyRefusedError(413, "too_large", message, known=self._allowance is not None)

    def _too_slow(self) -> BodyRefusedError:
        return BodyRefusedError(408, "too_slow", "The body of the request arrives too slowly.")


def _shown(count: int) -> str:
    return f"{count // 1_000_000} MB" if count >= 1_000_000 else f"{count // 1024} KiB"  # noqa: PLR2004 - MB or KiB


async def _refuse(refused: BodyRefusedError, receive: Receive | None, send: Send) -> None:
    """Answer at once. Then read on for a while, because some clients send the whole body before reading any answer."""
    body = json.dumps({"code": refused.code, "message": str(refused)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *((name.encode(), value.encode()) for name, value in refused.headers),
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    if receive is not None and refused.status != 408:  # noqa: PLR2004 - a body that is too slow is not read on
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
