"""Answers of the progress endpoints. The answers need only Redis, and say when the client should ask again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from realtime.redis.clock import clock

CACHING = "private, no-cache"
"""A client may keep an answer, but must ask the server, with the answer's ETag, before it uses the answer again. The
status is 304 if the kept answer is still right."""


Shown = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Converts a record to what a client that polls is shown."""


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """The status, the headers and the body (None: no body) of an answer."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any] | None


def poll_answer(record: Mapping[str, Any] | None, shown: Shown, if_none_match: str) -> PollAnswer:
    """Return the answer with the record as `shown` converts it, and with the headers `ETag` and `Retry-After`.

    The status is 304 if nothing has changed since the client's ETag. If the record is None, the answer is UNKNOWN.
    """
    if record is None:
        return PollAnswer(200, {"Retry-After": "5"}, {"status": "UNKNOWN"})
    headers = {"Retry-After": str(_retry_after(record)), "ETag": _etag(record), "Cache-Control": CACHING}
    if headers["ETag"] in if_none_match:
        return PollAnswer(304, headers, None)
    return PollAnswer(200, headers, shown(record))


def answer_poll(request: Request, record: Mapping[str, Any] | None, shown: Shown) -> Response:
    """Answer a request of REST framework as `poll_answer` says."""
    answer = poll_answer(record, shown, request.headers.get("If-None-Match", ""))
    return Response(answer.body, answer.status, headers=answer.headers)


def _etag(record: Mapping[str, Any]) -> str:
    parts = (record["topic"], record["attempt"], record["offset"], record["status"], record["published_at"])
    return f'"{sha256(repr(parts).encode()).hexdigest()[:20]}"'


def _retry_after(record: Mapping[str, Any]) -> int:
    """Return after how many seconds the client should ask again: more if the record has not changed for a while."""
    quiet_seconds = clock.now() - record["published_at"]
    return 1 if quiet_seconds < 10 else 2 if quiet_seconds < 60 else 5  # noqa: PLR2004 - the intervals at which older clients ask
