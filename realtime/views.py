"""The HTTP endpoints of the engine: tickets, the one poll, and what operators look at."""

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import orjson
from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError
from structlog.contextvars import bind_contextvars

from realtime import conf
from realtime.clock import clock
from realtime.closing import CloseCode
from realtime.conf import Identity
from realtime.doors import Door, admit, cookie_name
from realtime.errors import BadTopicError, FeedUnavailableError, ForbiddenTopicError, RefusedError, TicketError
from realtime.exposition import CONTENT_TYPE, exposition
from realtime.frames import Frame, LargeSnapshot
from realtime.handshake import Handshake, allow, read_handshake
from realtime.origin import LOOPBACK
from realtime.polls import SNAPSHOT_PATH, admit_poll
from realtime.process import this_process
from realtime.refusals import connection_refused, refused
from realtime.routing import EVENTS_PATH, WEBSOCKET_PATH
from realtime.sse import CODES, STATUSES
from realtime.tickets import CONNECT_SECONDS, Ticket, issue_cookie_ticket, issue_ticket
from realtime.topics import TopicFilter

HEADERS_OF_PROXIES = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")
"""A request with one of these did not begin on this machine, whatever its address says."""
LIFETIME_JITTER = 0.1
"""Connections opened together do not end together."""


class _BadRequestError(Exception):
    """What was sent is not what a ticket request holds."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The body of a ticket request."""

    topics: list[str]
    renew: str | None
    cookie: bool


def _answers_errors(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        try:
            return view(request)
        except TicketError as problem:
            return _error(401, "token_invalid", problem)
        except ForbiddenTopicError as problem:
            return _error(403, "forbidden_topic", problem)
        except BadTopicError as problem:
            return _error(400, "bad_topic", problem)
        except _BadRequestError as problem:
            return _error(400, "invalid", problem)
        except RedisError:
            return _error(
                503, "redis_unavailable", "Redis cannot be reached at the moment; try again in a few seconds."
            )

    return answer


@csrf_exempt  # authenticated by a header, which no foreign page can send
@_answers_errors
def ticket_view(request: HttpRequest) -> HttpResponse:
    """A permission to connect: `{"ticket", "expires_in", "websocket_url", "events_url", "snapshot_url", "share"}`.

    The body may name topics, `{"topics": ["video:42"]}`, carry over those of an earlier ticket,
    `{"renew": "<ticket>"}`, and ask for the ticket as a cookie too, `{"cookie": true}`. Costs no SQL for those whose
    role alone permits everything, nor to renew.
    """
    if request.method != "POST":
        return _error(405, "method_not_allowed", "Get a ticket by POST.")
    issued_at = clock.now()  # before anything is read: what is revoked meanwhile ends this ticket too
    identity = conf.authenticator()(request)
    bind_contextvars(tenant=identity.tenant_id)
    conf.revocations().check(identity)
    wanted = _wanted(request)
    first_issued_at, permitted = _permitted(identity, wanted)
    life = round(conf.connection_seconds() * random.uniform(1 - LIFETIME_JITTER, 1 + LIFETIME_JITTER))  # noqa: S311
    ticket = Ticket(
        identity.tenant_id,
        identity.user_id,
        identity.session_id,
        identity.role,
        permitted,
        life,
        issued_at=issued_at,
        first_issued_at=first_issued_at,
    )
    answer = JsonResponse(_answer(request, ticket, issue_ticket(ticket, conf.ticket_key())))
    answer["Cache-Control"] = "no-store"
    if wanted.cookie:
        _set_cookie(request, answer, identity.tenant_code, ticket)
    return answer


def _permitted(identity: Identity, wanted: _Wanted) -> tuple[float, TopicFilter]:
    """When the rights were first given (0: now), and the topics."""
    if wanted.renew is not None:
        old = admit(Door.RENEWAL, wanted.renew)
        if (old.tenant_id, old.user_id, old.role) != (identity.tenant_id, identity.user_id, identity.role):
            raise ForbiddenTopicError("Only the one whom a ticket was given to can renew it: ask for one as at first.")
        return old.first_issued_at, old.topics
    permitted = TopicFilter.of(conf.topic_rules()(identity, wanted.topics))
    if not permitted.patterns:
        raise ForbiddenTopicError("Name the topics to watch: this role may not watch everything.")
    return 0.0, permitted


def _wanted(request: HttpRequest) -> _Wanted:
    if not request.body:
        return _Wanted([], None, cookie=False)
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        raise _BadRequestError("The body is no JSON.") from None
    if not isinstance(body, dict) or not set(body) <= {"topics", "renew", "cookie"}:
        raise _BadRequestError('The body is a JSON object; it may hold "topics", "renew" and "cookie".')
    topics, renew, cookie = body.get("topics", []), body.get("renew"), body.get("cookie", False)
    if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
        raise _BadRequestError("topics is a list of strings.")
    if not isinstance(renew, str | None):
        raise _BadRequestError("renew is a ticket.")
    if renew is not None and topics:
        raise _BadRequestError("A renewed ticket keeps its topics: leave topics out, or ask for a new ticket.")
    if not isinstance(cookie, bool):
        raise _BadRequestError("cookie is true or false.")
    return _Wanted(topics, renew, cookie)


def _answer(request: HttpRequest, ticket: Ticket, text: str) -> dict[str, Any]:
    site = request.get_host()
    secure = "s" if request.is_secure() else ""
    return {
        "ticket": text,
        "expires_in": CONNECT_SECONDS,
        "websocket_url": f"ws{secure}://{site}{WEBSOCKET_PATH}",
        "events_url": f"http{secure}://{site}{EVENTS_PATH}",
        "snapshot_url": f"http{secure}://{site}{SNAPSHOT_PATH}",
        "share": ticket.share,
    }


def _set_cookie(request: HttpRequest, answer: HttpResponse, tenant_code: str, ticket: Ticket) -> None:
    if not tenant_code:
        raise _BadRequestError("There are no tickets in cookies here: the project names no tenant codes.")
    name = cookie_name(tenant_code, secure=request.is_secure())
    answer.set_cookie(
        name,
        issue_cookie_ticket(ticket, conf.ticket_key(), name),
        max_age=ticket.connection_seconds,
        path=EVENTS_PATH,
        secure=request.is_secure(),
        httponly=True,
        samesite="Strict",
    )


@csrf_exempt
async def snapshot_view(request: HttpRequest) -> HttpResponseBase:
    """The JSON of a `snapshot` frame: one request for all jobs. Takes a ticket or an access token; 0 SQL."""
    if request.method != "GET":
        return _error(405, "method_not_allowed", "Read a snapshot by GET.", allow="GET")
    try:
        handshake = await _read_handshake(request)
        bind_contextvars(tenant=handshake.ticket.tenant_id)
        process = await this_process().admit(handshake.ticket)
        admit_poll(request.scope, handshake.ticket, process.polls)  # type: ignore[attr-defined]  # an ASGIRequest
        frame = await process.hub.snapshot(handshake.ticket.tenant_id, handshake.topics, handshake.since)
    except RefusedError as problem:
        connection_refused(problem, request.scope)  # type: ignore[attr-defined]  # an ASGIRequest
        status = STATUSES[problem.code]
        return _refusal(status, problem)
    except FeedUnavailableError as problem:
        return _error(503, "unavailable", problem)
    answer = _body(frame)
    answer["Cache-Control"] = "no-store"
    return answer


def _body(frame: Frame) -> HttpResponseBase:
    """A large snapshot is written piece by piece, as fast as the client reads."""
    if not isinstance(frame, LargeSnapshot):
        return HttpResponse(frame.body, content_type="application/json")

    async def pieces() -> AsyncIterator[bytes]:
        for piece in frame.chunks():
            yield piece

    headers = {"Content-Length": str(len(frame))}
    return StreamingHttpResponse(pieces(), content_type="application/json", headers=headers)


def _refusal(status: int, problem: RefusedError) -> HttpResponse:
    fields = {"limit": problem.limit} if problem.limit else {}
    answer = _error_answer(status, CODES[status], problem, **fields)
    if problem.retry_after_ms is not None:
        answer["Retry-After"] = str(max(1, problem.retry_after_ms // 1000))
    return answer


async def _read_handshake(request: HttpRequest) -> Handshake:
    """Of a ticket, or else of an access token, whose rights are those that a ticket would get. Raises RefusedError."""
    scope = request.scope  # type: ignore[attr-defined]  # an ASGIRequest
    try:
        return read_handshake(Door.SNAPSHOT, scope)
    except RefusedError as problem:
        if STATUSES[problem.code] != 401:  # noqa: PLR2004 - HTTP
            raise
        ticket = await sync_to_async(_ticket_of_token)(request)
        if ticket is None:
            raise
    try:
        asked = TopicFilter.parse(request.GET.get("topics", ""))
    except BadTopicError as problem:
        raise RefusedError(CloseCode.BAD_FRAMES, str(problem)) from None
    return allow(ticket, asked, request.GET.get("since", ""))


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


def _error(status: int, code: str, problem: Exception | str, allow: str = "POST") -> JsonResponse:
    """A refusal that is counted and logged, as an answer."""
    refused(code, str(problem))
    return _error_answer(status, code, problem, allow)


def _error_answer(status: int, code: str, problem: Exception | str, allow: str = "POST", **fields: str) -> JsonResponse:
    answer = JsonResponse({"code": code, "message": str(problem), **fields}, status=status)
    answer["Cache-Control"] = "no-store"
    if status == 401:  # noqa: PLR2004 - RFC 9110, section 15.5.2: a 401 names the scheme
        answer["WWW-Authenticate"] = "Bearer"
    if status == 405:  # noqa: PLR2004 - section 15.5.6: and a 405 the methods
        answer["Allow"] = allow
    if status == 503:  # noqa: PLR2004
        answer["Retry-After"] = "5"
    return answer


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Alive."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
async def readyz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Ready to take connections. Where it is not, it says in one sentence what fails (`ServerProcess.ready`)."""
    try:
        said = await this_process().ready()
    except FeedUnavailableError as problem:
        return HttpResponse(str(problem), status=503, content_type="text/plain")
    return HttpResponse(said, content_type="text/plain")


@require_safe
def metrics_view(request: HttpRequest) -> HttpResponse:
    """What this process counts, for Prometheus: for whoever sends `REALTIME_METRICS_TOKEN`.

    Without such a token for whoever asks from this machine, and not through a proxy: strangers learn nothing.
    """
    if not _may_read_metrics(request):
        return _error(401, "token_invalid", "Send Authorization: Bearer <REALTIME_METRICS_TOKEN>.")
    return HttpResponse(exposition(), content_type=CONTENT_TYPE)


def _may_read_metrics(request: HttpRequest) -> bool:
    if token := conf.metrics_token():
        return constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {token}")
    came_through_a_proxy = any(name in request.headers for name in HEADERS_OF_PROXIES)
    return request.META.get("REMOTE_ADDR") in LOOPBACK and not came_through_a_proxy
