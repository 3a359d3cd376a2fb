"""Recognizes the errors with which Redis refuses writes. Such a Redis still answers reads and executes PUBLISH."""

import re

from redis.exceptions import (
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

OUT_OF_MEMORY = "OOM"
"""Redis is at `maxmemory`. Scripts with the flag `allow-oom` still write (`realtime.records.scripts`)."""

CODES = (OUT_OF_MEMORY, "READONLY", "MISCONF", "NOREPLICAS", "NOPERM", "MASTERDOWN")

_CLASSES: dict[type[RedisError], str] = {
    OutOfMemoryError: OUT_OF_MEMORY,
    ReadOnlyError: "READONLY",
    NoPermissionError: "NOPERM",
    MasterDownError: "MASTERDOWN",
}
_WORDS = re.compile(rf"\b({'|'.join(CODES)})\b")


def refusal(problem: BaseException) -> str | None:
    """Return the code with which Redis refused a write, such as "READONLY" or "MISCONF"; None for any other error."""
    for kind, code in _CLASSES.items():
        if isinstance(problem, kind):
            return code
    found = _WORDS.search(str(problem)) if isinstance(problem, ResponseError) else None
    return found[1] if found else None


def sentence(problem: BaseException) -> str:
    """Return the first sentence of an error of Redis. If Redis refused a write, the sentence contains the code."""
    code, reason = refusal(problem) or "", str(problem).strip().partition(". ")[0].rstrip(".")
    return reason if code in reason else f"{code} {reason}".strip()
