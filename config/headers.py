"""Adds headers to every HTTP answer, and redirects from `http` to `https`.

An answer without `Cache-Control` gets `no-store`, since most answers contain tokens or personal data.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from realtime.server.asgi_server import refuse_handshake

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

DEFAULTS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
PLAIN_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Requests for these paths are not redirected, because programs inside the installation send them without TLS."""
REFUSED = b"Use https."


def with_headers(application: Application) -> Application:
    """Wrap an ASGI application: add missing headers of `DEFAULTS` to its answers and, over TLS, the HSTS header."""

    async def answered(scope: Message, receive: Receive, send: Send) -> None:
        defaults = DEFAULTS + _strict_transport(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", [])]
                present = {name.lower() for name, _value in headers}
                missing = [header for header in defaults if header[0] not in present]
                message = {**message, "headers": headers + missing}
            await send(message)

        await application(scope, receive, send_with_headers)

    return answered


def _strict_transport(scope: Message) -> tuple[Header, ...]:
    """Return the HSTS header if the settings ask for it and the request came over TLS (RFC 6797, section 7.2).

    Return no header otherwise.
    """
    if not settings.SECURE_HSTS_SECONDS or scope.get("scheme") != "https":
        return ()
    value = f"max-age={settings.SECURE_HSTS_SECONDS}"
    if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS:
        value += "; includeSubDomains"
    return ((b"strict-transport-security", value.encode()),)


def over_tls(application: Application) -> Application:
    """Wrap an ASGI application: if `SECURE_SSL_REDIRECT` is on, redirect requests from `http` to `https`.

    WebSockets cannot be redirected, so they are refused.
    """

    async def redirected(scope: Message, receive: Receive, send: Send) -> None:
        if (
            not settings.SECURE_SSL_REDIRECT
            or scope.get("scheme") not in {"http", "ws"}
            or scope["path"] in PLAIN_PATHS
        ):
            await application(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await refuse_handshake(scope, send, "Use wss.")
        elif location := _location(scope):
            await _redirect(scope, send, location)
        else:
            await application(scope, receive, send)  # the host is not allowed, so the application refuses the request

    return redirected


def _location(scope: Message) -> str | None:
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    domain, _port = split_domain_port(host)
    if not validate_host(domain, settings.ALLOWED_HOSTS):
        return None
    path = scope.get("raw_path") or quote(scope["path"]).encode()
    query = b"?" + scope["query_string"] if scope.get("query_string") else b""
    return f"https://{host}{(path + query).decode('latin-1')}"


async def _redirect(scope: Message, send: Send, location: str) -> None:
    # The client repeats the request with the same method after a 308. The body that it sent without TLS is not read.
    status = 301 if scope["method"] in {"GET", "HEAD"} else 308
    headers = [
        (b"location", location.encode("latin-1")),
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(REFUSED)),
        (b"connection", b"close"),
        *DEFAULTS,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": REFUSED})
