"""Which web pages may talk to the engine: those of the own site, and of `REALTIME_ALLOWED_ORIGINS`."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

from realtime import conf
from realtime.refusals import client_of, refused

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names and addresses of this machine for itself."""


def origin_allowed(scope: Mapping[str, Any]) -> bool:
    """Whether a page of this Origin may connect (RFC 6454; RFC 6455, 10.2). If not, the reason is counted and logged.

    No Origin header means no browser page of another site, and passes; `null` does not. The Host has to be one of ours,
    or another name that leads here would be the own site. Anybody between can write a page of `http:`, so it may not
    connect where the request came by TLS. A page of `https:` always may: not every proxy says that it took TLS off.
    """
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    where = {"path": scope.get("path"), "client": client_of(scope)}
    try:
        host = _host(scope, headers)
    except DisallowedHost as problem:
        refused("host", str(problem), origin=origin or None, **where)
        return False
    if b"origin" not in headers or origin in conf.allowed_origins():
        return True
    if _is_own(origin, host, scope.get("scheme", "http")):
        return True
    message = f"Pages of {origin[:100]!r} may not connect to {host}: add it to REALTIME_ALLOWED_ORIGINS."
    refused("origin", message, **where)
    return False


def _host(scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> str:
    """The host as Django itself takes it from a request, by all of its settings. Raises DisallowedHost."""
    request = HttpRequest()
    server, port = scope.get("server") or ("", None)
    request.META = {"SERVER_NAME": server, "SERVER_PORT": str(port or 80)}
    for name, key in ((b"host", "HTTP_HOST"), (b"x-forwarded-host", "HTTP_X_FORWARDED_HOST")):
        if name in headers:
            request.META[key] = headers[name].decode("latin-1")
    return request.get_host()


def _is_own(origin: str, host: str, scheme: str) -> bool:
    """Whether a page of this origin came from this host, at least as safely as the request with this scheme."""
    try:
        parts = urlsplit(origin)
    except ValueError:  # such as "http://[", which no browser sends
        return False
    schemes = {"https"} if scheme in {"https", "wss"} else {"http", "https"}
    return parts.scheme in schemes and parts.netloc.lower() == host.lower()


def cors_headers(origin: str) -> list[tuple[str, str]]:
    """What lets a page of an allowed foreign origin read the answer (Fetch, section 3.3); nothing for all others."""
    if origin not in conf.allowed_origins():
        return []
    return [
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Headers", "authorization, content-type, last-event-id"),
        ("Access-Control-Allow-Methods", "GET, POST"),
        ("Access-Control-Max-Age", "600"),
        ("Vary", "Origin"),
    ]
