"""`POST /api/v1/realtime/ticket/`, and whether this process can serve."""

import random
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from realtime import conf
from realtime.errors import BadTopicError, FeedUnavailableError, ForbiddenTopicError, TicketError
from realtime.process import hub
from realtime.tickets import CONNECT_SECONDS, Ticket, issue_ticket
from realtime.topics import TopicFilter

LIFETIME_JITTER = 0.1
"""Connections opened together do not end together."""


class _BadRequestError(Exception):
    """What was sent is not what a ticket request holds."""


@csrf_exempt  # authenticated by a header, which no foreign page can send
def ticket_view(request: HttpRequest) -> JsonResponse:
    """A permission to connect: `{"ticket", "expires_in", "websocket_url", "events_url", "snapshot_url", "share"}`.

    The body may name topics: `{"topics": ["video:42"]}`. Costs no SQL for those whose role alone permits everything.
    """
    if request.method != "POST":
        return _error(405, "method_not_allowed", "Get a ticket by POST.")
    try:
        identity = conf.authenticator()(request)
        named = _topics_of(request)
        permitted = TopicFilter.of(conf.topic_rules()(identity, named))
        if not permitted.patterns:
            raise ForbiddenTopicError("Name the topics to watch: this role may not watch everything.")
        life = round(conf.connection_seconds() * random.uniform(1 - LIFETIME_JITTER, 1 + LIFETIME_JITTER))  # noqa: S311
        ticket = Ticket(identity.tenant_id, identity.user_id, identity.session_id, identity.role, permitted, life)
        return JsonResponse(_answer(request, ticket, issue_ticket(ticket, conf.ticket_key())))
    except TicketError as problem:
        return _error(401, "token_invalid", problem)
    except ForbiddenTopicError as problem:
        return _error(403, "forbidden_topic", problem)
    except BadTopicError as problem:
        return _error(400, "bad_topic", problem)
    except _BadRequestError as problem:
        return _error(400, "invalid", problem)


def _topics_of(request: HttpRequest) -> list[str]:
    if not request.body:
        return []
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        raise _BadRequestError("The body is no JSON.") from None
    if not isinstance(body, dict) or not set(body) <= {"topics"}:
        raise _BadRequestError('The body is a JSON object; it may hold "topics".')
    topics = body.get("topics", [])
    if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
        raise _BadRequestError("topics is a list of strings.")
    return topics


def _answer(request: HttpRequest, ticket: Ticket, text: str) -> dict[str, Any]:
    site = request.get_host()
    secure = "s" if request.is_secure() else ""
    return {
        "ticket": text,
        "expires_in": CONNECT_SECONDS,
        "websocket_url": f"ws{secure}://{site}/ws/events/",
        "events_url": f"http{secure}://{site}/api/v1/events/",
        "snapshot_url": f"http{secure}://{site}/api/v1/realtime/snapshot/",
        "share": ticket.share,
    }


def _error(status: int, code: str, problem: Exception | str) -> JsonResponse:
    answer = JsonResponse({"code": code, "message": str(problem)}, status=status)
    if status == 401:  # noqa: PLR2004 - RFC 9110, section 15.5.2: a 401 names the scheme
        answer["WWW-Authenticate"] = "Bearer"
    if status == 405:  # noqa: PLR2004 - section 15.5.6: and a 405 the methods
        answer["Allow"] = "POST"
    return answer


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Alive."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
async def readyz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Ready to take connections: Redis answers, and the reader of the feeds runs."""
    try:
        await hub().ready()
    except FeedUnavailableError as problem:
        return HttpResponse(str(problem), status=503, content_type="text/plain")
    return HttpResponse("ok", content_type="text/plain")
