"""Which web pages may talk to the engine: those of the own site, and of `REALTIME_ALLOWED_ORIGINS`."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from realtime import conf

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names and addresses of this machine for itself."""


def origin_allowed(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a page of this Origin may connect (RFC 6454; RFC 6455, 10.2).

    No Origin header means no browser page of another site, and passes; `null` does not. The Host has to be one of ours,
    or another name that leads here would be the own site.
    """
    host = headers.get(b"host", b"").decode("latin-1")
    domain, _port = split_domain_port(host)
    if not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    origin = headers.get(b"origin", b"").decode("latin-1")
    if b"origin" not in headers or origin in conf.allowed_origins():
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:  # such as "http://[", which no browser sends
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()


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
