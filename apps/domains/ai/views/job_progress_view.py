"""A job's progress for clients that poll: from Redis only, never a query."""

import time
from hashlib import sha256
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.domain.roles import FACULTY
from apps.core.authentication import caller_of
from apps.domains.ai.redis_status_cache import get_job_status_from_redis


class JobProgressView(APIView):
    """`{"job_id", "job_type", "status", "progress"}`, and `result` or `error_message` at the end.

    What Redis does not hold, or another academy's job, is `{"status": "UNKNOWN"}`: read the detail once, that restores
    it. `ETag` and `If-None-Match` (304); `Retry-After` says when to ask next.
    """

    roles = {"GET": FACULTY}  # noqa: RUF012 - read only

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, job_id: UUID) -> Response:
        record = get_job_status_from_redis(caller_of(request).tenant_id, job_id)
        if record is None:
            return Response({"status": "UNKNOWN"}, headers={"Retry-After": "5"})
        headers = {"Retry-After": str(_retry_after(record)), "ETag": _etag(record), "Cache-Control": "no-cache"}
        if headers["ETag"] in request.headers.get("If-None-Match", ""):
            return Response(status=304, headers=headers)
        return Response(_answer(job_id, record), headers=headers)


def _answer(job_id: UUID, record: dict[str, Any]) -> dict[str, Any]:
    data, error = record["data"], record["error"]
    answer = {
        "job_id": str(job_id),
        "job_type": data.get("job_type"),
        "status": record["status"],
        "progress": record["progress"],
    }
    if record["status"] == "DONE":
        answer |= {name: data[name] for name in ("result", "result_url") if name in data}
    if error:
        answer |= {"error_code": error["code"], "error_message": error["message"]}
    return answer


def _etag(record: dict[str, Any]) -> str:
    parts = (record["topic"], record["attempt"], record["offset"], record["status"], record["published_at"])
    return f'"{sha256(repr(parts).encode()).hexdigest()[:20]}"'


def _retry_after(record: dict[str, Any]) -> int:
    """Often while something moves, seldom when nothing has for a while."""
    quiet_seconds = time.time() - record["published_at"]
    return 1 if quiet_seconds < 10 else 2 if quiet_seconds < 60 else 5  # noqa: PLR2004 - the client's old rhythm
