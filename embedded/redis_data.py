"""Finds out which server wrote the data in a folder of Redis, and why a server could not open them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HEAD_BYTES = 256
# A dump begins with REDIS0012 (Valkey 9: VALKEY080). Facts about the dump follow, such as the name redis-ver and its
# value 8.2.3. The length of each name and of each value is stored before it.
_WRITER = re.compile(rb"(redis|valkey)-ver([\x01-\x3f])", re.DOTALL)
_WARNING = re.compile(r"^\d+:[A-Z] [^#*]* # (.+)$", re.MULTILINE)
_BEGINS_TO_READ = "Server initialized"
_OF_THE_SYSTEM = "WARNING"  # begins warnings about the system: memory overcommit, huge pages


def is_there(folder: Path) -> bool:
    """Return whether the folder has data."""
    return folder.is_dir() and any(folder.iterdir())


def writer(folder: Path) -> str | None:
    """Return the server that wrote the newest dump, such as "Redis 8.2.3", or None if no dump names one.

    The dump may be the base of an append-only file. A later version may have appended to that file since.
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
    """Return why a server could not read its data: its first warning after it began to read, or None.

    `since` is the length of the log before the server was started.
    """
    with log_file.open("rb") as file:
        file.seek(since)
        log = file.read().decode("utf-8", "replace")
    _, began, said = log.partition(_BEGINS_TO_READ)
    warnings = (found[1].strip().rstrip(".") for found in _WARNING.finditer(said)) if began else ()
    return next((text for text in warnings if not text.startswith(_OF_THE_SYSTEM)), None)
