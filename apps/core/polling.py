"""Answers of the progress endpoints. They come from Redis only, and say when to ask again."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from realtime.redis.clock import clock

CACHING = "private, no-cache"
"""A client may keep an answer, but must ask with its ETag before it uses it again (304)."""


def answer_poll(
    request: Request, record: Mapping[str, Any] | None, shown: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> Response:
    """Answer with the record, converted by `shown`, with `ETag` (304 if nothing changed) and `Retry-After`.

    If the record is None, the answer is UNKNOWN.
    """
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
    """Return after how many seconds to ask again: more if the record has not changed for a while."""
    quiet_seconds = clock.now() - record["published_at"]
    return 1 if quiet_seconds < 10 else 2 if quiet_seconds < 60 else 5  # noqa: PLR2004 - as older clients ask
