"""Tests that the short path for polls answers as Django does, and leaves all unusual requests to Django."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from pytest_django import Settings
from redis import Redis

from academy.domain.roles import Role
from apps.core.thin_polls import with_thin_polls
from apps.core.tokens import Caller, access_token
from apps.domains.ai.views import job_progress_view
from apps.support.video.views import progress_views
from config.django_handler import DjangoHandler
from config.headers import with_headers
from realtime import conf
from realtime.connect.revocation import session_subject
from realtime.records.metrics import counts
from realtime.redis.clock import clock
from realtime.web.process_state import this_process
from tests.realtime.passed import Passed
from tests.realtime.waiting import PATIENCE_SECONDS, until

JOB = UUID("10b95ed8-d493-403a-aa66-bbe143014b26")
JOB_PATH, VIDEO_PATH = f"/api/v1/jobs/{JOB}/progress/", "/media/videos/42/progress/"
STATES: list[tuple[str, str, dict[str, Any]]] = [
    (JOB_PATH, f"job:{JOB}", {"status": "PROCESSING", "data": {"job_type": "excel_parsing"}}),
    (JOB_PATH, f"job:{JOB}", {"status": "DONE", "data": {"result": {"created": 2, "who": "김\u2028"}}}),
    (JOB_PATH, f"job:{JOB}", {"status": "FAILED", "error": {"code": "bad", "message": "Nothing was read."}}),
    (VIDEO_PATH, "video:42", {"status": "PROCESSING"}),
    (VIDEO_PATH, "video:42", {"status": "READY", "data": {"hls_path": "a/b.m3u8", "duration": 8.5}}),
]
Headers = dict[str, str]


@pytest.fixture
async def caller(redis: Redis, tenant_id: int) -> AsyncIterator[Caller]:
    """Yield an owner. The process of the test hears Redis."""
    process = this_process()
    await until(lambda: process.health.hears_redis)
    yield Caller(1, uuid4(), tenant_id, "hanbit", Role.OWNER, "somebody", must_change_password=False)
    await process.close()


async def ask(
    application: Any, path: str, headers: Headers, method: str = "GET", query: str = ""
) -> tuple[int, dict[bytes, bytes], bytes]:
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode()}
    scope["headers"] = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    sent: list[dict[str, Any]] = []
    parts = iter([{"type": "http.request", "body": b""}])

    async def receive() -> dict[str, Any]:
        return next(parts)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    head = {name.lower(): value for name, value in sent[0]["headers"]}
    return sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent)


def thin(application: Any) -> Any:
    return with_headers(with_thin_polls(application, [job_progress_view.POLLED, progress_views.POLLED]))


def usual(caller: Caller) -> Headers:
    return {"Authorization": f"Bearer {access_token(caller)}", "Host": "localhost", "Accept": "application/json, */*"}


async def both(path: str, headers: Headers) -> tuple[Any, Any]:
    """Return the answer of the short path, and Django's."""
    passed = Passed()
    short = await ask(thin(passed), path, headers)
    assert not passed.called
    django: Any = DjangoHandler()
    return short, await ask(with_headers(django), path, headers)


@pytest.mark.parametrize(("path", "topic", "state"), STATES)
async def test_an_answer_is_the_same_as_djangos(caller: Caller, path: str, topic: str, state: dict[str, Any]) -> None:
    conf.publisher().status(tenant_id=caller.tenant_id, topic=topic, attempt=1, **state)
    short, long = await both(path, usual(caller))
    assert short == long
    assert short[0] == 200
    etag = {"If-None-Match": short[1][b"etag"].decode()}
    short, long = await both(path, usual(caller) | etag)
    assert short == long
    assert short[0] == 304


async def test_a_job_with_progress_is_answered_the_same(caller: Caller) -> None:
    conf.publisher().progress(tenant_id=caller.tenant_id, topic=f"job:{JOB}", attempt=1, percent=12.5, milestone=True)
    short, long = await both(JOB_PATH, usual(caller))
    assert short == long
    assert b"12.5" in short[2]


@pytest.mark.parametrize("path", [JOB_PATH, VIDEO_PATH])
async def test_a_topic_without_a_record_is_answered_the_same(caller: Caller, path: str) -> None:
    conf.publisher().status(tenant_id=caller.tenant_id + 10_000, topic=f"job:{JOB}", attempt=1, status="DONE")
    short, long = await both(path, usual(caller))
    assert short == long
    assert short[2] == b'{"status":"UNKNOWN"}'


async def test_a_poll_counts_as_a_request_without_sql(caller: Caller) -> None:
    del counts.sql[job_progress_view.POLLED.route]
    await ask(thin(Passed()), JOB_PATH, usual(caller))
    assert counts.sql == counts.sql | {job_progress_view.POLLED.route: 0}


@pytest.mark.parametrize(
    ("changed", "method", "query"),
    [
        ({"Authorization": ""}, "GET", ""),
        ({"Authorization": "Bearer forged.to.ken"}, "GET", ""),
        ({"X-Tenant-Code": "saebom"}, "GET", ""),
        ({"Accept": "text/html"}, "GET", ""),
        ({"Accept": "application/json;indent=4"}, "GET", ""),
        ({"Host": "elsewhere.example"}, "GET", ""),
        ({"Content-Length": "2"}, "GET", ""),
        ({"Content-Type": "application/json;charset=utf-7"}, "GET", ""),
        ({"Transfer-Encoding": "chunked"}, "GET", ""),
        ({}, "GET", "format=api"),
        ({}, "GET", "%66ormat=api"),
        ({}, "HEAD", ""),
        ({}, "POST", ""),
    ],
)
async def test_an_unusual_request_is_left_to_django(
    caller: Caller, settings: Settings, changed: Headers, method: str, query: str
) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]
    passed = Passed()
    await ask(thin(passed), JOB_PATH, usual(caller) | changed, method, query)
    assert passed.called


@pytest.mark.parametrize(
    "changes",
    [{"role": Role.STUDENT}, {"role": Role.PARENT}, {"must_change_password": True}, {"issued_at": clock.now() - 7200}],
)
async def test_a_caller_who_may_not_poll_is_left_to_django(caller: Caller, changes: dict[str, Any]) -> None:
    passed = Passed()
    await ask(thin(passed), JOB_PATH, usual(replace(caller, **changes)))
    assert passed.called


async def test_a_revoked_session_is_left_to_django(caller: Caller) -> None:
    headers = usual(caller)
    await both(JOB_PATH, headers)
    conf.revocations().add(caller.tenant_id, session_subject(str(caller.session_id)), 1000 * clock.now())

    async def is_left_to_django() -> bool:
        passed = Passed()
        await ask(thin(passed), JOB_PATH, headers)
        return passed.called

    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await is_left_to_django():
            await asyncio.sleep(0.005)
    status, _headers, _body = await ask(thin(DjangoHandler()), JOB_PATH, headers)
    assert status == 401


async def test_a_token_is_refused_once_it_has_expired_and_once_its_key_is_gone(
    caller: Caller, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = usual(caller)
    await both(JOB_PATH, headers)
    passed = Passed()
    with monkeypatch.context() as later:
        now = clock.now()
        later.setattr(type(clock), "now", lambda _clock: now + settings.ACCESS_TOKEN_SECONDS + 1)
        await ask(thin(passed), JOB_PATH, headers)
    assert passed.called
    settings.SECRET_KEY = "another key, with which this token was not signed"
    passed = Passed()
    await ask(thin(passed), JOB_PATH, headers)
    assert passed.called


async def test_polls_are_left_to_django_while_the_process_does_not_hear_redis(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(this_process().health, "_link_lives", lambda: False)
    passed = Passed()
    await ask(thin(passed), JOB_PATH, usual(caller))
    assert passed.called


async def test_polls_are_left_to_django_while_old_keys_are_read(caller: Caller, settings: Settings) -> None:
    settings.REALTIME_LEGACY_KEYS = "read"
    passed = Passed()
    await ask(thin(passed), JOB_PATH, usual(caller))
    assert passed.called
