"""Sessions about the end of connections, with each close code or without one, and about refused ticket calls."""

from typing import Any

from realtime.conformance.frames import record
from realtime.conformance.scripted_server import Refusal
from realtime.conformance.sections import Section
from realtime.conformance.session import Scripted, Session

WAIT_MS = 2000
STILL_SECONDS = 2.0
"""How long a stopped client is watched: it must not reconnect. This is much longer than a client's first back-off."""
LOST = 1006
CALLS = 2
RECONNECT = {
    LOST: "lost without a code",
    4001: "no pong",
    4002: "too slow",
    4003: "the feed cannot be read",
    4102: "too many frames",
}
STOP = {4400: "bad frames", 4401: "ticket invalid", 4403: "not allowed", 4410: "revoked"}


def reconnects(code: int) -> Any:
    async def script(session: Session) -> None:
        link = await session.link()
        await link.greet([record("job:a", "PROCESSING", 1)], 1)
        await session.live()
        if code == LOST:
            await link.cut()
        else:
            await link.close(code, closing={})
        link = await session.comes_back(link)
        await link.greet([record("job:a", "DONE", 2)], 2, recovered=True)
        await session.live()
        await session.shows(("job:a", "DONE", 2))

    return script


def waits(code: int, *, close_code: int | None = None, **more: Any) -> Any:
    async def script(session: Session) -> None:
        link = await session.link()
        await link.greet([], 1)
        await session.live()
        await link.close(code, closing={"retry_after_ms": WAIT_MS, **more}, close_code=close_code)
        await session.state("waiting", Section.CLIENT)
        link = await session.comes_back(link, after=WAIT_MS / 1000, section=Section.CODES)
        await link.greet([], 2, recovered=True)
        await session.live()

    return script


async def lifetime_over(session: Session) -> None:
    link = await session.link()
    await link.greet([], 1)
    await session.live()
    old = link.ticket
    await link.close(4100, closing={})
    link = await session.comes_back(link)
    session.check(link.ticket != old, "The client gets a new ticket.", f"the ticket {link.ticket!r}")


async def stays_stopped(session: Session, code: int | None = None) -> None:
    await session.state("stopped")
    if code is not None:
        said = session.client.states[-1].code
        session.check(said == code, f"The client reports the code {code}.", f"code {said}")
    links, calls = len(session.server.links), len(session.server.ticket_calls)
    await session.during(
        STILL_SECONDS,
        lambda: (len(session.server.links), len(session.server.ticket_calls)) == (links, calls),
        "The client does not try again.",
        lambda: f"{len(session.server.links)} connections, {len(session.server.ticket_calls)} ticket calls",
    )


def stops(code: int) -> Any:
    async def script(session: Session) -> None:
        link = await session.link()
        await link.greet([record("job:a", "PROCESSING", 1)], 1)
        await session.live()
        await link.close(code, closing={})
        await stays_stopped(session, code)

    return script


async def refused_at_once(session: Session) -> None:
    link = await session.link()
    await link.close(4403)
    await stays_stopped(session, 4403)


def ticket_stops(status: int) -> Any:
    async def script(session: Session) -> None:
        session.server.refusals += [Refusal(status, "refused") for _ in range(10)]
        await stays_stopped(session)
        calls = len(session.server.ticket_calls)
        session.check(calls <= CALLS, "At most one more call, with another access token.", f"{calls} ticket calls")

    return script


def ticket_waits(status: int) -> Any:
    async def script(session: Session) -> None:
        session.server.refusals.append(Refusal(status, "busy", retry_after=2))
        link = await session.link("After the wait the client gets a ticket, and connects.")
        first, second = session.server.ticket_calls[:2]
        expected = "The client waits at least `Retry-After`, 2 s."
        session.check(second - first >= 0.97 * 2, expected, f"after {second - first:.2f} s")
        await link.greet([], 1)
        await session.live()

    return script


END_SESSIONS = [
    *[
        Scripted(
            f"close-{code}",
            f"After {code} ({why}) the client reconnects with its place.",
            Section.CODES,
            reconnects(code),
        )
        for code, why in RECONNECT.items()
    ],
    Scripted(
        "close-1012", "After 1012 the client waits `retry_after_ms`, then reconnects.", Section.CODES, waits(1012)
    ),
    Scripted(
        "close-1012-in-closing",
        "The code of `closing` counts where a server cannot send it as a close code.",
        Section.CODES,
        waits(1012, close_code=1000),
    ),
    Scripted("close-4100", "After 4100 the client reconnects with a new ticket.", Section.CODES, lifetime_over),
    Scripted(
        "close-4101", "After 4101 the client waits at least `retry_after_ms`.", Section.CODES, waits(4101, limit="user")
    ),
    *[
        Scripted(f"close-{code}", f"After {code} ({why}) the client stops.", Section.CODES, stops(code))
        for code, why in STOP.items()
    ],
    Scripted("refused-4403", "A refused handshake with 4403 stops the client.", Section.CODES, refused_at_once),
    *[
        Scripted(
            f"ticket-{status}",
            f"A ticket call answered {status} stops the client.",
            Section.CLIENT,
            ticket_stops(status),
        )
        for status in (400, 401, 403)
    ],
    *[
        Scripted(
            f"ticket-{status}",
            f"A ticket call answered {status} is repeated after `Retry-After`.",
            Section.CLIENT,
            ticket_waits(status),
        )
        for status in (429, 503)
    ],
]
