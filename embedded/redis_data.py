"""What lies in a folder of Redis, and why a Redis could not open it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HEAD_BYTES = 256
# The head of a dump: REDIS0012 (Valkey 9: VALKEY080), then names and values, each with its length in front.
_WRITER = re.compile(rb"(redis|valkey)-ver([\x01-\x3f])", re.DOTALL)
_WARNING = re.compile(r"^\d+:[A-Z] [^#*]* # (.+)$", re.MULTILINE)
_BEGINS_TO_READ = "Server initialized"
_OF_THE_SYSTEM = "WARNING"  # memory overcommit, huge pages


def is_there(folder: Path) -> bool:
    """Whether anything was written there."""
    return folder.is_dir() and any(folder.iterdir())


def writer(folder: Path) -> str | None:
    """The server that wrote the newest dump there, such as "Redis 8.2.3"; None if no dump says so.

    The dump is the base of an append-only file, or stands alone. What was appended since may be of a later version.
    """
    dumps = [*folder.glob("appendonlydir/*.rdb"), *folder.glob("*.rdb")]
    for dump in sorted(dumps, key=lambda file: file.stat().st_mtime, reverse=True):
        with dump.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if found := _WRITER.search(head):
            version = head[found.end() : found.end() + found[2][0]].decode("ascii", "replace")
            return f"{found[1].decode().capitalize()} {version}"
    return None


def complaint(log_file: Path, since: int) -> str | None:
    """The first warning of a server that began to read its data: why it could not. None if its log has none.

    `since` is the length of the log before that server was started.
    """
    with log_file.open("rb") as file:
        file.seek(since)
        log = file.read().decode("utf-8", "replace")
    _, began, said = log.partition(_BEGINS_TO_READ)
    warnings = (found[1].strip().rstrip(".") for found in _WARNING.finditer(said)) if began else ()
    return next((text for text in warnings if not text.startswith(_OF_THE_SYSTEM)), None)
