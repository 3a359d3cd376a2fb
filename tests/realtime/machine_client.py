"""A client for the tests of hubs with random steps. It checks each frame that it receives."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import orjson

from realtime.feed.hub import Hub
from realtime.feed.subscriber import Subscriber
from realtime.protocol.frames import Frame
from realtime.protocol.place import Place, parse_place
from realtime.records.errors import FeedUnavailableError
from realtime.records.topics import TopicFilter
from realtime.records.transitions import Status
from realtime.web.eager_start import start


def strength(fields: dict[str, Any]) -> tuple[int, int]:
    return fields["attempt"], Status(fields["status"]).rank


class LossyHub(Hub):
    """A hub whose connection to Redis may lose messages."""

    swallow = 0
    name = ""

    def on_messages(self, messages: Mapping[int, Sequence[bytes]]) -> None:
        kept: dict[int, Sequence[bytes]] = {}
        for tenant_id, payloads in messages.items():
            lost = min(self.swallow, len(payloads))
            self.swallow -= lost
            kept[tenant_id] = payloads[lost:]
        super().on_messages(kept)

    def lead_to(self, port: int) -> None:
        """Let new links to Redis lead to this port, as after a change in DNS. Open links stay."""
        pool = self._reader._redis.connection_pool
        pool.connection_kwargs["port"] = port
        for connection in [*pool._available_connections, *pool._in_use_connections]:
            connection.port = port  # type: ignore[attr-defined]


class _Carrier:
    """A client's socket, whose buffer is full while the client does not read."""

    waits_for_client = True

    def __init__(self, client: "Client") -> None:
        self.client = client

    def send(self, frame: Frame) -> Awaitable[None] | None:
        return start(self.client.receive(self, frame))


class Client:
    """A client that keeps a fold and a place when it reconnects, as a browser does. It checks each frame."""

    def __init__(self, tenant_id: int, patterns: list[str], database: dict[str, dict[str, Any]]) -> None:
        self.tenant_id, self.database = tenant_id, database
        self.topics = TopicFilter.of(patterns)
        self.fold: dict[str, dict[str, Any]] = {}
        self.place: Place | None = None
        self.free = asyncio.Event()
        self.free.set()
        self.unknown: set[str] = set()
        self.problems: list[AssertionError] = []
        self.history: list[str] = []
        self._highest: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self.disconnect()

    def disconnect(self) -> None:
        self.hub: LossyHub | None = None
        self.subscriber: Subscriber | None = None
        self.carrier: _Carrier | None = None
        self.joining: asyncio.Task[None] | None = None
        self._begun = False

    def connect(self, hub: LossyHub, since: Place | None) -> None:
        self.carrier = _Carrier(self)
        self.history.append(f"connects to {hub.name} with {since}")
        if since is None:  # without a place the process cannot know that this client has seen newer records
            self._highest = {}
        subscriber = Subscriber(self.tenant_id, self.topics, self.carrier)
        self.hub, self.subscriber, self._begun = hub, subscriber, False
        self.joining = asyncio.get_running_loop().create_task(self._join(hub, subscriber, since))

    async def _join(self, hub: LossyHub, subscriber: Subscriber, since: Place | None) -> None:
        try:
            await hub.join(subscriber, since)
        except FeedUnavailableError:
            hub.leave(subscriber)
            if self.subscriber is subscriber:
                self.disconnect()

    async def receive(self, carrier: "_Carrier", frame: Frame) -> None:
        await self.free.wait()
        if self.carrier is carrier:  # otherwise the connection was lost, and the frame with it
            self.history.append(frame.body.decode())
            try:
                self._apply(orjson.loads(frame.body))
            except AssertionError as problem:
                problem.add_note("\n".join(["What this client saw, the last of it:", *self.history[-20:]]))
                self.problems.append(problem)  # if raised here, it would count as a lost connection

    def _apply(self, frame: dict[str, Any]) -> None:
        place = parse_place(frame["place"])
        assert place is not None, frame
        assert str(place) == frame["place"]
        kind = frame["type"]
        assert kind in {"snapshot", "records", "subscribed"}
        assert self._begun or kind == "snapshot", "the first frame is a snapshot"
        self._check_place(kind, place, frame)
        for fields in frame["records"]:
            self._check_and_fold(place.epoch, fields)
        if kind == "snapshot" and not frame["recovered"]:
            self._resolve_doubtful({fields["topic"] for fields in frame["records"]})
        self.place, self._begun = place, True

    def _check_place(self, kind: str, place: Place, frame: dict[str, Any]) -> None:
        offsets = [fields["offset"] for fields in frame["records"] if "offset" in fields]
        before = self.place
        if kind == "records":
            assert before is not None
            assert place.epoch == before.epoch, "a new epoch begins with a snapshot"
            assert offsets == sorted(set(offsets)), "records leave in the order of offsets"
            assert offsets[0] > before.offset, "an earlier frame promised that all of that was sent"
            assert offsets[-1] <= place.offset
        if self._begun and before is not None and place.epoch == before.epoch:
            assert place.offset >= before.offset
        if kind == "snapshot" and frame["recovered"]:
            assert before is not None
            assert place.epoch == before.epoch
            assert all(offset > before.offset for offset in offsets)

    def _check_and_fold(self, epoch: str, fields: dict[str, Any]) -> None:
        topic = fields["topic"]
        assert self.topics.matches(topic), "nobody asked for this"
        self.unknown.discard(topic)
        if fields["status"] == "UNKNOWN":
            assert topic in self.topics.named
            self.unknown.add(topic)
            return
        assert fields["data"]["tenant"] == self.tenant_id, "this is another tenant's"
        highest, same = self._highest.get((epoch, topic), (0, fields))
        assert fields["offset"] >= highest, "within an epoch the offsets of a topic only grow"
        assert fields["offset"] > highest or fields == same, "two records at one offset"
        assert strength(fields) >= strength(same), "within an attempt the status never goes back"
        self._highest[epoch, topic] = fields["offset"], fields
        held = self.fold.get(topic)
        if held is None or strength(fields) >= strength(held):
            self.fold[topic] = fields

    def _resolve_doubtful(self, shown: set[str]) -> None:
        """Resolve the topics of the fold that are not in `shown`, as a client does by asking a detail view of the API.

        If the topic has ended in the database, and the fold has nothing later, the fold takes that end. Otherwise the
        topic is dropped, unless it has ended in the fold.
        """
        for topic, held in list(self.fold.items()):
            if topic in shown:
                continue
            true = self.database.get(topic, {"attempt": 0, "status": "PENDING"})
            if strength(true)[1] == 2 and strength(true) >= strength(held):
                self.fold[topic] = true
            elif strength(held)[1] < 2:
                del self.fold[topic]
