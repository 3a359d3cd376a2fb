"""The checks that judge a server. Each check opens connections of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from realtime.conformance.links import MAX_FRAME_BYTES, MAX_TOPICS
from realtime.conformance.sections import Section
from realtime.conformance.server_client import SUBPROTOCOL, Frame, Judged

GRACE_SECONDS = 5.0
FRAMES_AT_ONCE = 60
UNUSABLE_PLACE = "0.0.0"
WRONG_FRAMES: list[Any] = [
    "no JSON",
    "[]",
    {"type": "nothing"},
    {"type": "pong", "more": 1},
    {"type": "subscribe", "topics": ["job:a"]},
    '{"type": "subscribe", "id": 1.0, "topics": ["job:a"]}',
    {"type": "subscribe", "id": 7, "topics": []},
    {"type": "unsubscribe", "id": 7, "topics": ["No topic"]},
    {"type": "refresh", "ticket": "x" * MAX_FRAME_BYTES},
    {"type": "subscribe", "id": 7, "topics": ["job:a"] * (MAX_TOPICS + 1)},
]
"""The server answers each of these frames with an error. The tenth error ends the connection."""


def some_topic() -> str:
    """Return a random topic, of which no server has a record."""
    return f"conformance:{uuid4().hex}"


async def welcome(judged: Judged) -> None:
    async with await judged.socket() as socket:
        judged.equal(socket.subprotocol, SUBPROTOCOL, f"The server chooses {SUBPROTOCOL}.")
        _, parts = await socket.start()
        said = parts[-1]["recovered"]
        judged.check(not said, "Without a place, everything is sent.", f"recovered {said}")
        judged.saw("Only the last part of the snapshot has a place.", f"{len(parts)} parts")


async def bearer(judged: Judged) -> None:
    async with await judged.socket(bearer=await judged.new_ticket()) as socket:
        await socket.start()
        judged.saw("A ticket is accepted as a bearer token too.", "a welcome")


async def refused(judged: Judged) -> None:
    good = await judged.new_ticket()
    for ticket, query, code, what in (
        ("", {}, 4401, "no ticket"),
        ("forged", {}, 4401, "a forged ticket"),
        (good, {"topics": "No-topic"}, 4400, "a text that is no topic"),
    ):
        async with await judged.socket(ticket, **query) as socket:
            first = await socket.read(f"A client with {what} is refused.")
            if first is not None:
                judged.equal(first["type"], "closing", f"With {what} only `closing` may come.")
                await socket.until_closed()
            closed = socket.closed or (0, "")
            judged.equal(closed[0], code, f"A client with {what} is closed with {code}.", Section.CODES)


async def foreign_origin(judged: Judged) -> None:
    url = judged.address("websocket").replace("http", "ws", 1)
    try:
        async with connect(url, origin="https://foreign.example", subprotocols=[SUBPROTOCOL]):  # type: ignore[arg-type, list-item]
            status = 101
    except InvalidStatus as answer:
        status = answer.response.status_code
    judged.equal(status, 403, "A page of a foreign Origin gets HTTP 403.")


async def check_recovered(judged: Judged, place: str | None, what: str, *, expected: bool, **query: str) -> None:
    async with await judged.socket(since=str(place), **query) as socket:
        _, parts = await socket.start()
        said = {part["recovered"] for part in parts}
        judged.equal(said, {expected}, f"{what}: `recovered` is {str(expected).lower()}.")


async def places(judged: Judged) -> None:
    topic = some_topic()
    async with await judged.socket(topics=topic) as socket:
        _, parts = await socket.start()
        shown = [record for part in parts for record in part["records"] if record["topic"] == topic]
        judged.check(
            len(shown) == 1, "A named topic is in the snapshot, with a record or UNKNOWN.", shown, Section.FOLD
        )
    await check_recovered(judged, socket.place, "With a place that is usable", expected=True, topics=topic)
    await check_recovered(judged, UNUSABLE_PLACE, "With a place of another epoch", expected=False, topics=topic)
    await check_recovered(judged, socket.place, "With a place of other topics", expected=False, topics=some_topic())


async def subscriptions(judged: Judged) -> None:
    first, second = some_topic(), some_topic()
    async with await judged.socket(topics=first) as socket:
        await socket.start()
        await socket.send({"type": "subscribe", "id": 2, "topics": [second]})
        answer = await socket.expect("subscribed")
        judged.equal(answer["id"], 2, "The answer has the id of the question.")
        shown = [record["topic"] for record in answer["records"]]
        judged.equal(shown, [second], "It has a record, or UNKNOWN, for each named topic.")
        both = answer["place"]
        await socket.send({"type": "unsubscribe", "id": 3, "topics": [second]})
        answer = await socket.expect("unsubscribed")
        judged.equal(answer["id"], 3, "The answer has the id of the question.")
        await socket.send({"type": "subscribe", "id": 4, "topics": [first]})
        await socket.expect("subscribed")
        await socket.send({"type": "unsubscribe", "id": 5, "topics": [first]})
        kept = await socket.expect("unsubscribed")
    await check_recovered(
        judged, both, "The place of `subscribed` fits all topics", expected=True, topics=f"{first},{second}"
    )
    await check_recovered(
        judged, answer["place"], "The place of `unsubscribed` fits those that are left", expected=True, topics=first
    )
    what = "The place fits the topics with which the connection began, even if they were removed"
    await check_recovered(judged, kept["place"], what, expected=True, topics=first)


async def many_topics(judged: Judged) -> None:
    async with await judged.socket(topics=some_topic()) as socket:
        await socket.start()
        await socket.send({"type": "subscribe", "id": 4, "topics": [f"job:c{n}" for n in range(MAX_TOPICS)]})
        error = await socket.expect("error")
        said = error["code"], error["id"]
        judged.equal(said, ("too_many_topics", 4), "More than 200 topics are refused with `too_many_topics`.")
        await socket.send({"type": "subscribe", "id": 5, "topics": ["job:c1"]})
        await socket.expect("subscribed")
        judged.saw("The connection continues.", "subscribed")


async def wrong_frames(judged: Judged) -> None:
    async with await judged.socket() as socket:
        await socket.start()
        for frame in WRONG_FRAMES[:-1]:
            await socket.send(frame)
            error = await socket.expect("error")
            wanted = {None, frame.get("id") if isinstance(frame, dict) else None}
            right = error["code"] == "bad_frame" and error["id"] in wanted
            judged.check(
                right, f"{str(frame)[:60]} is answered with `bad_frame`.", f"{error['code']}, id {error['id']}"
            )
        await socket.send(WRONG_FRAMES[-1])
        code = await socket.until_closed()
        judged.equal(code, 4400, "The tenth `error` closes the connection with 4400.", Section.LIMITS)


async def many_frames(judged: Judged) -> None:
    async with await judged.socket() as socket:
        await socket.start()
        for _ in range(FRAMES_AT_ONCE):
            await socket.send({"type": "pong"})
        code = await socket.until_closed()
        judged.equal(code, 4102, f"{FRAMES_AT_ONCE} frames at once close the connection with 4102.")


async def refresh(judged: Judged) -> None:
    async with await judged.socket() as socket:
        await socket.start()
        await socket.send({"type": "refresh", "ticket": "forged"})
        error = await socket.expect("error")
        judged.check(
            error["code"] == "ticket_invalid", "A forged ticket is refused with `ticket_invalid`.", error["code"]
        )
        await socket.send({"type": "refresh", "ticket": await judged.new_ticket()})
        answer = await socket.expect("refreshed")
        judged.check(
            answer["expires_in"] > 0, "A new ticket extends the connection's life.", f"{answer['expires_in']} s"
        )


async def pings(judged: Judged) -> None:
    async with await judged.socket() as socket:
        period = (await socket.start())[0]["ping_seconds"]
        for number in (1, 2, 3, 4):
            await socket.expect("ping", period + GRACE_SECONDS)
            judged.saw(f"There is a ping within {period:g} s, and the connection stays.", f"ping {number}")
            await socket.send({"type": "pong"})


async def no_pong(judged: Judged) -> None:
    async with await judged.socket() as socket:
        period = (await socket.start())[0]["ping_seconds"]
        code = await socket.until_closed(4 * period + GRACE_SECONDS, pongs=False)
        judged.equal(code, 4001, "After two pings without a pong the connection is closed with 4001.")


async def events(judged: Judged) -> None:
    sent = {"Authorization": f"Bearer {await judged.new_ticket()}"}
    topic = some_topic()
    frames: list[Frame] = []
    for more in ({}, {"Last-Event-ID": ""}):
        if more:
            more["Last-Event-ID"] = frames[-1]["place"]
        answer = await judged.request("events", headers=sent | more, topics=topic, since=UNUSABLE_PLACE)
        judged.equal(answer.status, 200, "The stream opens with HTTP 200.")
        kind = answer.headers.get("content-type", "").partition(";")[0]
        judged.equal(kind, "text/event-stream", "Its Content-Type is text/event-stream.")
        retry = await asyncio.to_thread(answer.event)
        judged.check(retry.get("retry", [""])[0].isdigit(), "It begins with `retry`.", retry)
        frames = [await asyncio.to_thread(answer.frame) for _ in range(2)]
        kinds = [frame["type"] for frame in frames]
        judged.equal(kinds, ["welcome", "snapshot"], "`welcome` and `snapshot` come first.")
        said = frames[1]["recovered"]
        judged.check(said is bool(more), "`Last-Event-ID` takes precedence over `since`.", f"recovered {said}")
        answer.close()


async def events_refused(judged: Judged) -> None:
    good = {"Authorization": f"Bearer {await judged.new_ticket()}"}
    for status, what, method, headers, query in (
        (401, "Without a ticket", "GET", {}, {}),
        (401, "With a forged ticket", "GET", {"Authorization": "Bearer forged"}, {}),
        (400, "With a text that is no topic", "GET", good, {"topics": "No-topic"}),
        (405, "With another method", "POST", good, {}),
    ):
        answer = await judged.request("events", method, headers, **query)
        judged.equal(answer.status, status, f"{what}: HTTP {status}.")
        body = await asyncio.to_thread(answer.json)
        has_both = isinstance(body, dict) and {"code", "message"} <= body.keys()
        judged.check(has_both, f"{what}: the body has `code` and `message`.", body)


async def records(judged: Judged) -> None:
    async with await judged.socket() as socket:
        await socket.start()
        before = socket.place
        await judged.publish()
        frame = await socket.expect("records")
        offsets = [record["offset"] for record in frame["records"]]
        judged.equal(offsets, sorted(offsets), "A changed record arrives, the oldest first.")
        judged.check(frame["place"] != before, "Its place is another one.", frame["place"])
    async with await judged.socket(since=str(before)) as socket:
        _, parts = await socket.start()
        judged.check(parts[0]["recovered"], "With the place before it: `recovered` is true.", parts[0]["recovered"])
        shown = {record["topic"] for part in parts for record in part["records"]}
        missed = {record["topic"] for record in frame["records"]} - shown
        judged.equal(missed, set(), "Everything that changed since is in the snapshot.")


@dataclass(frozen=True)
class ServerCheck:
    """A check of a server. If `publishes` is true, it only runs if the user gives a command that changes a record."""

    name: str
    title: str
    section: Section
    script: Callable[[Judged], Awaitable[None]]
    publishes: bool = False


SERVER_CHECKS = {
    check.name: check
    for check in (
        ServerCheck("welcome", "A welcome comes first, then a snapshot.", Section.SERVER_FRAMES, welcome),
        ServerCheck("bearer", "A ticket may be sent as a bearer token.", Section.CONNECTING, bearer),
        ServerCheck("refused", "Refusals are close codes.", Section.CONNECTING, refused),
        ServerCheck("foreign-origin", "Pages of other origins are refused.", Section.CONNECTING, foreign_origin),
        ServerCheck("places", "A place is usable in its epoch, for its topics.", Section.PLACES, places),
        ServerCheck("subscriptions", "Topics are added and removed.", Section.CLIENT_FRAMES, subscriptions),
        ServerCheck("many-topics", "A connection watches at most 200 topics.", Section.LIMITS, many_topics),
        ServerCheck(
            "wrong-frames", "Wrong frames are answered, the tenth ends it.", Section.CLIENT_FRAMES, wrong_frames
        ),
        ServerCheck("many-frames", "Too many frames end the connection.", Section.LIMITS, many_frames),
        ServerCheck("refresh", "A connection's life is extended.", Section.CLIENT_FRAMES, refresh),
        ServerCheck("records", "Changes arrive, also later.", Section.PLACES, records, publishes=True),
        ServerCheck("pings", "Pings come, and pongs keep the connection.", Section.SERVER_FRAMES, pings),
        ServerCheck("no-pong", "Without pongs the connection ends.", Section.LIMITS, no_pong),
        ServerCheck("events", "A stream of events has the same frames.", Section.EVENTS, events),
        ServerCheck("events-refused", "Refusals of a stream are HTTP answers.", Section.EVENTS, events_refused),
    )
}
