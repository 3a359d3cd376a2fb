"""A video's progress for clients that poll. The view reads only Redis, without a database query."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.adapters.cache.records import read_record
from academy.domain.roles import EVERYONE, FACULTY
from academy.domain.videos import VideoStatus, video_topic
from apps.core.authentication import caller_of
from apps.core.openapi import extend_schema
from apps.core.polling import answer_poll
from apps.core.thin_polls import PolledPath
from apps.core.tokens import Caller
from realtime.records.errors import TicketError
from realtime.web.ticket_readers import TicketReader, admit

TICKET_HEADER = "X-Realtime-Ticket"


class VideoProgressView(APIView):
    """Answer with the progress of an encoding.

    The answer for a READY video also has `hls_path` and `duration`. The answer for a failed one has `error_reason`.

    The answer is `{"status": "UNKNOWN"}` if Redis has no record of the video, or if the video belongs to another
    academy. A request for the video's detail restores a lost record. `ETag` and `If-None-Match` work (304), and
    `Retry-After` says after how many seconds to poll again. Students and parents must also send a ticket for the
    video's topic, because this view does not query the database for the videos that they may watch.
    """

    roles = {"GET": EVERYONE}  # noqa: RUF012 - read only

    @extend_schema(
        responses=OpenApiTypes.OBJECT,
        parameters=[OpenApiParameter("video_id", int, "path"), OpenApiParameter(TICKET_HEADER, str, "header")],
    )
    def get(self, request: Request, video_id: int) -> Response:
        caller = caller_of(request)
        if caller.role not in FACULTY:
            check_ticket(caller, request.headers.get(TICKET_HEADER, ""), video_topic(video_id))
        record = read_record(caller.tenant_id, video_topic(video_id))
        return answer_poll(request, record, partial(progress_answer, video_id))


def progress_answer(video_id: int, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what VideoProgressView answers for a record."""
    progress = record["progress"] or {}
    step = progress.get("step") or {}
    status, data = record["status"], record["data"]
    answer = {
        "id": video_id,
        "status": status,
        "encoding_progress": 100.0 if status == VideoStatus.READY else progress.get("percent", 0.0),
        "encoding_remaining_seconds": progress.get("remaining_seconds"),
        "encoding_step_index": step.get("index"),
        "encoding_step_total": step.get("total"),
        "encoding_step_name": step.get("name"),
        "encoding_step_percent": step.get("percent"),
    }
    if status == VideoStatus.READY:
        answer |= {"hls_path": data.get("hls_path"), "duration": data.get("duration")}
    if record["error"]:
        answer["error_reason"] = record["error"]["message"]
    return answer


def check_ticket(caller: Caller, text: str, topic: str) -> None:
    """Raise PermissionDenied unless the ticket `text` is valid, was issued to the caller, and is for this topic.

    A revoked ticket is not valid. A valid access token is not enough: when an enrolment ends, the user's tickets are
    revoked, but the user can still get a new access token.
    """
    try:
        ticket = admit(TicketReader.PROGRESS, text)
    except TicketError as problem:
        raise PermissionDenied(f"Send a ticket for {topic} as {TICKET_HEADER}: {problem}", "ticket_needed") from None
    if (ticket.tenant_id, ticket.user_id) != (caller.tenant_id, caller.user_id) or not ticket.topics.matches(topic):
        raise PermissionDenied(f"The ticket is not yours, or not for {topic}.", "ticket_needed")


POLLED = PolledPath(
    pattern=re.compile(r"/media/videos/([0-9]{1,18})/progress/", re.ASCII),
    route="/media/videos/<int:video_id>/progress/",
    topic=lambda video_id: video_topic(int(video_id)),
    shown=lambda video_id, record: progress_answer(int(video_id), record),
)
