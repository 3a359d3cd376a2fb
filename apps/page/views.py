"""Serves the page. All its addresses have the same template, which contains no data: its scripts use the API."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

# The page may contain nothing inline, and may load nothing from other sites. In browsers that cannot play HLS, a script
# plays videos through `blob:`.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; connect-src {connect}; media-src 'self' blob:; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'"
)


@require_safe
@gzip_page  # it contains no secret that compression could reveal
def index(request: HttpRequest, **_address: object) -> HttpResponse:
    return protected(request, render(request, "page/index.html"))


def protected(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Add headers that limit what the page may load and where it may connect. Return the response.

    `Cache-Control` makes browsers ask for a newer page before they use their copy.
    """
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY.format(connect=_connect_sources(request))
    response.headers["Cache-Control"] = "no-cache"
    return response


def _connect_sources(request: HttpRequest) -> str:
    """Return the sources of `connect-src`: this origin, its WebSockets, and the origins from the settings.

    Older browsers do not count WebSockets as `'self'`.
    """
    scheme = "wss" if request.is_secure() else "ws"
    return " ".join(["'self'", f"{scheme}://{request.get_host()}", *settings.PAGE_CONNECT_ORIGINS])
