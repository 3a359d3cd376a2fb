"""Tests of two real hubs and their clients, with a real Redis that loses data, in random steps.

Steps are small and do not wait for each other: a join may be under way while Redis is restarted. Only `compare_all`
waits. It compares every client's fold with a fresh snapshot: each client must have what a new client would receive.
Each frame is also checked when a client receives it: no topic may go back to an older record.

The examples are the same in each run. `REALTIME_EXAMPLES=500` runs 500 others.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Coroutine, Iterator
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from redis import Redis

import realtime.feed.hub
import realtime.feed.reader
import realtime.feed.rounds
import realtime.redis.links
from embedded.ports import HOST, free_port
from embedded.redis import RedisServer
from embedded.scratch import scratch_folder
from harness.system import eventually_now
from realtime.feed.reader import FeedReader
from realtime.publish import Publisher
from realtime.records import scripts
from realtime.records.errors import FeedUnavailableError
from realtime.records.keys import Keys
from realtime.records.record import Progress, Record, draft_record
from realtime.records.scripts import Limits
from realtime.records.topics import TopicFilter
from realtime.records.transitions import Status, Verdict
from tests.realtime.machine_client import Client, LossyHub, strength

EXAMPLES = int(os.environ.get("REALTIME_EXAMPLES", "0"))
# `script/break-guarantees` only needs to know whether an example fails, so no shorter example is searched for.
PHASES = [Phase.generate] if os.environ.get("QUICK_FAILURE") else list(Phase)
BOUND_SECONDS = 15.0 if os.environ.get("QUICK_FAILURE") else 60.0
MAX_RESTARTS = 2  # for each example; a restart takes a tenth of a second
MAX_PROMOTIONS = 2  # the second one promotes the first server again

TOPICS = ["job:a", "job:b", "job:c", "video:a", "video:b"]
NUDGE = "nudge:n"
FILTERS = [
    ["*"],
    ["job:*"],
    ["job:a"],
    ["job:a", "video:b", "job:never"],
    ["video:*", "job:c"],
    ["*", "job:a", "video:a"],
]

pytestmark = pytest.mark.slow

T = TypeVar("T")
_tenants = count(700_000)


class HubMachine(RuleBasedStateMachine):
    """A tenant that is watched through two hubs, and another tenant whose topics have the same names."""

    def __init__(self, servers: tuple[RedisServer, RedisServer], folder: Path) -> None:
        super().__init__()
        self.server, self.replica = servers
        self.folder = folder
        self.dump = folder / "older.rdb"
        for server in servers:
            server.command("REPLICAOF", "NO", "ONE")
            server.command("FLUSHALL")
            replicate_at_once(server)
        self.redis: Redis = Redis.from_url(self.server.url)
        self.keys = Keys()
        self.tenant_id, self.other_tenant = next(_tenants), next(_tenants)
        self.limits = Limits()
        self.publisher = Publisher(self.redis)
        self.promotions_left = 0
        self.replicates = self.behind = False
        """Whether the replica gets all writes (`replicates`), or got them earlier and no longer does (`behind`)."""
        self.clients: list[Client] = []
        self.restarts = 0
        self.has_dump = False
        self.database: dict[str, dict[str, Any]] = {}
        """The true state of each topic."""
        self.told = True
        """Whether all true states were published again since Redis lost data or was replaced."""
        self.clock = time.time()
        self.nudges = 0

    @initialize(
        linger=st.sampled_from([30.0, 0.0]),
        at_once=st.sampled_from([256, 1]),
        recent_terminal=st.sampled_from([1, 2, 100]),
        filters=st.lists(st.sampled_from(FILTERS), min_size=2, max_size=4),
        promotions=st.sampled_from([MAX_PROMOTIONS, 0, 0, 0]),  # a promotion takes half a second
    )
    def begin(
        self, linger: float, at_once: int, recent_terminal: int, filters: list[list[str]], promotions: int
    ) -> None:
        self.promotions_left = promotions
        realtime.feed.hub.LINGER_SECONDS = linger
        realtime.feed.rounds.AT_ONCE = at_once
        self.limits = Limits(recent_terminal=recent_terminal)
        self.publisher = Publisher(self.redis, limits=self.limits)
        self.runner = asyncio.Runner()
        self.hubs = self.run(self._make_hubs(self.limits))
        for number, patterns in enumerate(filters):
            self.run(self._come(patterns, number % 2))
        self.turn(100)

    async def _make_hubs(self, limits: Limits) -> list[LossyHub]:
        hubs = [LossyHub(FeedReader.from_url(self.server.url), limits).start() for _ in range(2)]
        for number, hub in enumerate(hubs):
            hub.name = f"hub {number}"
        return hubs

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        try:
            self.compare_all()
        finally:
            self.run(self._end())
            self.runner.close()
            self.redis.close()

    async def _end(self) -> None:
        for client in self.clients:
            client.free.set()
            if client.joining is not None:
                await asyncio.wait([client.joining])
            if client.hub is not None and client.subscriber is not None:
                client.hub.leave(client.subscriber)
        for hub in self.hubs:
            await hub.close()

    def _client(self, number: int) -> Client:
        return self.clients[number % len(self.clients)]

    # Steps.

    @rule(patterns=st.sampled_from(FILTERS), hub=st.integers(0, 1))
    @precondition(lambda self: len(self.clients) < 6)
    def come(self, patterns: list[str], hub: int) -> None:
        self.run(self._come(patterns, hub))

    async def _come(self, patterns: list[str], hub: int) -> None:
        client = Client(self.tenant_id, patterns, self.database)
        self.clients.append(client)
        client.connect(self.hubs[hub], None)

    @rule(number=st.integers(0, 5), hub=st.integers(0, 1), with_place=st.sampled_from([True, True, False]))
    def come_again(self, number: int, hub: int, with_place: bool) -> None:
        """Lose a connection, and reconnect to the same process or the other, mostly with the last place."""
        self.run(self._come_again(self._client(number), hub, with_place=with_place))

    async def _come_again(self, client: Client, hub: int, *, with_place: bool) -> None:
        await self._lose(client)
        client.connect(self.hubs[hub], client.place if with_place else None)

    @rule(number=st.integers(0, 5))
    def go(self, number: int) -> None:
        self.run(self._lose(self._client(number)))

    @staticmethod
    async def _lose(client: Client) -> None:
        hub, subscriber, joining = client.hub, client.subscriber, client.joining
        client.disconnect()
        if joining is not None and not joining.done():
            await asyncio.wait([joining])  # like the consumer, which notices the end of its socket only after the join
        if hub is not None and subscriber is not None:
            hub.leave(subscriber)

    @rule(
        number=st.integers(0, 5),
        finished=st.lists(st.sampled_from(TOPICS), min_size=1, unique=True),
        hub=st.integers(0, 1),
    )
    def miss_ends(self, number: int, finished: list[str], hub: int) -> None:
        """Let topics end while a client is disconnected. In some examples, more topics end than the feed shows."""
        self.work_on(finished, 1, 100)
        self.go(number)
        for topic in finished:
            true = self.database[topic]
            self._publish(topic, true["attempt"], "DONE", 100)
        self.turn(100)
        self.come_again(number, hub, with_place=True)

    @rule(number=st.integers(0, 5), patterns=st.sampled_from(FILTERS))
    def subscribe(self, number: int, patterns: list[str]) -> None:
        """Add topics to an open connection."""
        self.run(self._subscribe(self._client(number), TopicFilter.of(patterns)))

    @staticmethod
    async def _subscribe(client: Client, added: TopicFilter) -> None:
        if client.hub is None or client.subscriber is None or client.joining is None or not client.joining.done():
            return
        client.topics = TopicFilter.of(client.topics.patterns | added.patterns)
        try:
            await client.hub.subscribe(client.subscriber, 1, added)
        except FeedUnavailableError:
            client.hub.leave(client.subscriber)
            client.disconnect()

    @rule(number=st.integers(0, 5), stuck=st.booleans())
    def hold_up(self, number: int, stuck: bool) -> None:
        """Let a client stop reading, or read again."""
        self.run(self._hold_up(self._client(number), stuck=stuck))

    @staticmethod
    async def _hold_up(client: Client, *, stuck: bool) -> None:
        if stuck:
            client.free.clear()
        else:
            client.free.set()

    @rule(
        topics=st.lists(st.sampled_from(TOPICS), min_size=1, max_size=6),
        attempt=st.sampled_from([1, 1, 1, 2, 3]),
        status=st.sampled_from(["PENDING", "PROCESSING", "PROCESSING", "DONE", "FAILED"]),
        percent=st.integers(0, 100),
        turns=st.sampled_from([0, 1, 5, 20, 100]),
    )
    def publish(self, topics: list[str], attempt: int, status: str, percent: int, turns: int) -> None:
        for topic in topics:
            self._publish(topic, attempt, status, percent)
            self._publish_elsewhere(topic, attempt, status)
        self.turn(turns)

    def _publish(self, topic: str, attempt: int, status: str, percent: int) -> None:
        """Publish a state, unless it is an outdated end. Outdated progress is published, as by a replaced worker."""
        true = self.database.get(topic)
        new = {"attempt": attempt, "status": status}
        if true is None or (strength(new) >= strength(true) and (attempt > true["attempt"] or strength(true)[1] < 2)):
            self.database[topic] = new
        elif strength(new)[1] == 2 and new != true:
            return
        self.clock += 1
        self._publish_to_feed(self.tenant_id, topic, attempt, status, percent)

    def _publish_elsewhere(self, topic: str, attempt: int, status: str) -> None:
        self._publish_to_feed(self.other_tenant, topic, attempt, status, 1)

    def _publish_to_feed(self, tenant_id: int, topic: str, attempt: int, status: str, percent: int | None) -> Verdict:
        draft = draft_record(
            topic=topic,
            attempt=attempt,
            status=status,
            published_at=self.clock,
            progress=Progress(percent) if percent is not None and status == "PROCESSING" else None,
            data={"tenant": tenant_id},
        )
        return self.publisher.publish(tenant_id, draft).verdict

    @rule(hub=st.integers(0, 1), messages=st.integers(1, 3))
    def lose_messages(self, hub: int, messages: int) -> None:
        """Lose the next messages that Redis sends to this process."""
        self.hubs[hub].swallow = messages

    @rule(
        topics=st.lists(st.sampled_from(TOPICS), min_size=1, max_size=6),
        percent=st.integers(0, 99),
        turns=st.integers(0, 50),
    )
    def work_on(self, topics: list[str], percent: int, turns: int) -> None:
        """Publish progress of these topics. A finished topic begins again, with its next attempt."""
        for topic in topics:
            true = self.database.get(topic, {"attempt": 0, "status": "DONE"})
            self._publish(topic, true["attempt"] + (strength(true)[1] == 2), "PROCESSING", percent)
        self.turn(turns)

    @rule(turns=st.integers(1, 100))
    def turn(self, turns: int) -> None:
        """Let the event loop run `turns` times."""
        self.run(_turn(turns))

    @rule()
    def flush_redis(self) -> None:
        """Delete all data, without closing a connection."""
        self.redis.flushall()
        self.told = False

    @rule()
    @precondition(lambda self: not self.has_dump and self.restarts < MAX_RESTARTS)
    def save(self) -> None:
        shutil.copyfile(self.server.save(), self.dump)
        self.has_dump = True

    @rule(how=st.sampled_from(["older", "older", "older", "empty", "same"]))
    @precondition(lambda self: self.restarts < MAX_RESTARTS)
    def restart_redis(self, how: str) -> None:
        """Kill Redis and start it with older data or none, or stop it gracefully and start it with all data."""
        self.restarts += 1
        self.told = False
        if self.replicates:
            self.fall_behind()
        if how == "same":
            self.server.stop()
            self.server.start()
        else:
            self.server.kill()
            if how == "older" and self.has_dump:
                self.server.start(dump=self.dump)
            else:
                self.server.start(empty=True)
        self.server.wait_ready(BOUND_SECONDS)
        replicate_at_once(self.server)

    @rule()
    @precondition(lambda self: self.promotions_left and not self.replicates)
    def replicate(self) -> None:
        """Let the replica get the data of the master, and all later writes."""
        self.replica.command("REPLICAOF", HOST, str(self.server.port))
        self.replicates, self.behind = True, False
        self._until_replicated()

    def _until_replicated(self) -> None:
        def replicated() -> bool:
            with Redis.from_url(self.replica.url) as replica:
                there = replica.info("replication")
                here = self.redis.info("replication")["master_repl_offset"]
                return (there["master_link_status"], there["slave_repl_offset"]) == ("up", here)

        eventually_now(replicated, "the replica", BOUND_SECONDS)

    @rule()
    @precondition(lambda self: self.replicates)
    def fall_behind(self) -> None:
        """Let the replica keep its data, but get no more writes."""
        self.replica.command("REPLICAOF", HOST, str(free_port()))
        self.replicates, self.behind = False, True

    @rule()
    @precondition(lambda self: self.promotions_left and (self.replicates or self.behind))
    def promote(self) -> None:
        """Promote the replica, and make the old master its replica. The links of hubs to the old master stay open."""
        self.promotions_left -= 1
        self.told = False
        if self.replicates:
            self._until_replicated()
        self.replica.command("REPLICAOF", "NO", "ONE")
        self.server.command("REPLICAOF", HOST, str(self.replica.port))
        self.server, self.replica = self.replica, self.server
        self.replicates = self.behind = False
        self.redis.close()
        self.redis = Redis.from_url(self.server.url)
        self.publisher = Publisher(self.redis, limits=self.limits)
        for hub in self.hubs:
            hub.lead_to(self.server.port)

    @rule()
    @precondition(lambda self: not self.told)
    def say_again(self) -> None:
        """Publish the true state of each topic again, as the relay does after Redis lost data or was replaced."""
        self.told = True
        for topic, true in self.database.items():
            self._publish_to_feed(self.tenant_id, topic, true["attempt"], true["status"], 50)

    @rule()
    def compare_all(self) -> None:
        """Check that, after a while without faults, every client has what a new one would receive."""
        if not self.told:
            self.say_again()
        for hub in self.hubs:
            hub.swallow = 0
        self.run(self._come_to_rest())
        read = self._read()
        for client in self.clients:
            self._compare(
                client, {record.topic: record for record in read.records if client.topics.matches(record.topic)}
            )
        for number, hub in enumerate(self.hubs):
            for client in list(self.clients):
                self.run(self._compare_with_new(client, hub, number))

    async def _come_to_rest(self) -> None:
        for client in self.clients:
            client.free.set()
        for client in self.clients:
            if client.joining is not None:
                await asyncio.wait([client.joining])
            if client.subscriber is None:
                client.connect(self.hubs[0], client.place)
        # A hub notices a lost message only when the next one arrives.
        self.nudges += 1
        self._publish_to_feed(self.tenant_id, NUDGE, self.nudges, "PENDING", None)
        await until(self._rests, self._why_not)

    def _rests(self) -> bool:
        feed = cast("list[bytes]", self.redis.hmget(self.keys.feed(self.tenant_id), "epoch", "offset"))
        epoch, offset = feed[0].decode(), int(feed[1])
        for client in self.clients:
            if client.joining is None:
                client.connect(self.hubs[0], client.place)  # on a busy machine, reading the snapshot took too long
        feeds = [followed for hub in self.hubs for followed in hub._feeds.values()]
        return all(
            client.joining is not None
            and client.joining.done()
            and client.subscriber is not None
            and not client.subscriber.busy
            for client in self.clients
        ) and all((feed.mirror.epoch, feed.broadcast.position) == (epoch, (epoch, offset)) for feed in feeds)

    def _why_not(self) -> str:
        feed = self.redis.hgetall(self.keys.feed(self.tenant_id))
        mirrors = [
            [(mirror.epoch, mirror.offset) for followed in hub._feeds.values() for mirror in [followed.mirror]]
            for hub in self.hubs
        ]
        busy = [client.subscriber and client.subscriber.busy for client in self.clients]
        return f"The mirrors stay behind: Redis has {feed}, the hubs {mirrors}, busy {busy}."

    def _read(self) -> scripts.Snapshot:
        names, values = scripts.snapshot_arguments(self.keys, self.tenant_id, "", 0)
        script = self.redis.register_script(scripts.source("snapshot"))
        return scripts.snapshot(cast("list[bytes]", script(names, values)))

    def _compare(self, client: Client, fresh: dict[str, Record]) -> None:
        """Raise the first problem that the client found (guarantee 2). Compare its fold with `fresh` (guarantee 3)."""
        for problem in client.problems:
            raise problem
        for topic, record in fresh.items():
            assert client.fold.get(topic) == orjson.loads(record.body), f"{topic} of a client with {client.topics}"
        for topic, held in client.fold.items():
            if topic not in fresh and topic != NUDGE:
                true = self.database[topic]
                assert Status(held["status"]).terminal, f"{topic}: {held}"
                assert (held["attempt"], held["status"]) == (true["attempt"], true["status"])
        for topic in client.unknown:
            assert self.publisher.record(self.tenant_id, topic) is None or topic in client.fold

    async def _compare_with_new(self, client: Client, hub: LossyHub, number: int) -> None:
        """Connect a new client with the same topics. Check that `client` holds each record that the new client is sent.

        Check that the new client is sent the record of each topic that it names, or is told that Redis has none. This
        includes topics that the feed does not show.
        """
        new = Client(self.tenant_id, sorted(client.topics.patterns), self.database)
        async with asyncio.timeout(BOUND_SECONDS):
            while new.subscriber is None:
                new.connect(hub, None)
                assert new.joining is not None
                await asyncio.wait([new.joining])
        await new.subscriber.drained()
        for topic, fields in new.fold.items():
            assert client.fold.get(topic) == fields, f"{topic} in the snapshot of hub {number}"
        for topic in client.topics.named:
            record = self.publisher.record(self.tenant_id, topic)
            assert (topic in new.unknown) == (record is None)
            assert record is None or new.fold[topic] == orjson.loads(record.body)
        hub.leave(new.subscriber)


def replicate_at_once(server: RedisServer) -> None:
    """Let a server send its data to a replica at once. By default Redis first waits 5 s for other replicas."""
    server.command("CONFIG", "SET", "repl-diskless-sync-delay", "0")


async def _turn(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(holds: Callable[[], bool], why_not: Callable[[], str]) -> None:
    """Wait until the condition holds. After BOUND_SECONDS, raise AssertionError with the text of `why_not`."""
    try:
        async with asyncio.timeout(BOUND_SECONDS):
            while not holds():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(why_not()) from None


@pytest.fixture
def servers_of_its_own() -> Iterator[tuple[RedisServer, RedisServer]]:
    """Yield two servers, which the test may kill and promote."""
    with scratch_folder("hub-machine") as folder:
        servers = RedisServer(folder / "redis"), RedisServer(folder / "replica")
        try:
            for server in servers:
                server.start()
                server.wait_ready(BOUND_SECONDS)
            yield servers
        finally:
            for server in servers:
                server.stop()


def test_every_client_ends_with_the_records_of_a_new_client(
    servers_of_its_own: tuple[RedisServer, RedisServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Replace even a new link if it leads to a wrong server, and check the server often, so that no example has to wait.
    monkeypatch.setattr(realtime.redis.links, "YOUNG_SECONDS", 0.0)
    monkeypatch.setattr(realtime.feed.reader, "SERVER_SECONDS", 0.02)
    # Each example changes these two values. Set them here, so that monkeypatch restores the original ones at the end.
    monkeypatch.setattr(realtime.feed.hub, "LINGER_SECONDS", 30.0)
    monkeypatch.setattr(realtime.feed.rounds, "AT_ONCE", 256)
    run_state_machine_as_test(
        cast("type[RuleBasedStateMachine]", lambda: HubMachine(servers_of_its_own, tmp_path)),
        settings=settings(
            max_examples=EXAMPLES or 100,
            stateful_step_count=40,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            phases=PHASES,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
