"""The headers of every answer, and the redirect from http to https."""

from typing import Any

import pytest

from config.headers import over_tls, with_headers


async def exchange(application: Any, **scope: Any) -> tuple[int, dict[bytes, bytes]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    request = {"type": "http", "method": "GET", "scheme": "http", "path": "/x", "query_string": b"", "headers": []}
    await application(request | scope, receive, send)
    if sent[0]["type"] == "websocket.close":
        return 403, {}
    assert len(sent[0]["headers"]) == len(dict(sent[0]["headers"]))
    return sent[0]["status"], dict(sent[0]["headers"])


def answering(*headers: tuple[bytes, bytes]) -> Any:
    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"reached"})

    return application


async def test_an_answer_gets_missing_headers_and_keeps_its_own() -> None:
    _, headers = await exchange(with_headers(answering((b"Cache-Control", b"max-age=60"))))
    assert headers[b"Cache-Control"] == b"max-age=60"
    assert headers[b"x-content-type-options"] == b"nosniff"
    _, headers = await exchange(with_headers(answering()))
    assert headers[b"cache-control"] == b"no-store"
    assert b"strict-transport-security" not in headers


async def test_hsts_is_sent_only_with_tls(settings: Any) -> None:
    settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = 3600, True
    _, headers = await exchange(with_headers(answering()), scheme="https")
    assert headers[b"strict-transport-security"] == b"max-age=3600; includeSubDomains"
    _, headers = await exchange(with_headers(answering()))
    assert b"strict-transport-security" not in headers


@pytest.fixture
def tls(settings: Any) -> Any:
    settings.SECURE_SSL_REDIRECT, settings.ALLOWED_HOSTS = True, ["a.example"]
    return over_tls(answering())


HOST = [(b"host", b"a.example")]


@pytest.mark.parametrize(("method", "status"), [("GET", 301), ("HEAD", 301), ("POST", 308), ("DELETE", 308)])
async def test_a_request_by_http_is_redirected_to_https(tls: Any, method: str, status: int) -> None:
    address = {"raw_path": b"//evil.example/%0d%0a", "path": "//evil.example/\r\n", "query_string": b"a=1&b=%20"}
    found, headers = await exchange(tls, method=method, headers=HOST, **address)
    assert found == status
    assert headers[b"location"] == b"https://a.example//evil.example/%0d%0a?a=1&b=%20"
    assert headers[b"cache-control"] == b"no-store"


@pytest.mark.parametrize(
    "scope",
    [
        {"scheme": "https", "headers": HOST},
        {"path": "/healthz", "headers": HOST},
        {"path": "/readyz"},
        {"headers": [(b"host", b"evil.example")]},  # Django itself refuses an unknown host
    ],
)
async def test_requests_that_need_no_redirect_are_served(tls: Any, scope: dict[str, Any]) -> None:
    assert (await exchange(tls, **scope))[0] == 200


async def test_a_websocket_without_tls_is_refused(tls: Any) -> None:
    assert (await exchange(tls, type="websocket", scheme="ws", headers=HOST))[0] == 403
    assert (await exchange(tls, type="websocket", scheme="wss", headers=HOST))[0] == 200


async def test_by_default_nothing_is_redirected() -> None:
    assert (await exchange(over_tls(answering()), headers=HOST))[0] == 200
