"""Tests that a web process goes on with its regular checks after one of them failed, and ends revoked connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from embedded.group import Servers
from realtime import conf
from realtime.connect import link_health
from realtime.connect.connection import Connection, Timing
from realtime.connect.connections import Connections, MaxConnections
from realtime.connect.link_health import Health
from realtime.connect.tickets import Ticket
from realtime.feed.background_tasks import end_tasks
from realtime.feed.hub import Hub
from realtime.feed.reader import FeedReader
from realtime.protocol.close_codes import CloseCode
from realtime.records.errors import FeedUnavailableError
from realtime.records.topics import TopicFilter
from tests.realtime.carriers import RecordingCarrier
from tests.realtime.waiting import until

pytestmark = pytest.mark.usefixtures("forget_clients")

EVERYTHING = TopicFilter.of(["*"])
PROBLEMS: list[Exception] = [
    RedisConnectionError("away"),
    FeedUnavailableError("neither"),
    ZeroDivisionError("a defect"),
]


class Checked:
    """A process whose checks do not run yet."""

    def __init__(self, url: str) -> None:
        self.reader = FeedReader.from_url(url)
        self.hub = Hub(self.reader)
        self.connections = Connections(MaxConnections(10, 10, 10))
        self.health = Health(self.reader, self.hub, self.connections, 0.0, conf.revocations())
        self.reader.link.listen_to_revocations(self.health)

    async def connected(self, tenant_id: int) -> RecordingCarrier:
        """Open a connection of the session "s" of this tenant, and return its transport."""
        carrier = RecordingCarrier()
        ticket = Ticket(tenant_id, 1, "s", "owner", EVERYTHING, 3600)
        await Connection(ticket, EVERYTHING, carrier, self.hub, self.connections, Timing()).open(None, admit)
        return carrier


async def admit(_ticket: Ticket) -> None:
    """Admit every ticket."""


@pytest.fixture
async def process(servers: Servers, redis: Redis) -> AsyncIterator[Checked]:
    made = Checked(servers.redis.url)
    yield made
    await made.hub.close()


def failing(problems: list[Exception], then: asyncio.Event) -> Callable[..., Awaitable[None]]:
    """Return a function that raises these errors one by one. The call after the last error sets `then`."""
    left = list(problems)

    async def fails(*_arguments: object) -> None:
        if left:
            raise left.pop(0)
        then.set()

    return fails


@pytest.mark.parametrize(
    ("check", "part", "event", "levels"),
    [
        ("run", "probe", "probe_failed", ["debug", "error", "error"]),
        ("guard", "_read_anywhere", "guard_failed", ["error", "debug", "error"]),
    ],
)
async def test_a_check_continues_after_any_error(
    process: Checked,
    tenant_id: int,
    check: str,
    part: str,
    event: str,
    levels: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_health, "LOOK_SECONDS", 0.0)
    process.hub.start()
    await process.connected(tenant_id)
    continues = asyncio.Event()
    monkeypatch.setattr(process.health, part, failing(PROBLEMS, continues))
    monkeypatch.setattr(process.health, "_link_lives", lambda: False)
    with capture_logs() as logs:
        checking = asyncio.create_task(getattr(process.health, check)())
        async with asyncio.timeout(60):
            await continues.wait()
    await end_tasks([checking])
    assert [line["log_level"] for line in logs if line["event"] == event] == levels


async def test_after_a_message_that_is_no_revocation_a_real_one_ends_the_connection(
    process: Checked, redis: Redis, tenant_id: int
) -> None:
    process.hub.start()
    carrier = await process.connected(tenant_id)
    with capture_logs() as logs:
        redis.publish("realtime:revocations", b"no revocation")
        conf.revocations().add(tenant_id, "session:s", conf.revocations().now())
        await until(lambda: carrier.closed_with is not None)
    assert carrier.closed_with == CloseCode.REVOKED
    assert [line["log_level"] for line in logs if line["event"] == "bad_revocation"] == ["warning"]
