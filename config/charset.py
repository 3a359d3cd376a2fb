"""Bodies and addresses are UTF-8: Django would decode both by any codec of Python's that a caller names."""

import json

from django.utils.http import parse_header_parameters

from config.body_limit import Application, Receive, Scope, Send

UTF_8 = frozenset({"utf-8", "utf8"})


def utf8_only(application: Application) -> Application:
    """Answers 415 where Content-Type names another charset. Some codecs are none of texts, and Django would fall."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if _charset(scope).lower() in UTF_8:
            await application(scope, receive, send)
            return
        message = "Send UTF-8: another charset is not read here."
        body = json.dumps({"code": "unsupported_media_type", "message": message}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 415, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return checked


def _charset(scope: Scope) -> str:
    content_type = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
    try:
        return str(parse_header_parameters(content_type)[1].get("charset", "utf-8"))
    except (ValueError, LookupError):  # too long, or parameters in a coding that is none (RFC 2231)
        return "none"
