"""Keeps the refresh token of a page in a cookie that no script can read.

A page requests the cookie with `"cookie": true`. Each academy has its own cookie, so that a browser can use several
academies. The cookie is sent only to `/api/v1/auth/`. It is accepted only if the `Origin` header names this site or an
allowed one. A browser sends that header with each POST, and no page can change it.
"""

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from realtime.web.origin import origin_allowed
from realtime.web.ticket_readers import guarded_name

PATH = "/api/v1/auth/"


def cookie_name(request: Request, tenant_code: str) -> str:
    """Return the name of the cookie with an academy's refresh token."""
    return guarded_name(f"refresh_{tenant_code}", secure=request.is_secure())


def check_origin(request: Request) -> None:
    """Raise PermissionDenied (403) unless a page of this site or of an allowed site sends the request."""
    headers = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in request.headers.items()]
    client = (request.META.get("REMOTE_ADDR"), 0)
    scope = {"scheme": request.scheme, "headers": headers, "path": request.path, "client": client}
    if "Origin" not in request.headers or not origin_allowed(scope):
        raise PermissionDenied("A refresh token is kept in a cookie for pages of this site only.", "origin_refused")


def read_cookie(request: Request, tenant_code: str) -> str:
    """Return the refresh token in the cookie, or '' if there is none."""
    return request.COOKIES.get(cookie_name(request, tenant_code), "")


def answer_with_cookie(request: Request, tokens: dict[str, Any], tenant_code: str, seconds: int) -> Response:
    """Answer with the access token, and put the refresh token into the cookie."""
    response = Response({"access": tokens["access"]})
    response.set_cookie(
        cookie_name(request, tenant_code),
        tokens["refresh"],
        max_age=seconds,
        path=PATH,
        secure=request.is_secure(),
        httponly=True,
        samesite="Strict",
    )
    return response


def clear_cookie(request: Request, response: Response, tenant_code: str) -> None:
    if cookie_name(request, tenant_code) in request.COOKIES:
        response.delete_cookie(cookie_name(request, tenant_code), path=PATH, samesite="Strict")
