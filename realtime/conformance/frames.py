"""Makes the records and places that the scripted server sends."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

from realtime.protocol.frame_types import Record, RecordsShown, Unknown

FIRST_EPOCH = "5f0c2a91"
LATER_EPOCH = "c41d07be"
TERMINAL = ("READY", "DONE", "FAILED", "CANCELLED")


def record(topic: str, status: Any, offset: int, attempt: int = 1, percent: float = 50.0) -> Record:
    """Return a record as a server sends it."""
    ended = status in TERMINAL
    return {
        "offset": offset,
        "topic": topic,
        "attempt": attempt,
        "status": status,
        "data": {},
        "error": {"code": "broken", "message": "It broke."} if status == "FAILED" else None,
        "stalled": False,
        "published_at": 1771234567.125,
        "progress": None if ended else {"percent": percent, "step": None, "remaining_seconds": None},
    }


def unknown(topic: str) -> Unknown:
    return {"topic": topic, "status": "UNKNOWN"}


def filter_of(topics: Iterable[str]) -> str:
    """Return the last part of a place, which depends on the watched topics."""
    return f"{zlib.crc32(','.join(sorted(topics)).encode()):08x}"


def place_of(epoch: str, offset: int, topics: Iterable[str]) -> str:
    return f"{epoch}.{offset}.{filter_of(topics)}"


def named(answers: dict[str, Record], topics: Iterable[str]) -> RecordsShown:
    """Return what a server answers for topics that a client names: for each its record, or that it is unknown.

    Patterns that end with `*` name no topic and get no answer.
    """
    return [answers.get(topic) or unknown(topic) for topic in topics if not topic.endswith("*")]
