"""A video's progress for clients that poll: from Redis only, never a query."""

from functools import partial

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.domain.roles import EVERYONE, FACULTY
from academy.domain.videos import video_topic
from apps.core.authentication import caller_of
from apps.core.polling import answer_poll
from apps.core.tokens import Caller
from apps.support.video.encoding_progress import progress_answer
from apps.support.video.redis_status_cache import get_video_status_from_redis
from realtime.doors import Door, admit
from realtime.errors import TicketError

TICKET_HEADER = "X-Realtime-Ticket"


class VideoProgressView(APIView):
    """How far the encoding is; `hls_path` and `duration`, or `error_reason`, at the end.

    What Redis does not hold, or another academy's video, is `{"status": "UNKNOWN"}`: read the detail once, that
    restores it. `ETag` and `If-None-Match` (304); `Retry-After` says when to ask next. Students and parents also send a
    ticket that covers the topic: whether they may watch stands in the database, which is not asked here.
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
        record = get_video_status_from_redis(caller.tenant_id, video_id)
        return answer_poll(request, record, partial(progress_answer, video_id))


def check_ticket(caller: Caller, text: str, topic: str) -> None:
    """Raises PermissionDenied unless it holds, is the caller's, and for this topic.

    An enrolment that ends revokes the student's tickets: a newer access token must not keep an older ticket alive.
    """
    try:
        ticket = admit(Door.PROGRESS, text)
    except TicketError as problem:
        raise PermissionDenied(f"Send a ticket for {topic} as {TICKET_HEADER}: {problem}", "ticket_needed") from None
    if (ticket.tenant_id, ticket.user_id) != (caller.tenant_id, caller.user_id) or not ticket.topics.matches(topic):
        raise PermissionDenied(f"The ticket is not yours, or not for {topic}.", "ticket_needed")
