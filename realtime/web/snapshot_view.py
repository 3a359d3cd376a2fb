"""`GET /api/v1/realtime/snapshot/`: one request for all topics, for clients that poll."""

from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from redis.exceptions import RedisError
from structlog.contextvars import bind_contextvars

from realtime import conf
from realtime.connect.tickets import Ticket
from realtime.protocol.close_codes import HTTP_ERRORS, HTTP_STATUSES, CloseCode, RefusedError
from realtime.protocol.frames import Frame, LargeSnapshot
from realtime.protocol.refusals import connection_refused
from realtime.records.errors import BadTopicError, FeedUnavailableError, ForbiddenTopicError, TicketError
from realtime.records.topics import TopicFilter
from realtime.web.handshake import Handshake, allow, read_handshake
from realtime.web.polls import admit_poll
from realtime.web.process_state import this_process
from realtime.web.refusal_answers import error, error_answer
from realtime.web.ticket_readers import TicketReader


@csrf_exempt
async def snapshot_view(request: HttpRequest) -> HttpResponseBase:
    """Answer with the JSON of a `snapshot` frame. Accept a ticket or an access token. This needs no SQL."""
    if request.method != "GET":
        return error(405, "method_not_allowed", "Read a snapshot by GET.", allow="GET")
    scope = request.scope  # type: ignore[attr-defined]  # an ASGIRequest
    try:
        handshake = await _read_handshake(request)
    except RefusedError as problem:
        return _refusal(scope, problem)
    bind_contextvars(tenant=handshake.ticket.tenant_id)
    found = await find_snapshot(scope, handshake)
    if isinstance(found, HttpResponse):
        return found
    answer = _body(found)
    answer["Cache-Control"] = "no-store"
    return answer


def read_snapshot_handshake(scope: dict[str, Any]) -> Handshake:
    """Return the ticket, the topics and the place of a poll. Raise RefusedError if it has no valid ticket."""
    return read_handshake(TicketReader.SNAPSHOT, scope)


async def find_snapshot(scope: dict[str, Any], handshake: Handshake) -> Frame | HttpResponse:
    """Count the poll, and return the snapshot or, if the poll is refused, the answer that says why."""
    try:
        process = await this_process().admit(handshake.ticket)
        admit_poll(scope, handshake.ticket, process.polls)
        return await process.hub.snapshot(handshake.ticket.tenant_id, handshake.topics, handshake.since)
    except RefusedError as problem:
        return _refusal(scope, problem)
    except FeedUnavailableError as problem:
        return error(503, "unavailable", problem)


def _body(frame: Frame) -> HttpResponseBase:
    """Return the answer. A large snapshot is sent in pieces, as fast as the client reads."""
    if not isinstance(frame, LargeSnapshot):
        return HttpResponse(frame.body, content_type="application/json")

    async def pieces() -> AsyncIterator[bytes]:
        for piece in frame.chunks():
            yield piece

    headers = {"Content-Length": str(len(frame))}
    return StreamingHttpResponse(pieces(), content_type="application/json", headers=headers)


def _refusal(scope: dict[str, Any], problem: RefusedError) -> HttpResponse:
    """Count and log the refusal. Return the answer."""
    connection_refused(problem, scope)
    status = HTTP_STATUSES[problem.code]
    fields = {"limit": problem.limit} if problem.limit else {}
    answer = error_answer(status, HTTP_ERRORS[status], problem, **fields)
    if problem.retry_after_ms is not None:
        answer["Retry-After"] = str(max(1, problem.retry_after_ms // 1000))
    return answer


async def _read_handshake(request: HttpRequest) -> Handshake:
    """Return the handshake of a request. Read its access token if it has no valid ticket.

    An access token gives the rights of a ticket that would be issued for it. Raise RefusedError if neither is valid, if
    the topics are not valid or not allowed, or if Redis fails while the access token is checked.
    """
    scope = request.scope  # type: ignore[attr-defined]  # an ASGIRequest
    try:
        return read_snapshot_handshake(scope)
    except RefusedError as problem:
        if HTTP_STATUSES[problem.code] != 401:  # noqa: PLR2004 - HTTP
            raise
        ticket = await sync_to_async(_ticket_of_token)(request)
        if ticket is None:
            raise
    try:
        wanted = TopicFilter.parse(request.GET.get("topics", ""))
    except BadTopicError as problem:
        raise RefusedError(CloseCode.BAD_FRAMES, str(problem)) from None
    return allow(ticket, wanted, request.GET.get("since", ""))


def _ticket_of_token(request: HttpRequest) -> Ticket | None:
    try:
        identity = conf.authenticator()(request)
        permitted = TopicFilter.of(conf.topic_rules()(identity, []))
    except (TicketError, ForbiddenTopicError, BadTopicError):
        return None
    except RedisError:
        raise RefusedError(CloseCode.FEED_UNAVAILABLE, "Redis cannot be reached; try again.", 5000) from None
    if not permitted.patterns:
        raise RefusedError(CloseCode.NOT_ALLOWED, "Send a ticket that names the topics: this role may not see all.")
    return Ticket(
        identity.tenant_id,
        identity.user_id,
        identity.session_id,
        identity.role,
        permitted,
        connection_seconds=0,
        issued_at=identity.issued_at,
    )
