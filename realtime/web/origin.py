"""Decides which web pages may use the engine: those of the same site, and of `REALTIME_ALLOWED_ORIGINS`."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

from realtime import conf
from realtime.protocol.refusals import client_of, refused

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names and addresses of this machine for itself."""
DEFAULT_PORTS = {"http": 80, "https": 443}


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
    if b"origin" not in headers or in_allowed_origins(origin):
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
    """Whether a page of this origin came from this host, at least as safely as the request with this scheme.

    A browser leaves the default port out of an Origin. A Host may hold it: some proxies and clients write it.
    """
    page = _parts(origin)
    if page is None or (scheme in {"https", "wss"} and page.scheme != "https"):
        return False
    return page == _parts(f"{page.scheme}://{host}")


def in_allowed_origins(origin: str) -> bool:
    """Return whether `REALTIME_ALLOWED_ORIGINS` holds this origin."""
    page = _parts(origin)
    return page is not None and page in {_parts(allowed) for allowed in conf.settings().allowed_origins}


class _Parts(NamedTuple):
    """An origin, so that two that are the same compare equal (RFC 6454, section 4)."""

    scheme: str
    host: str
    port: int


def _parts(origin: str) -> _Parts | None:
    """None for `null`, and for what no browser sends."""
    try:
        parts = urlsplit(origin)
        default = DEFAULT_PORTS[parts.scheme]
        port = parts.port or default
    except (ValueError, KeyError):  # such as "http://[" and "file://"
        return None
    rest = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    return None if rest or not parts.hostname else _Parts(parts.scheme, parts.hostname, port)
