"""Tests that the short paths answer as Django does, and leave all unusual requests to Django."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pytest_django import Settings
from redis import Redis

from config.django_handler import DjangoHandler
from config.headers import with_headers
from realtime import conf
from realtime.connect import tickets
from realtime.connect.connections import MaxConnections
from realtime.connect.revocation import session_subject
from realtime.connect.tickets import Ticket, issue_ticket
from realtime.records.metrics import counts
from realtime.records.topics import TopicFilter
from realtime.redis.clock import clock
from realtime.web.polls import SNAPSHOT_PATH, with_polls
from realtime.web.process_state import ServerProcess, this_process
from realtime.web.thin_paths import HEALTH_PATH, with_thin_paths
from tests.realtime.passed import Passed
from tests.realtime.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.usefixtures("forget_clients")
Headers = dict[str, str]
Answer = tuple[int, dict[bytes, bytes], bytes]


@pytest.fixture
async def process(redis: Redis) -> AsyncIterator[ServerProcess]:
    made = this_process()
    await until(lambda: made.health.hears_redis)
    yield made
    await made.close()


@pytest.fixture
def ticket(tenant_id: int) -> Ticket:
    return Ticket(tenant_id, 1, "s", "owner", TopicFilter.of(["job:*", "large:*"]), 3600, issued_at=clock.now())


def bearer(ticket: Ticket) -> Headers:
    return {"Host": "localhost", "Authorization": f"Bearer {issue_ticket(ticket, conf.ticket_key())}"}


async def ask(application: Any, path: str, headers: Headers, method: str = "GET", query: str = "") -> Answer:
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "client": ("::1", 1)}
    scope["headers"] = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    sent: list[dict[str, Any]] = []
    parts = iter([{"type": "http.request", "body": b""}])

    async def receive() -> dict[str, Any]:
        return next(parts, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    head = {name.lower(): value for name, value in sent[0]["headers"]}
    return sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent)


def thin(application: Any) -> Any:
    return with_polls(with_headers(with_thin_paths(application, lambda _scope: None)))


def django() -> Any:
    handler: Any = DjangoHandler()
    return with_polls(with_headers(handler))


async def both(path: str, headers: Headers, query: str = "") -> tuple[Answer, Answer]:
    """Return the answer of the short path, and Django's."""
    passed = Passed()
    short = await ask(thin(passed), path, headers, query=query)
    assert not passed.called
    return short, await ask(django(), path, headers, query=query)


@pytest.mark.parametrize("query", ["", "topics=job:1", "topics=job:1,job:3", "since=nonsense"])
@pytest.mark.usefixtures("process")
async def test_a_snapshot_is_the_same_as_djangos(ticket: Ticket, query: str) -> None:
    for number in range(3):
        conf.publisher().status(tenant_id=ticket.tenant_id, topic=f"job:{number}", attempt=1, status="DONE")
    short, long = await both(SNAPSHOT_PATH, bearer(ticket), query)
    assert short == long
    assert short[0] == 200


async def test_a_large_snapshot_is_the_same_as_djangos(process: ServerProcess, ticket: Ticket) -> None:
    data = {"text": "x" * 30_000}
    for number in range(80):
        conf.publisher().status(
            tenant_id=ticket.tenant_id, topic=f"large:{number}", attempt=1, status="DONE", data=data
        )
    short, long = await both(SNAPSHOT_PATH, bearer(ticket))
    assert short == long
    assert len(short[2]) > 2_400_000
    assert len(process.polls) == 0


@pytest.mark.parametrize("mark", [session_subject("s"), "tenant"])
@pytest.mark.usefixtures("process")
async def test_a_revoked_ticket_is_refused_as_by_django(ticket: Ticket, mark: str) -> None:
    headers = bearer(ticket)
    conf.revocations().add(ticket.tenant_id, mark, 1000 * (clock.now() + 1))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await ask(thin(Passed()), SNAPSHOT_PATH, headers))[0] != 401:
            await asyncio.sleep(0.005)
    short, long = await both(SNAPSHOT_PATH, headers)
    assert short == long


async def test_a_poll_beyond_the_limit_is_refused_as_by_django(
    process: ServerProcess, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process.polls, "_most", MaxConnections(10, 0, 10))
    short, long = await both(SNAPSHOT_PATH, bearer(ticket))
    assert short == long
    assert short[0] == 429


@pytest.mark.usefixtures("process")
async def test_a_poll_counts_as_a_request_without_sql(ticket: Ticket) -> None:
    del counts.sql[SNAPSHOT_PATH]
    await ask(thin(Passed()), SNAPSHOT_PATH, bearer(ticket))
    assert SNAPSHOT_PATH in counts.sql


async def test_healthz_is_the_same_as_djangos() -> None:
    short, long = await both(HEALTH_PATH, {"Host": "localhost"})
    assert short == long
    assert short[::2] == (200, b"ok")


@pytest.mark.parametrize(
    ("path", "changed", "method", "query"),
    [
        (SNAPSHOT_PATH, {"Authorization": ""}, "GET", ""),
        (SNAPSHOT_PATH, {"Authorization": "Bearer forged.tick.et"}, "GET", ""),
        (SNAPSHOT_PATH, {"Host": "elsewhere.example"}, "GET", ""),
        (SNAPSHOT_PATH, {}, "GET", "topics=video:1"),
        (SNAPSHOT_PATH, {}, "GET", "topics=no topic!"),
        (SNAPSHOT_PATH, {}, "POST", ""),
        (SNAPSHOT_PATH, {}, "HEAD", ""),
        (HEALTH_PATH, {"Host": "elsewhere.example"}, "GET", ""),
        (HEALTH_PATH, {}, "HEAD", ""),
        (HEALTH_PATH, {}, "POST", ""),
        ("/readyz", {}, "GET", ""),
    ],
)
async def test_an_unusual_request_is_left_to_django(
    ticket: Ticket, settings: Settings, path: str, changed: Headers, method: str, query: str
) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]
    passed = Passed()
    await ask(thin(passed), path, bearer(ticket) | changed, method, query)
    assert passed.called


@pytest.mark.usefixtures("process")
async def test_a_ticket_that_was_read_before_is_left_to_django_once_it_has_expired(
    ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = bearer(ticket)
    passed = Passed()
    assert (await ask(thin(passed), SNAPSHOT_PATH, headers))[0] == 200
    assert not passed.called
    later = clock.now() + tickets.CONNECT_SECONDS + 1
    with monkeypatch.context() as patched:
        patched.setattr(type(clock), "now", lambda _clock: later)
        await ask(thin(passed), SNAPSHOT_PATH, headers)
    assert passed.called
