"""Separates the log contexts of requests, and counts the SQL statements of each view, in the web process."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import structlog
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_only_middleware

from realtime.records.metrics import counts

NO_VIEW = "none"
"""The label for statements of requests to unknown paths, and for statements outside of requests."""

_statements: ContextVar[list[int] | None] = ContextVar("statements", default=None)
"""The number of statements of the current request, in a list with one item, so that copies of the context share it.

A view may run in another thread, with a copy of the context.
"""

Answer = Callable[[HttpRequest], HttpResponseBase]


@sync_only_middleware
def note_request(get_response: Answer) -> Answer:
    """Begin each request with an empty log context, and count the SQL statements of each view.

    The authentication binds the tenant to the log context.
    """
    connection_created.connect(_count_statements_of, dispatch_uid="config.requests")

    def answer(request: HttpRequest) -> HttpResponseBase:
        statements = _begin()
        try:
            return get_response(request)
        finally:
            counts.sql[_view(request)] += statements[0]

    return answer


def _begin() -> list[int]:
    structlog.contextvars.clear_contextvars()
    statements = [0]
    _statements.set(statements)
    return statements


def _view(request: HttpRequest) -> str:
    return f"/{request.resolver_match.route}" if request.resolver_match else NO_VIEW


def _count_statements_of(connection: Any, **_: Any) -> None:
    """Add the counter to a connection that has none. A connection object keeps its counter when Django reconnects."""
    if _count not in connection.execute_wrappers:
        connection.execute_wrappers.append(_count)


def _count(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's signature
    statements = _statements.get()
    if statements is None:
        counts.sql[NO_VIEW] += 1
    else:
        statements[0] += 1
    return execute(sql, params, many, context)
