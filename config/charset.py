"""Accepts only UTF-8 in bodies and URLs. Django would decode both with any Python codec that Content-Type names."""

import json

from django.utils.http import parse_header_parameters

from config.body_limit import Application, Receive, Scope, Send

UTF_8 = frozenset({"utf-8", "utf8"})


def utf8_only(application: Application) -> Application:
    """Wrap an ASGI application: answer 415 if Content-Type names another charset than UTF-8.

    Python also has codecs that are not for text. With one of those, Django would fail.
    """

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if _charset(scope).lower() in UTF_8:
            await application(scope, receive, send)
            return
        message = "Send UTF-8: other charsets are not accepted here."
        body = json.dumps({"code": "unsupported_media_type", "message": message}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 415, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return checked


def _charset(scope: Scope) -> str:
    content_type = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
    try:
        return str(parse_header_parameters(content_type)[1].get("charset", "utf-8"))
    except (ValueError, LookupError, TypeError):  # it is too long, or has a wrong extended parameter (RFC 2231)
        return "none"
