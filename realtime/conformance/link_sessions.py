"""Sessions about the connection: pings, silence, a slow server, new tickets, back-off, and blocked transports."""

import asyncio

from realtime.conformance.frames import FIRST_EPOCH, LATER_EPOCH, record
from realtime.conformance.sections import Section
from realtime.conformance.session import Scripted, Session

GRACE_SECONDS = 5.0
SLOW_SECONDS = 7.0
FIRST_FRAME_SECONDS = 20.0
PING_SECONDS = 0.2
PINGS_BEFORE_REFRESH = 50
ATTEMPTS = 2
"""If a proxy refuses WebSockets, a client tries this many before it tries another transport."""
LEAST_SECONDS = 0.25
"""The sum of a correct client's four random waits is greater than this, except once in 20,000 runs."""


async def pings(session: Session) -> None:
    link = await session.link()
    await link.greet([], 1)
    await session.live()
    for number in (1, 2, 3):
        await link.ping(number)
        await session.until(
            lambda number=number: link.pongs >= number,  # type: ignore[misc]
            "The client answers each ping with a pong.",
            lambda: f"{link.pongs} pongs",
        )


async def delayed(session: Session) -> None:
    link = await session.link()
    await link.greet([record("job:a", "PROCESSING", 1)], 1)
    await session.live()
    await link.send("delayed", seconds=7.4)
    await session.state("delayed")
    await link.records(record("job:a", "DONE", 2))
    await session.live()
    await session.shows(("job:a", "DONE", 2))
    count = len(session.server.links)
    session.check(count == 1, "The client keeps the connection, which is good.", f"{count} connections")


async def silence(session: Session) -> None:
    link = await session.link()
    await link.welcome(ping_seconds=1)
    await link.snapshot([], 1)
    await session.live()
    await session.state("delayed", Section.CLIENT)
    new = await session.link("The client gives up a link that is silent for twice `ping_seconds` and 5 s.")
    waited = new.opened_at - link.heard_at
    expected = f"Not earlier than {2 + GRACE_SECONDS:g} s after the last frame."
    session.check(waited >= 0.97 * (2 + GRACE_SECONDS), expected, f"after {waited:.2f} s")
    session.check(new.since == link.place, f"With its place {link.place}.", f"since {new.since}", Section.PLACES)


async def slow(session: Session) -> None:
    link = await session.link()
    expected = "The client waits for a slow server, and is not live meanwhile."

    async def pause() -> None:
        await session.during(
            SLOW_SECONDS,
            lambda: not link.ended and session.client.state != "live",
            expected,
            lambda: f"state {session.client.state!r}, the connection is {'closed' if link.ended else 'open'}",
        )

    await pause()
    await link.welcome()
    await pause()
    await link.part([record("job:a", "PENDING", 1)])
    await link.snapshot([record("job:b", "PENDING", 2)], 2)
    await session.live()
    await session.shows(("job:a", "PENDING", 1), ("job:b", "PENDING", 2))
    count = len(session.server.links)
    session.check(count == 1, "All on the first connection.", f"{count} connections")


async def refresh(session: Session) -> None:
    link = await session.link()
    await link.welcome(expires_in=3)
    await link.snapshot([], 1)
    await session.live()
    for number in range(PINGS_BEFORE_REFRESH):
        if not link.refreshes:
            await link.ping(number)
            await asyncio.sleep(PING_SECONDS)
    sent = len(link.refreshes)
    expected = "After four fifths of `expires_in` the client sends `refresh`."
    session.check(sent > 0, expected, f"{sent} such frames", Section.CLIENT)
    fresh = link.refreshes[0] in session.server.tickets and link.refreshes[0] != link.ticket
    session.check(fresh, "With a new ticket.", f"ticket {link.refreshes[0]!r}", Section.CLIENT_FRAMES)
    count = len(session.server.links)
    session.check(count == 1, "The connection stays.", f"{count} connections")


async def refused_early(session: Session) -> None:
    for _ in range(3):
        link = await session.link("The client tries a WebSocket again: a code is from the server, not from a proxy.")
        session.check(link.kind == "WebSocket", "A WebSocket.", f"a {link.kind}")
        await link.close(4003)
    link = await session.link()
    session.check(link.kind == "WebSocket", "Still a WebSocket.", f"a {link.kind}")
    await link.greet([], 1)
    await session.live()


async def back_off(session: Session) -> None:
    first = await session.link()
    link = first
    await link.greet([], 1)
    for _ in range(4):
        await link.close(4002)
        link = await session.comes_back(link)
        await link.greet([], 1, recovered=True)
    waited = link.opened_at - first.opened_at
    expected = "Each wait is random, up to a limit that doubles from 0.5 s, and a short connection does not reset it."
    session.check(waited > LEAST_SECONDS, expected, f"four connections in {waited:.2f} s")


async def websocket_blocked(session: Session) -> None:
    session.server.sockets_blocked = True
    session.server.answers["job:b"] = record("job:b", "DONE", 0)
    link = await session.link("After two WebSockets without a frame the client reads Server-Sent Events.")
    session.check(link.kind == "stream of events", "A stream of events.", f"a {link.kind}")
    tried = len(session.server.socket_refusals)
    session.check(tried == ATTEMPTS, "Two attempts with a WebSocket before it.", f"{tried} attempts")
    await link.greet([record("job:a", "PENDING", 1), record("job:b", "PROCESSING", 2)], 2)
    await session.live()
    await link.records(record("job:a", "PROCESSING", 3))
    await session.shows(("job:a", "PROCESSING", 3), ("job:b", "PROCESSING", 2))
    await link.cut()
    link = await session.comes_back(link)
    await link.greet([record("job:a", "DONE", 1)], 1, epoch=LATER_EPOCH)
    await session.shows(("job:a", "DONE", 1), ("job:b", "DONE", 0))
    asked = [poll.topics for poll in session.server.polls]
    session.check("job:b" in ",".join(asked).split(","), "A doubtful topic is polled for by name.", f"polls {asked}")


async def events_buffered(session: Session) -> None:
    server = session.server
    server.sockets_blocked = server.events_buffered = True
    server.polled = FIRST_EPOCH, 1, [record("job:a", "PROCESSING", 1)]
    await session.until(
        lambda: bool(server.polls),
        f"A stream that delivers nothing for {FIRST_FRAME_SECONDS:g} s is given up, and the client polls.",
        lambda: f"{len(server.polls)} polls",
        Section.CLIENT,
    )
    await session.shows(("job:a", "PROCESSING", 1))
    await session.state("polling", Section.CLIENT)
    server.polled = FIRST_EPOCH, 2, [record("job:a", "DONE", 2)]
    await session.shows(("job:a", "DONE", 2))
    since = server.polls[1].since or ""
    expected = "Each poll has the place of the last answer."
    session.check(since.startswith(f"{FIRST_EPOCH}.1."), expected, f"since {since or None}", Section.POLL)


LINK_SESSIONS = [
    Scripted("pings", "Each ping is answered with a pong.", Section.SERVER_FRAMES, pings),
    Scripted("delayed", "`delayed` is shown, and the connection is kept.", Section.SERVER_FRAMES, delayed),
    Scripted("silence", "A silent link is delayed first, then given up.", Section.CLIENT, silence),
    Scripted("slow", "A slow server is waited for.", Section.CLIENT, slow),
    Scripted("refresh", "The connection's life is extended with a new ticket.", Section.CLIENT, refresh),
    Scripted(
        "refused-early",
        "A code of the server before the first frame is no sign of a proxy.",
        Section.CLIENT,
        refused_early,
    ),
    Scripted("back-off", "Connections that break at once are not replaced at once.", Section.CLIENT, back_off),
    Scripted(
        "websocket-blocked",
        "Where no WebSocket gets through, Server-Sent Events do.",
        Section.CLIENT,
        websocket_blocked,
        ("websocket", "events", "polls"),
    ),
    Scripted(
        "events-buffered",
        "Where a proxy buffers the events too, polls get through.",
        Section.CLIENT,
        events_buffered,
        ("websocket", "events", "polls"),
    ),
]
