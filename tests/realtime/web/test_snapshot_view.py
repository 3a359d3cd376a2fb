"""Tests of polls with an access token in place of a ticket."""

import io
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisConnectionError

from realtime.identity import Identity
from realtime.records.errors import TicketError
from realtime.web.snapshot_view import snapshot_view


def signed_in(_request: HttpRequest) -> Identity:
    return Identity(7, 1, "s", "owner")


def signed_out(_request: HttpRequest) -> Identity:
    raise TicketError("Sign in.")


def unreachable(_request: HttpRequest) -> Identity:
    raise RedisConnectionError("away")


def everything(_identity: Identity, _patterns: list[str]) -> list[str]:
    return ["*"]


def nothing(_identity: Identity, _patterns: list[str]) -> list[str]:
    return []


async def poll(settings: Settings, authenticator: Any, rules: Any, topics: str = "") -> tuple[int, str]:
    settings.REALTIME_AUTHENTICATOR = f"{__name__}.{authenticator.__name__}"
    settings.REALTIME_TOPIC_RULES = f"{__name__}.{rules.__name__}"
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/v1/realtime/snapshot/",
        "headers": [(b"host", b"localhost")],
        "query_string": urlencode({"topics": topics}).encode(),
        "client": ("127.0.0.1", 4000),
    }
    answer = await snapshot_view(ASGIRequest(scope, io.BytesIO()))
    assert isinstance(answer, HttpResponse)
    return answer.status_code, json.loads(answer.content)["code"]


@pytest.mark.parametrize(
    ("authenticator", "rules", "topics", "expected"),
    [
        (signed_out, everything, "", (401, "ticket_invalid")),
        (signed_in, everything, "no topic!", (400, "invalid")),
        (signed_in, nothing, "", (403, "forbidden_topic")),
        (unreachable, everything, "", (503, "unavailable")),
    ],
)
async def test_a_poll_that_cannot_be_answered_is_refused_with_its_reason(
    settings: Settings, authenticator: Any, rules: Any, topics: str, expected: tuple[int, str]
) -> None:
    assert await poll(settings, authenticator, rules, topics) == expected
