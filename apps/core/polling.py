"""Answers of the progress endpoints. The answers need only Redis, and say when the client should ask again."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from realtime.redis.clock import clock

CACHING = "private, no-cache"
"""A client may keep an answer, but must ask the server, with the answer's ETag, before it uses the answer again. The
status is 304 if the kept answer is still right."""


def answer_poll(
    request: Request, record: Mapping[str, Any] | None, shown: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> Response:
    """Answer with the record as `shown` converts it, and with the headers `ETag` and `Retry-After`.

    The status is 304 if nothing has changed since the client's ETag. If the record is None, the answer is UNKNOWN.
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
    """Return after how many seconds the client should ask again: more if the record has not changed for a while."""
    quiet_seconds = clock.now() - record["published_at"]
    return 1 if quiet_seconds < 10 else 2 if quiet_seconds < 60 else 5  # noqa: PLR2004 - the intervals at which older clients ask
