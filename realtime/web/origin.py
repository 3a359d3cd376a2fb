"""Decides which web pages may use the engine: those of the same site, and of `REALTIME_ALLOWED_ORIGINS`."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

from realtime import conf
from realtime.protocol.refusals import client_of, refused

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names and addresses by which a machine connects to itself."""
DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_allowed(scope: Mapping[str, Any]) -> bool:
    """Return whether a page of this Origin may connect (RFC 6454; RFC 6455, 10.2). If not, count and log the reason.

    The Host must be in ALLOWED_HOSTS, because without this check any name that points to this server would count as the
    same site. A request without an Origin header may connect, because a browser always sends the header for pages of
    other sites. The Origin `null` may not connect. Pages of `REALTIME_ALLOWED_ORIGINS` may connect with or without TLS.

    Pages of the same site may connect. But one of them that was loaded without TLS may not connect with TLS, because
    anybody on the network can change such a page. One that was loaded with TLS may also connect without TLS, because
    not every proxy says that it terminated TLS.
    """
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    where = {"path": scope.get("path"), "client": client_of(scope)}
    try:
        host = host_of(scope, headers)
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


def host_of(scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> str:
    """Return the host as Django reads it from a request. Raise DisallowedHost if it is not in ALLOWED_HOSTS."""
    request = HttpRequest()
    server, port = scope.get("server") or ("", None)
    request.META = {"SERVER_NAME": server, "SERVER_PORT": str(port or 80)}
    for name, key in ((b"host", "HTTP_HOST"), (b"x-forwarded-host", "HTTP_X_FORWARDED_HOST")):
        if name in headers:
            request.META[key] = headers[name].decode("latin-1")
    return request.get_host()


def _is_own(origin: str, host: str, scheme: str) -> bool:
    """Return whether a page of this origin is from this host, and was loaded with TLS if the request uses TLS.

    Browsers leave the default port out of an Origin. A Host may contain it, because some proxies and clients add it.
    """
    page = _parts(origin)
    if page is None or (scheme in {"https", "wss"} and page.scheme != "https"):
        return False
    return page == _parts(f"{page.scheme}://{host}")


def in_allowed_origins(origin: str) -> bool:
    """Return whether this origin is in `REALTIME_ALLOWED_ORIGINS`."""
    page = _parts(origin)
    return page is not None and page in {_parts(allowed) for allowed in conf.settings().allowed_origins}


class _Parts(NamedTuple):
    """The parts of an origin. Two origins are the same if all parts are equal (RFC 6454, sections 4 and 5)."""

    scheme: str
    host: str
    port: int


def _parts(origin: str) -> _Parts | None:
    """Return the parts of an origin, or None for `null` and for texts that no browser sends."""
    try:
        parts = urlsplit(origin)
        default = DEFAULT_PORTS[parts.scheme]
        port = parts.port or default
    except (ValueError, KeyError):  # such as "http://[" and "file://"
        return None
    rest = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    return None if rest or not parts.hostname else _Parts(parts.scheme, parts.hostname, port)
