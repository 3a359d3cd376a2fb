"""Answers polls of progress without Django's request path, which takes several times as long.

Only the usual poll is answered here: a GET of a member of the faculty with a valid access token, while Redis works. All
other requests go on to Django. There the view of the same path gives the same answer, or says what is wrong.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from django.conf import settings
from django.http.request import split_domain_port, validate_host
from redis.exceptions import RedisError
from rest_framework.renderers import JSONRenderer

from academy.domain.roles import FACULTY
from apps.core.authentication import identity_of
from apps.core.polling import PollAnswer, poll_answer
from apps.core.tokens import KNOWN_TOKENS, Caller, TokenError, read_signed_caller
from realtime import conf
from realtime.connect.tickets import Ticket
from realtime.identity import Identity
from realtime.protocol.close_codes import RefusedError
from realtime.records.errors import BadRecordError
from realtime.records.metrics import counts
from realtime.records.record import Record
from realtime.records.topics import TopicFilter
from realtime.redis.clock import clock
from realtime.web.process_state import this_process

KNOWN_HOSTS = 64
_RELEVANT = {
    *(b"authorization", b"host", b"accept", b"if-none-match", b"x-tenant-code"),
    *(b"content-type", b"content-length", b"transfer-encoding", b"expect"),
}
_JSON = frozenset({"application/json", "*/*"})

EVERYTHING = TopicFilter.of(["*"])

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PolledPath:
    """A path that clients poll, and the answers of its view."""

    pattern: "re.Pattern[str]"
    """Matches the whole path. Its group is the id."""
    route: str
    """The name of the view in the metrics."""
    topic: Callable[[str], str]
    shown: Callable[[str, Mapping[str, Any]], dict[str, Any]]
    """Converts an id and a record to what the client is shown."""


def with_thin_polls(application: Application, paths: Sequence[PolledPath]) -> Application:
    """Wrap an ASGI application: answer usual polls of these paths. All other requests go to the application."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        answer = await _answer(scope, paths)
        if answer is None:
            await application(scope, receive, send)
            return
        body = JSONRenderer().render(answer.body) if answer.body is not None else b""
        headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
        if answer.body is not None:
            headers.append((b"content-type", b"application/json"))
        headers += [(b"content-length", b"%d" % len(body)), (b"allow", b"GET, HEAD, OPTIONS")]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answered


def ticket_of_token(scope: Scope) -> Ticket | None:
    """Return the ticket that the access token of a usual request stands for, or None for other requests.

    It permits everything, as `allowed_topics` does for the faculty.
    """
    if (headers := _usual_headers(scope)) is None or (known := _known_caller(headers)) is None:
        return None
    return Ticket(
        known.identity.tenant_id,
        known.identity.user_id,
        known.identity.session_id,
        known.identity.role,
        EVERYTHING,
        connection_seconds=0,
        issued_at=known.identity.issued_at,
    )


async def _answer(scope: Scope, paths: Sequence[PolledPath]) -> PollAnswer | None:
    """Return the answer to a usual poll, or None for any other request."""
    path, ident = _polled(scope, paths)
    if path is None or (headers := _usual_headers(scope)) is None or (known := _known_caller(headers)) is None:
        return None
    process = this_process()
    if not process.health.hears_redis or conf.settings().legacy_keys == "read":
        return None
    try:
        await process.admit(known.identity)
        record = await process.records.record(known.caller.tenant_id, path.topic(ident))
    except (RefusedError, RedisError, OSError, BadRecordError):
        return None
    counts.sql[path.route] += 0
    content = orjson.loads(record.body) if isinstance(record, Record) else None
    return poll_answer(content, lambda content: path.shown(ident, content), headers.get(b"if-none-match", ""))


def _polled(scope: Scope, paths: Sequence[PolledPath]) -> tuple[PolledPath | None, str]:
    if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].endswith("/progress/"):
        for path in paths:
            if match := path.pattern.fullmatch(scope["path"]):
                return path, match[1]
    return None, ""


def _usual_headers(scope: Scope) -> dict[bytes, str] | None:
    """Return the headers that matter for a poll, or None unless the request is a usual one that accepts JSON."""
    headers: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in _RELEVANT:
            if name in headers:
                return None
            headers[name] = value.decode("latin-1")
    has_body = headers.get(b"content-length", "0") != "0" or b"transfer-encoding" in headers or b"expect" in headers
    query = scope.get("query_string", b"")
    if has_body or b"content-type" in headers or b"%" in query or b"format" in query:  # ?format= chooses a renderer
        return None
    usual = _accepts_json(headers.get(b"accept", "*/*")) and _is_allowed(headers.get(b"host", ""))
    return headers if usual else None


@lru_cache(KNOWN_HOSTS)
def _accepts_json(accept: str) -> bool:
    """Return whether JSON is accepted without parameters, which would be repeated in the answer's Content-Type."""
    accepted = {media_type.strip() for media_type in accept.split(",")}
    with_parameters = any(kind.startswith(("application/json;", "application/*")) for kind in accepted)
    return not accepted.isdisjoint(_JSON) and not with_parameters


def _is_allowed(host: str) -> bool:
    return validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller
    identity: Identity
    expires_at: float


def _known_caller(headers: Mapping[bytes, str]) -> _Known | None:
    """Return the caller if the view would accept the access token and the role. The token may have been revoked."""
    scheme, _, token = headers.get(b"authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    try:
        known = _signed(token, (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))
    except TokenError:
        return None
    caller = known.caller
    claimed = headers.get(b"x-tenant-code", caller.tenant_code)
    may_poll = caller.role in FACULTY and not caller.must_change_password and claimed == caller.tenant_code
    return known if may_poll and known.expires_at > clock.now() else None


@lru_cache(KNOWN_TOKENS)
def _signed(token: str, _keys: tuple[str, ...]) -> _Known:
    """Read a token and check its signature. An error is not remembered, so only signed tokens use memory."""
    caller, expires_at = read_signed_caller(token)
    return _Known(caller, identity_of(caller), expires_at)
