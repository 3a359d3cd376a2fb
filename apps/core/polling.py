"""What is common to the progress endpoints: answers from Redis only, that say when to ask again."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from realtime.redis.clock import clock

CACHING = "private, no-cache"
"""A client's own copy may be shown again after it was asked for with its ETag: that is what 304 is for."""


def answer_poll(
    request: Request, record: Mapping[str, Any] | None, shown: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> Response:
    """The record as `shown` has it, with `ETag` (304 if nothing changed) and `Retry-After`; UNKNOWN if it is None."""
    if record is None:
        return Response({"status": "UNKNOWN"}, headers={"Retry-After": "5"})
    headers = {"Retry-After": str(_retry_after(record)), "ETag": _etag(record), "Cache-Control": CACHING}
    if headers["ETag"] in request.headers.get("If-None-Match", ""):
        return Response(status=304, headers=headers)
    return Response(shown(record), headers=headers)


def _etag(record: Mapping[str, Any]) -> str:
    parts = (record["topic"], record["attempt"], record["offset"], record["status"], record["published_at"])
    return f'"{sha256(repr(parts).encode()).hexdigest()[:20]}"'


def _retry_after(record: Mapping[str, Any]) -> int:
    """Often while something moves, seldom when nothing has for a while."""
    quiet_seconds = clock.now() - record["published_at"]
    return 1 if quiet_seconds < 10 else 2 if quiet_seconds < 60 else 5  # noqa: PLR2004 - the client's old rhythm
