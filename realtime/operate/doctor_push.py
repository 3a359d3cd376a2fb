"""The doctor's checks that a published record arrives: through the doctor's own hub, and at a server's WebSocket."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson
from asgiref.sync import async_to_sync, sync_to_async
from redis.exceptions import RedisError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from realtime import conf
from realtime.conf import DoctorCheck
from realtime.connect.tickets import Ticket, issue_ticket
from realtime.feed.hub import Hub
from realtime.feed.reader import FeedReader
from realtime.feed.subscriber import Subscriber
from realtime.operate.doctor import new_attempt
from realtime.protocol.close_codes import CloseCode
from realtime.protocol.frames import Frame
from realtime.records.errors import CheckFailedError, FeedUnavailableError
from realtime.records.keys import SYSTEM_TENANT
from realtime.records.topics import TopicFilter
from realtime.web.handshake import SUBPROTOCOL, TICKET_PREFIX
from realtime.web.routing import WEBSOCKET_PATH

PUSH_TOPIC = "doctor:push"
TOPICS = TopicFilter.of([PUSH_TOPIC])
PUSH_SECONDS = 10.0
TICKET_SECONDS = 60
LOOK_AT_READYZ = "Read its /readyz and its log."


def check_hub() -> str:
    """Publish into the engine's own feed, and wait until the record arrives through a hub like that of a server."""
    try:
        return async_to_sync(_push_through_hub)()
    except (RedisError, FeedUnavailableError) as problem:
        raise CheckFailedError(f"cannot be tried: {problem}", "Repair Redis first.") from None
    except TimeoutError:
        raise CheckFailedError(
            f"published, but nothing arrived within {PUSH_SECONDS:g} s",
            "Pub/sub does not work: is this Redis a replica, a proxy without pub/sub, or closed by an ACL? "
            f"If so, correct {conf.REDIS_ADDRESS}.",
        ) from None


def check_server(url: str) -> DoctorCheck:
    """Return a check that publishes, and waits for the record at the WebSocket of the running server at this URL.

    The URL begins with `http://` or `https://`.
    """
    return partial(_check_server, url)


def _check_server(url: str) -> str:
    try:
        return async_to_sync(_push_through_server)(url)
    except ConnectionClosed as end:
        code, reason = (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "")
        raise CheckFailedError(f"{url} closed the connection: {code} {reason}".rstrip(), _mend(code)) from None
    except TimeoutError:
        mend = f"{LOOK_AT_READYZ} Do both use the same Redis and the same REALTIME_KEY_PREFIX?"
        raise CheckFailedError(f"published, but nothing arrived from {url} within {PUSH_SECONDS:g} s", mend) from None
    except (OSError, InvalidHandshake) as problem:
        mend = "Is that its address? A proxy in front must pass on WebSockets, and ALLOWED_HOSTS must have the name."
        raise CheckFailedError(f"no WebSocket at {url}: {problem}", mend) from None
    except RedisError as problem:
        raise CheckFailedError(f"cannot be tried: {problem}", "Repair Redis first.") from None


class _Arrivals:
    """A transport that collects the attempt numbers of the doctor's record as they arrive."""

    waits_for_client = True

    def __init__(self) -> None:
        self._attempts: asyncio.Queue[int] = asyncio.Queue()

    def send(self, frame: Frame) -> None:
        for attempt in _attempts(orjson.loads(frame.body)):
            self._attempts.put_nowait(attempt)

    async def until(self, attempt: int) -> None:
        """Wait until this attempt or a later one has arrived."""
        while await self._attempts.get() < attempt:
            pass


async def _push_through_hub() -> str:
    hub = Hub(FeedReader.from_url(conf.redis_url(), key_prefix=conf.key_prefix()), conf.limits()).start()
    arrivals = _Arrivals()
    subscriber = Subscriber(SYSTEM_TENANT, TOPICS, arrivals)
    try:
        await hub.join(subscriber)
        seconds = await _publish_and_wait(arrivals.until)
    finally:
        hub.leave(subscriber)
        await hub.close()
    return f"a record arrived after {1000 * seconds:.0f} ms"


async def _push_through_server(url: str) -> str:
    ticket = Ticket(SYSTEM_TENANT, 0, "doctor", "doctor", TOPICS, TICKET_SECONDS)
    offered = [SUBPROTOCOL, f"{TICKET_PREFIX}{issue_ticket(ticket, conf.ticket_key())}"]
    async with connect(
        _websocket_url(url), subprotocols=[Subprotocol(word) for word in offered], proxy=None, open_timeout=PUSH_SECONDS
    ) as socket:
        async with asyncio.timeout(PUSH_SECONDS):
            while (await _read(socket))["type"] != "snapshot":
                pass
        seconds = await _publish_and_wait(partial(_until_received, socket))
    return f"a record arrived from {url} after {1000 * seconds:.0f} ms"


async def _publish_and_wait(until: Callable[[int], Any]) -> float:
    """Publish a record, and return how many seconds it took to arrive.

    Raise TimeoutError if it has not arrived within PUSH_SECONDS, and RedisError if it cannot be published.
    """
    attempt = new_attempt()
    started = time.monotonic()
    publish = partial(conf.publisher().status, tenant_id=SYSTEM_TENANT, topic=PUSH_TOPIC, status="DONE")
    await sync_to_async(publish)(attempt=attempt)
    async with asyncio.timeout(PUSH_SECONDS):
        await until(attempt)
    return time.monotonic() - started


async def _until_received(socket: ClientConnection, attempt: int) -> None:
    while max(_attempts(await _read(socket)), default=0) < attempt:
        pass


async def _read(socket: ClientConnection) -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(await socket.recv())
    return content


def _attempts(frame: dict[str, Any]) -> list[int]:
    return [record.get("attempt", 0) for record in frame.get("records", ())]


def _websocket_url(url: str) -> str:
    parts = urlsplit(url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + WEBSOCKET_PATH, "", ""))


def _mend(code: int) -> str:
    if code == CloseCode.TICKET_INVALID:
        return "The server has another SECRET_KEY than this command: give both the same one."
    if code == CloseCode.LIFETIME_OVER:
        return "The clocks of this machine and of the server differ: synchronize both by NTP."
    if code == CloseCode.TOO_MANY_CONNECTIONS:
        return "The server is full: start another, or raise REALTIME_MAX_CONNECTIONS."
    return LOOK_AT_READYZ
