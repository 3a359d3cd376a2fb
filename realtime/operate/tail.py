"""Prints a feed in a terminal: its present records, then each new one. `tail` runs a hub with a single subscriber."""

import asyncio
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from realtime.connect.connections import Connections, MaxConnections
from realtime.connect.link_health import Health
from realtime.connect.revocation import Revocations
from realtime.feed.hub import Hub
from realtime.feed.reader import FeedReader
from realtime.feed.subscriber import Subscriber
from realtime.protocol.frames import Frame
from realtime.records.errors import FeedUnavailableError
from realtime.records.scripts import Limits
from realtime.records.topics import TopicFilter
from realtime.settings import Settings

log = structlog.get_logger(__name__)

Say = Callable[[str], None]


class _Printer:
    """A transport that prints the records of each frame."""

    waits_for_client = True

    def __init__(self, write: Say, say: Say, line_of: Callable[[dict[str, Any]], str]) -> None:
        self._write, self._say, self._line_of = write, say, line_of
        self._begun = False

    def send(self, frame: Frame) -> None:
        content = orjson.loads(frame.body)
        for record in content.get("records", ()):
            self._write(self._line_of(record))
        if frame.kind == "snapshot" and frame.place is not None:
            self._say("A new epoch has begun: this was the whole feed." if self._begun else "New records follow.")
            self._begun = True


class _TailedHub(Hub):
    """A hub that calls `say` when Redis cannot be reached, and when Redis is back."""

    def __init__(self, reader: FeedReader, limits: Limits, say: Say) -> None:
        super().__init__(reader, limits)
        self._say = say
        self._away = False

    def on_lost(self) -> None:
        self._away = True
        self._say("Redis cannot be reached. Changes are shown when it is back.")
        super().on_lost()

    def on_confirmed(self, tenant_id: int) -> None:
        if self._away:
            self._away = False
            self._say("Redis is back.")
        super().on_confirmed(tenant_id)


async def tail(  # noqa: PLR0913 - what the command reads from the settings
    reader: FeedReader,
    tenant_id: int,
    topics: TopicFilter,
    *,
    revocations: Revocations,
    write: Say,
    say: Say,
    as_json: bool = False,
    limits: Limits | None = None,
    probe_seconds: float = Settings.probe_seconds,
) -> None:
    """Call `write` with a line for each record of these topics, until cancelled.

    `say` is called with messages for people, such as that Redis cannot be reached. Raise OSError if `write` raises it.
    """
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def written(line: str) -> None:
        try:
            write(line)
        except OSError as problem:  # the reader of our output is gone
            if not failed.done():
                failed.set_exception(problem)

    hub = _TailedHub(reader, limits or Limits(), say).start()
    health = Health(reader, hub, Connections(MaxConnections(0, 0, 0)), probe_seconds, revocations)
    subscriber = Subscriber(tenant_id, topics, _Printer(written, say, _json_line if as_json else line_of))
    probing = asyncio.get_running_loop().create_task(health.run())
    try:
        await _join(hub, subscriber, say)
        await failed
    finally:
        probing.cancel()
        hub.leave(subscriber)
        await hub.close()


async def _join(hub: Hub, subscriber: Subscriber, say: Say) -> None:
    while True:
        try:
            return await hub.join(subscriber)
        except FeedUnavailableError as problem:
            say(f"{problem} Trying again.")
            await asyncio.sleep(1)


def _json_line(record: dict[str, Any]) -> str:
    return orjson.dumps(record).decode()


def line_of(record: Mapping[str, Any]) -> str:
    """Return a record as a line of text: time in UTC, topic, attempt and status.

    Progress, "stalled" and the error follow if the record has them. An UNKNOWN record has only a topic and a status.
    """
    if "attempt" not in record:
        return _printable(f"{'':13}  {record['topic']:<40}  {record['status']}")
    at = datetime.fromtimestamp(record["published_at"], UTC)
    parts = [
        f"{at:%H:%M:%S}.{at.microsecond // 1000:03}Z",
        f"{record['topic']:<40}",
        f"attempt {record['attempt']}",
        f"{record['status']:<10}",
        *_progress_parts(record.get("progress")),
        *(["stalled"] if record.get("stalled") else []),
        *([f"{record['error']['code']}: {record['error']['message']}"] if record.get("error") else []),
    ]
    return _printable("  ".join(parts).rstrip())


def _progress_parts(progress: Mapping[str, Any] | None) -> list[str]:
    if not progress:
        return []
    parts = [f"{progress['percent']:5.1f} %"]
    if step := progress.get("step"):
        parts.append(f"{step['index']}/{step['total']} {step['name']} {step['percent']:.0f} %")
    if (remaining := progress.get("remaining_seconds")) is not None:
        parts.append(f"{math.ceil(remaining)} s left")
    return parts


def _printable(line: str) -> str:
    """Replace characters that a terminal would interpret, because workers may write any text."""
    return "".join(letter if letter.isprintable() else "�" for letter in line)
