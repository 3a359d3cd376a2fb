"""`POST /api/v1/realtime/ticket/`: issues tickets, the permissions to connect."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from redis.exceptions import RedisError
from structlog.contextvars import bind_contextvars

from realtime import conf
from realtime.connect.tickets import CONNECT_SECONDS, Ticket, issue_cookie_ticket, issue_ticket
from realtime.identity import Identity
from realtime.records.errors import BadTopicError, ForbiddenTopicError, TicketError
from realtime.records.topics import TopicFilter
from realtime.redis.clock import clock
from realtime.web.polls import SNAPSHOT_PATH
from realtime.web.refusal_answers import error
from realtime.web.routing import EVENTS_PATH, WEBSOCKET_PATH
from realtime.web.ticket_readers import TicketReader, admit, cookie_name

LIFETIME_JITTER = 0.1
"""The lifetime of a connection is made longer or shorter at random, by at most this share. So connections that were
opened together do not end together."""


class _BadRequestError(Exception):
    """The body is not a valid ticket request."""


@dataclass(frozen=True, slots=True)
class _TicketRequest:
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
            return error(401, "token_invalid", problem)
        except ForbiddenTopicError as problem:
            return error(403, "forbidden_topic", problem)
        except BadTopicError as problem:
            return error(400, "bad_topic", problem)
        except _BadRequestError as problem:
            return error(400, "invalid", problem)
        except RedisError:
            return error(503, "redis_unavailable", "Redis cannot be reached at the moment; try again in a few seconds.")

    return answer


@csrf_exempt  # it is authenticated by a header, which pages of other sites cannot send
@_answers_errors
def ticket_view(request: HttpRequest) -> HttpResponse:
    """Issue a ticket. Return `{"ticket", "expires_in", "websocket_url", "events_url", "snapshot_url", "share"}`.

    The body may name topics, `{"topics": ["video:42"]}`, or renew an earlier ticket with its topics,
    `{"renew": "<ticket>"}`. It may also ask for a cookie with the ticket, `{"cookie": true}`. A renewal needs no SQL,
    and neither does a ticket for a role that may watch everything. Browser tabs with the same `share` may share a
    connection.
    """
    if request.method != "POST":
        return error(405, "method_not_allowed", "Get a ticket by POST.")
    issued_at = clock.now()  # before any rights are read, so that a later revocation ends this ticket, too
    identity = conf.authenticator()(request)
    bind_contextvars(tenant=identity.tenant_id)
    conf.revocations().check(identity)
    wanted = _read_body(request)
    first_issued_at, permitted = _permitted(identity, wanted)
    life = round(conf.settings().connection_seconds * random.uniform(1 - LIFETIME_JITTER, 1 + LIFETIME_JITTER))  # noqa: S311
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
    answer = ticket_answer(request, ticket)
    if wanted.cookie:
        _set_cookie(request, answer, identity.tenant_code, ticket)
    return answer


def ticket_answer(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    """Return the answer that hands a ticket over. A project may call this for a ticket that it makes itself."""
    answer = JsonResponse(_answer(request, ticket, issue_ticket(ticket, conf.ticket_key())))
    answer["Cache-Control"] = "no-store"
    return answer


def _permitted(identity: Identity, wanted: _TicketRequest) -> tuple[float, TopicFilter]:
    """Return the time at which the first ticket of the chain of renewals was issued, and the permitted topics.

    The time is 0 if the request is not a renewal.
    """
    if wanted.renew is not None:
        old = admit(TicketReader.RENEWAL, wanted.renew)
        if (old.tenant_id, old.user_id, old.role) != (identity.tenant_id, identity.user_id, identity.role):
            raise ForbiddenTopicError("Only its own user, in the same role, can renew a ticket: get a new one.")
        return old.first_issued_at, old.topics
    permitted = TopicFilter.of(conf.topic_rules()(identity, wanted.topics))
    if not permitted.patterns:
        raise ForbiddenTopicError("Name the topics to watch: this role may not watch everything.")
    return 0.0, permitted


def _read_body(request: HttpRequest) -> _TicketRequest:
    if not request.body:
        return _TicketRequest([], None, cookie=False)
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        raise _BadRequestError("The body is not JSON.") from None
    if not isinstance(body, dict) or not set(body) <= {"topics", "renew", "cookie"}:
        raise _BadRequestError('The body must be a JSON object with no fields but "topics", "renew" and "cookie".')
    topics, renew, cookie = body.get("topics", []), body.get("renew"), body.get("cookie", False)
    if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
        raise _BadRequestError("topics must be a list of strings.")
    if not isinstance(renew, str | None):
        raise _BadRequestError("renew must be a ticket.")
    if renew is not None and topics:
        raise _BadRequestError("A renewed ticket keeps its topics: leave topics out, or get a new ticket.")
    if not isinstance(cookie, bool):
        raise _BadRequestError("cookie must be true or false.")
    return _TicketRequest(topics, renew, cookie)


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
        raise _BadRequestError("This project has no tenant codes, so tickets cannot be in cookies: leave cookie out.")
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
