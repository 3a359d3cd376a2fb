"""A job's progress for clients that poll. The view reads only Redis, without a database query."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.adapters.cache.records import read_record
from academy.domain.jobs import job_topic
from academy.domain.roles import FACULTY
from apps.core.authentication import caller_of
from apps.core.openapi import extend_schema
from apps.core.polling import answer_poll
from apps.core.thin_polls import PolledPath


class JobProgressView(APIView):
    """Answer with `{"job_id", "job_type", "status", "progress"}`.

    The answer for a DONE job also has `result`, or `result_url` if the result is large. The answer for a failed job
    also has `error_code` and `error_message`.

    The answer is `{"status": "UNKNOWN"}` if Redis has no record of the job, or if the job belongs to another academy. A
    request for the job's detail restores a lost record. `ETag` and `If-None-Match` are supported (304), and
    `Retry-After` says after how many seconds to poll again.
    """

    roles = {"GET": FACULTY}  # noqa: RUF012 - read only

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, job_id: UUID) -> Response:
        record = read_record(caller_of(request).tenant_id, job_topic(job_id))
        return answer_poll(request, record, partial(_answer, job_id))


def _answer(job_id: UUID | str, record: Mapping[str, Any]) -> dict[str, Any]:
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


POLLED = PolledPath(
    pattern=re.compile(r"/api/v1/jobs/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/progress/"),
    route="/api/v1/jobs/<uuid:job_id>/progress/",
    topic=lambda job_id: job_topic(UUID(job_id)),
    shown=_answer,
)
