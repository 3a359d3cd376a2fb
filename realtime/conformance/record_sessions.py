"""Sessions about records: the fold, places, snapshots and topics that a client asks for by name."""

from realtime.conformance.frames import LATER_EPOCH, record
from realtime.conformance.links import MAX_TOPICS
from realtime.conformance.sections import Section
from realtime.conformance.session import Scripted, Session

PAUSE_SECONDS = 0.5
"""For how long a session checks that the client does not do what it must not do."""
MANY = 250
VERY_MANY = 2500
"""A number of topics for which a client has to pace itself. With 100 topics in each frame, it sends 25 frames to
subscribe and 25 to unsubscribe, and a server accepts 10 frames a second."""


async def first_snapshot(session: Session) -> None:
    link = await session.link()
    session.check(link.since is None, "A new client has no place.", f"since {link.since}", Section.PLACES)
    await link.welcome()
    await session.during(
        PAUSE_SECONDS,
        lambda: session.client.state != "live",
        "The client is not live before the first snapshot.",
        lambda: f"state {session.client.state!r}",
        Section.CLIENT,
    )
    await link.snapshot([record("job:a", "PROCESSING", 3), record("job:b", "DONE", 4)], 4)
    await session.live()
    await session.shows(("job:a", "PROCESSING", 3), ("job:b", "DONE", 4))
    await link.records(record("job:a", "DONE", 5), record("job:c", "PENDING", 6))
    await session.shows(("job:a", "DONE", 5), ("job:b", "DONE", 4), ("job:c", "PENDING", 6))


async def fold(session: Session) -> None:
    link = await session.link()
    await link.greet([record("job:a", "PROCESSING", 1), record("job:b", "DONE", 2), record("job:c", "FAILED", 3)], 3)
    await session.live()
    await link.records(record("job:a", "PROCESSING", 4, percent=80))
    await link.records(record("job:b", "PROCESSING", 5), record("job:c", "PENDING", 6, attempt=2))
    await link.records(record("job:c", "DONE", 7, attempt=1), record("job:d", "CANCELLED", 8))
    await session.shows(
        ("job:a", "PROCESSING", 4), ("job:b", "DONE", 2), ("job:c", "PENDING", 6), ("job:d", "CANCELLED", 8)
    )
    went_back = [
        shown for shown in session.client.history if (shown["topic"], shown["status"]) == ("job:b", "PROCESSING")
    ]
    expected = "A status of a lower rank in the same attempt changes nothing, not even for a moment."
    session.check(not went_back, expected, f"{len(went_back)} records with PROCESSING after DONE")


async def parts(session: Session) -> None:
    link = await session.link()
    await link.greet([record(f"job:{name}", "PROCESSING", number) for number, name in enumerate("abc", 1)], 3)
    await session.live()
    await link.cut()
    link = await session.comes_back(link)
    place = link.since
    await link.welcome()
    before = len(session.client.states)
    await link.part([record("job:a", "PROCESSING", 4)])
    await session.during(
        PAUSE_SECONDS,
        lambda: not link.asked and len(session.client.records) == len("abc"),
        "A part of a snapshot does not show what is absent: the client keeps all topics, and asks for none.",
        lambda: f"asked for {link.asked}, shows {sorted(session.client.records)}",
        Section.SERVER_FRAMES,
    )
    said = [line.state for line in session.client.states[before:]]
    session.check("live" not in said, "The client is not live before the last part.", f"states {said}", Section.CLIENT)
    await link.cut()
    link = await session.comes_back(link, since=place)
    await link.welcome()
    await link.part([record("job:b", "PROCESSING", 2)])
    await link.snapshot([record("job:c", "DONE", 5)], 5)
    await session.live()
    await session.asked(link, ["job:a"])
    await session.shows(("job:b", "PROCESSING", 2), ("job:c", "DONE", 5))


async def gap(session: Session) -> None:
    link = await session.link()
    await link.greet([record("job:a", "PROCESSING", 4), record("job:b", "PENDING", 5)], 5)
    await link.records(record("job:a", "PROCESSING", 6))
    await session.shows(("job:a", "PROCESSING", 6), ("job:b", "PENDING", 5))
    await link.ping(9)
    await session.until(
        lambda: link.pongs > 0, "The client answers the ping.", lambda: f"{link.pongs} pongs", Section.SERVER_FRAMES
    )
    await link.cut()
    link = await session.comes_back(link)
    await link.greet([record("job:b", "DONE", 12)], 12, recovered=True)
    await session.live()
    await session.shows(("job:a", "PROCESSING", 6), ("job:b", "DONE", 12))
    await session.during(
        PAUSE_SECONDS,
        lambda: not link.asked,
        "After `recovered: true` nothing is doubtful.",
        lambda: f"asked for {link.asked}",
    )


async def new_epoch(session: Session) -> None:
    link = await session.link()
    await link.greet([record("job:a", "PROCESSING", 900), record("job:b", "PROCESSING", 901)], 901)
    await session.live()
    shown = [record("job:a", "PROCESSING", 1, percent=70), record("job:b", "DONE", 2)]
    await link.snapshot(shown, 2, epoch=LATER_EPOCH)
    await session.shows(("job:a", "PROCESSING", 1), ("job:b", "DONE", 2))
    await link.records(record("job:a", "PROCESSING", 3))
    await session.shows(("job:a", "PROCESSING", 3), ("job:b", "DONE", 2))
    await link.cut()
    await session.comes_back(link)


async def doubtful(session: Session) -> None:
    session.server.answers |= {
        "job:older": record("job:older", "PENDING", 0, attempt=1),
        "job:failed": record("job:failed", "FAILED", 0, attempt=2),
    }
    link = await session.link()
    shown = [
        record("job:gone", "PROCESSING", 1),
        record("job:older", "PROCESSING", 2),
        record("job:ended", "DONE", 3),
        record("job:failed", "DONE", 4),
        record("job:kept", "PROCESSING", 5),
    ]
    await link.greet(shown, 5)
    await session.live()
    await link.snapshot([record("job:kept", "PROCESSING", 1)], 1, epoch=LATER_EPOCH)
    await session.asked(link, ["job:gone", "job:older", "job:ended", "job:failed"])
    await session.shows(
        ("job:older", "PENDING", 0),
        ("job:ended", "DONE", 3),
        ("job:failed", "FAILED", 0),
        ("job:kept", "PROCESSING", 1),
    )
    await link.cut()
    await session.comes_back(link)


async def asked_again(session: Session) -> None:
    link = await session.link()
    await link.greet([record("job:gone", "PROCESSING", 1)], 1)
    await session.live()
    link.answering = False
    await link.snapshot([], 1, epoch=LATER_EPOCH)
    await session.until(
        lambda: "job:gone" in link.asked,
        "The client asks by name for job:gone.",
        lambda: f"asked for {', '.join(link.asked) or 'nothing'}",
    )
    await link.cut()
    link = await session.comes_back(link)
    link.epoch = LATER_EPOCH
    await link.greet([], 1, recovered=True)
    await session.asked(link, ["job:gone"])
    await session.shows()


async def many_doubtful(session: Session) -> None:
    link = await session.link()
    await link.greet([record(f"job:{number}", "PROCESSING", number) for number in range(1, MANY + 1)], MANY)
    await session.live()
    await link.snapshot([], 1, epoch=LATER_EPOCH)
    await session.asked(link, [f"job:{number}" for number in range(1, MANY + 1)])
    most = link.most_watched
    session.check(
        most <= MAX_TOPICS,
        f"The connection watches at most {MAX_TOPICS} topics at a time.",
        f"{most} topics",
        Section.CLIENT,
    )
    await session.shows()


async def pace(session: Session) -> None:
    link = await session.link()
    await link.greet([record(f"job:{number}", "PROCESSING", number) for number in range(1, VERY_MANY + 1)], VERY_MANY)
    await session.live()
    await link.snapshot([], 1, epoch=LATER_EPOCH)
    await session.asked(link, [f"job:{number}" for number in range(1, VERY_MANY + 1)])


async def novelties(session: Session) -> None:
    link = await session.link()
    await link.send("welcome", connection="c-8f1e0d2c3b4a5968", ping_seconds=25.0, expires_in=3600, novelty=[1])
    await link.send("novelty", place_of_novelty="x", records=[], topics=["job:a"])
    with_more: dict[str, object] = {**record("job:a", "PROCESSING", 1), "novelty": {"a": 1}}
    place = link.place_at(1)
    await link.send("snapshot", id=None, place=place, recovered=False, more=False, records=[with_more], novelty=None)
    await session.live()
    await session.shows(("job:a", "PROCESSING", 1))
    await link.records(record("job:a", "DONE", 2))
    await session.shows(("job:a", "DONE", 2))
    count = len(session.server.links)
    session.check(count == 1, "The client keeps the connection.", f"{count} connections")


RECORD_SESSIONS = [
    Scripted(
        "first-snapshot", "The client is live with the first snapshot, and follows.", Section.CLIENT, first_snapshot
    ),
    Scripted("fold", "Attempt, then rank, then what came later decides.", Section.FOLD, fold),
    Scripted("parts", "A snapshot in parts, one of them cut off, counts as a whole.", Section.SERVER_FRAMES, parts),
    Scripted("gap", "The client reconnects with its place, and gets what changed.", Section.PLACES, gap),
    Scripted("new-epoch", "Offsets of two epochs are not compared.", Section.FOLD, new_epoch),
    Scripted(
        "doubtful", "What a whole snapshot lacks is asked for by name; the answer is the truth.", Section.FOLD, doubtful
    ),
    Scripted("asked-again", "A question that was not answered is asked again.", Section.CLIENT, asked_again),
    Scripted(
        "many-doubtful", "Of many doubtful topics at most 200 are watched at a time.", Section.CLIENT, many_doubtful
    ),
    Scripted("pace", "Very many doubtful topics are asked for with at most 10 frames a second.", Section.LIMITS, pace),
    Scripted("novelties", "Unknown fields and frame types are ignored.", Section.CLIENT, novelties),
]
