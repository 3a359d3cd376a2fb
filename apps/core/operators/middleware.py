"""The middlewares of Django that the admin needs (sessions, accounts and messages), only for requests to the admin.

All other requests bypass these middlewares, without any SQL statement.
"""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_only_middleware

ADMIN_PATH = "/admin/"
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " object-src 'none'"
)

Answer = Callable[[HttpRequest], HttpResponseBase]


@sync_only_middleware
def for_operators(get_response: Answer) -> Answer:
    """Wrap the admin's views in Django's three middlewares, and add security headers to the admin's answers."""
    chain: Any = SessionMiddleware(AuthenticationMiddleware(MessageMiddleware(get_response)))

    def answer(request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(ADMIN_PATH):
            return get_response(request)
        return _protected(request, chain(request))

    return answer


def _protected(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    response.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)  # a view may have a stricter one
    response.headers["Cache-Control"] = "no-store"
    for cookie in response.cookies.values():
        cookie["secure"] = request.is_secure() or ""
    return response
