"""Tests that compare a real Redis with a model of it in plain Python, in random steps.

The model is written from the rules (`docs/explanation/guarantees.md`), not from the Lua script. After every step both
must hold the same data, down to each byte that a browser would receive.

The examples are the same in each run. `REALTIME_EXAMPLES=500` runs 500 others.
"""

import os
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

import orjson
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis import Redis

from realtime.publish import Publisher, Step
from realtime.records import scripts
from realtime.records.keys import Keys
from realtime.records.record import Progress, draft_record, join_record
from realtime.records.scripts import Limits
from realtime.records.transitions import Verdict

TOPICS = ["job:a", "job:b", "job:c", "job:d", "job:e", "video:a", "video:b", "video:c"]
RANKS = {"PENDING": 0, "PROCESSING": 1}
TERMINAL = 2
EXAMPLES = int(os.environ.get("REALTIME_EXAMPLES", "0"))
# `script/break-guarantees` only needs to know whether an example fails, so no shorter example is searched for.
PHASES = [Phase.generate] if os.environ.get("QUICK_FAILURE") else list(Phase)

_tenants = count(500_000)


A_DAY_AND_MORE = 100_000


@dataclass
class Model:
    """The model of one feed."""

    limits: Limits
    offset: int = 0
    floor: int = 0
    records: dict[str, dict[str, Any]] = field(default_factory=dict)  # all topics that have a key, in the index or not
    index: dict[str, int] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)  # in the index and ended, oldest first
    aged: set[str] = field(default_factory=set)  # those of `finished` that ended more than 24 h ago

    def publish(self, fields: dict[str, Any]) -> Verdict:
        old = self.records.get(fields["topic"])
        refused = self._refusal(old, fields) if old else None
        if refused:
            return refused
        self.offset += 1
        self._store(old, fields)
        self._forget_what_is_too_much()
        return Verdict.ACCEPTED

    @staticmethod
    def _refusal(old: dict[str, Any], new: dict[str, Any]) -> Verdict | None:
        if new["attempt"] > old["attempt"]:
            return None
        if new["attempt"] < old["attempt"]:
            return Verdict.STALE_ATTEMPT
        if rank(old) == TERMINAL:
            return Verdict.DUPLICATE if new["status"] == old["status"] else Verdict.ALREADY_TERMINAL
        return Verdict.STATUS_REGRESSION if rank(new) < rank(old) else None

    def _store(self, old: dict[str, Any] | None, fields: dict[str, Any]) -> None:
        topic = fields["topic"]
        new = {"offset": self.offset, **fields}
        if rank(new) == TERMINAL:
            new["progress"] = None
        elif new["progress"] is None and old and old["attempt"] == new["attempt"]:
            if rank(old) == rank(new) and new["published_at"] < old["published_at"]:  # the new one is late
                new |= {name: old[name] for name in ("data", "error", "published_at")}
            new["progress"] = old["progress"]
        self.records[topic] = new
        self.index[topic] = self.offset
        self.aged.discard(topic)
        if topic in self.finished:
            self.finished.remove(topic)
        if rank(new) == TERMINAL:
            self.finished.append(topic)
            self.finished.sort(key=self._ended)

    def _ended(self, topic: str) -> tuple[bool, float, str]:
        return topic not in self.aged, self.records[topic]["published_at"], topic

    def _forget_what_is_too_much(self) -> None:
        """Keep in the index only the newest unfinished topics, and the newest of those that ended in the last 24 h."""
        young = [topic for topic in self.finished if topic not in self.aged]
        unfinished = sorted(set(self.index) - set(self.finished), key=self.index.__getitem__)
        stay = {*young[-self.limits.recent_terminal :], *unfinished[-self.limits.recent_unfinished :]}
        for topic in set(self.index) - stay:
            self.floor = max(self.floor, self.index.pop(topic))
            self.aged.discard(topic)
        self.finished = [topic for topic in self.finished if topic in stay]


def rank(fields: dict[str, Any]) -> int:
    return RANKS.get(fields["status"], TERMINAL)


percents = st.integers(0, 100)
progresses = st.none() | st.builds(
    Progress,
    percents,
    st.none() | st.builds(Step, st.just(1), st.just(3), st.sampled_from(["읽기", 'a"b\\']), percents),
)
datas = st.sampled_from([{}, {"list": [], "deep": {"a": {}}}, {"big": 2**53 - 1, "text": '한 "글"\n}'}])


class PublishMachine(RuleBasedStateMachine):
    """Two tenants with topics of the same names: what one publishes never shows in the other's feed."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self.redis = redis
        self.keys = Keys()
        self.tenants = (next(_tenants), next(_tenants))
        self.clock = float(int(time.time()) - 3600)
        self.epochs: dict[int, str] = {}
        self.past_epochs: set[str] = set()
        self.channel = redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self.channel.subscribe(*(self.keys.feed(tenant_id) for tenant_id in self.tenants))
        for _confirmation in self.tenants:
            self.channel.get_message(timeout=60)

    @initialize(
        limits=st.sampled_from(
            [Limits(), Limits(recent_terminal=2, recent_unfinished=3), Limits(recent_terminal=1, recent_unfinished=1)]
        )
    )
    def begin(self, limits: Limits) -> None:
        self.publisher = Publisher(self.redis, limits=limits)
        self.models = {tenant_id: Model(limits) for tenant_id in self.tenants}

    def teardown(self) -> None:
        self.channel.close()

    @rule(
        tenant=st.sampled_from([0, 0, 0, 1]),
        topic=st.sampled_from(TOPICS),
        attempt=st.integers(1, 3),
        status=st.sampled_from(["PENDING", "PROCESSING", "PROCESSING", "READY", "DONE", "FAILED", "CANCELLED"]),
        progress=progresses,
        data=datas,
        failed=st.sampled_from([None, {"code": "empty", "message": "빈 파일"}]),
        stalled=st.booleans(),
        late=st.sampled_from([0, 0, 0, 30]),
    )
    def publish(
        self,
        *,
        tenant: int,
        topic: str,
        attempt: int,
        status: str,
        progress: Progress | None,
        data: dict[str, Any],
        failed: dict[str, str] | None,
        stalled: bool,
        late: int,
    ) -> None:
        """Publish a record. Redis gets it `late` seconds after its time, and so after records with later times."""
        tenant_id = self.tenants[tenant]
        self.clock += 1
        published_at = self.clock - late - late / 100
        draft = draft_record(
            topic=topic,
            attempt=attempt,
            status=status,
            published_at=published_at,
            progress=progress,
            data=data,
            error=failed,
            stalled=stalled,
        )
        fields = {
            "topic": topic,
            "attempt": attempt,
            "status": status,
            "progress": orjson.loads(draft.progress) if draft.progress else None,
            "data": data,
            "error": failed,
            "stalled": stalled,
            "published_at": published_at,
        }
        model = self.models[tenant_id]
        expected = model.publish(fields)
        answer = self.publisher.publish(tenant_id, draft)
        assert (answer.verdict, answer.offset) == (expected, model.offset)
        self._check_epoch(tenant_id, answer.epoch)
        self._check_message(tenant_id, topic, accepted=expected is Verdict.ACCEPTED)

    @rule(tenant=st.sampled_from([0, 1]), topic=st.sampled_from(TOPICS), data=datas, stalled=st.booleans())
    def say_late_what_was_true_before(self, tenant: int, topic: str, data: dict[str, Any], stalled: bool) -> None:
        """Publish an unfinished topic's status again, without progress and dated 30 s back, as a late relay does."""
        known = self.models[self.tenants[tenant]].records.get(topic)
        if known is not None and rank(known) < TERMINAL:
            self.publish(
                tenant=tenant,
                topic=topic,
                attempt=known["attempt"],
                status=known["status"],
                progress=None,
                data=data,
                failed=None,
                stalled=stalled,
                late=30,
            )

    @rule(tenant=st.sampled_from([0, 1]), topic=st.sampled_from(TOPICS), status=st.sampled_from(["DONE", "PENDING"]))
    def restore(self, tenant: int, topic: str, status: str) -> None:
        """Restore a topic, as a detail view does. This publishes nothing, and keeps a record that Redis already has."""
        tenant_id = self.tenants[tenant]
        records = self.models[tenant_id].records
        fields = {"topic": topic, "attempt": 1, "status": status, "data": {}, "error": None, "stalled": False}
        draft = draft_record(topic=topic, attempt=1, status=status, published_at=1.0)
        assert self.publisher.restore(tenant_id, draft) == (topic not in records)
        records.setdefault(topic, {"offset": 0, **fields, "published_at": 1.0, "progress": None})
        assert self.channel.get_message(timeout=0) is None

    @rule(tenant=st.sampled_from([0, 1]))
    def let_a_day_pass(self, tenant: int) -> None:
        """Make the terminal topics more than a day old. They leave the index with the next publish."""
        tenant_id = self.tenants[tenant]
        for topic in self.models[tenant_id].finished:
            self.redis.zincrby(self.keys.terminal(tenant_id), -A_DAY_AND_MORE, topic)
        self.models[tenant_id].aged |= set(self.models[tenant_id].finished)

    @rule(tenant=st.sampled_from([0, 1]))
    def move_to_another_redis(self, tenant: int) -> None:
        """Begin another history of Redis, as a restart does. The next answer has a new epoch."""
        tenant_id = self.tenants[tenant]
        if self.redis.exists(self.keys.feed(tenant_id)):
            self.redis.hset(self.keys.feed(tenant_id), "history", "0" * 40)
            self.epochs.pop(tenant_id, None)

    @rule(tenant=st.sampled_from([0, 1]), back=st.integers(-2, 40), foreign=st.booleans())
    def read(self, tenant: int, back: int, foreign: bool) -> None:
        """Read what changed after a place. Check that the snapshot is whole, or has all topics that changed since."""
        tenant_id = self.tenants[tenant]
        model = self.models[tenant_id]
        known = max(0, model.offset - back)
        epoch = "f0f0" if foreign else self.epochs.get(tenant_id, "")
        names, values = scripts.snapshot_arguments(self.keys, tenant_id, epoch, known)
        read = scripts.snapshot(
            cast("list[bytes]", self.redis.register_script(scripts.source("snapshot"))(names, values))
        )
        is_same = epoch != "" and not foreign
        if is_same and known > model.offset:  # the client has seen more than Redis has now
            assert read.epoch != epoch
            self.epochs.pop(tenant_id)
        self._check_epoch(tenant_id, read.epoch)
        assert (read.offset, read.floor) == (model.offset, model.floor)
        assert read.whole == (not is_same or not model.floor <= known <= model.offset)
        shown = sorted(model.index, key=model.index.__getitem__)
        wanted = [topic for topic in shown if read.whole or model.index[topic] > known]
        assert [orjson.loads(record.body) for record in read.records] == [model.records[topic] for topic in wanted]
        if not read.whole:
            changed = {topic for topic, fields in model.records.items() if fields["offset"] > known}
            assert {record.topic for record in read.records} == changed, "a change above the place is not told"

    @invariant()
    def redis_holds_what_the_model_holds(self) -> None:
        for tenant_id in self.tenants:
            self._check_feed(tenant_id, self.models[tenant_id])

    def _check_feed(self, tenant_id: int, model: Model) -> None:
        pipeline = self.redis.pipeline(transaction=False)
        pipeline.hmget(self.keys.feed(tenant_id), "offset", "floor")
        pipeline.zrange(self.keys.index(tenant_id), 0, -1, withscores=True)
        pipeline.zrange(self.keys.terminal(tenant_id), 0, -1)
        pipeline.hgetall(self.keys.fence(tenant_id))
        pipeline.zrange(self.keys.leases(tenant_id), 0, -1)
        pipeline.mget([self.keys.status(tenant_id, topic) for topic in TOPICS])
        pipeline.mget([self.keys.progress(tenant_id, topic) for topic in TOPICS])
        feed, index, terminal, fence, leases, texts, progresses = pipeline.execute()
        assert [int(number or 0) for number in feed] == [model.offset, model.floor]
        assert {topic.decode(): int(offset) for topic, offset in index} == model.index
        assert [topic.decode() for topic in terminal] == model.finished
        assert {topic.decode(): value.decode() for topic, value in fence.items()} == {
            topic: f"{fields['attempt']} {rank(fields)} {fields['status']}"
            for topic in model.index
            for fields in [model.records[topic]]
        }
        running = {topic for topic, fields in model.records.items() if fields["status"] == "PROCESSING"}
        assert {topic.decode() for topic in leases} == running
        for topic, text, progress in zip(TOPICS, texts, progresses, strict=True):
            assert (orjson.loads(join_record(text, progress).body) if text else None) == model.records.get(topic)

    def _check_epoch(self, tenant_id: int, epoch: str) -> None:
        """Check that the epoch stays while Redis has the same history, and that a new epoch was never used before."""
        if tenant_id not in self.epochs:
            assert epoch not in self.past_epochs
            self.past_epochs.add(epoch)
        assert epoch == self.epochs.setdefault(tenant_id, epoch)

    def _check_message(self, tenant_id: int, topic: str, *, accepted: bool) -> None:
        """Check that an accepted publish sends one message, with the stored bytes, and any other publish sends none."""
        message = self.channel.get_message(timeout=60 if accepted else 0)
        assert (message is not None) == accepted
        record = self.publisher.record(tenant_id, topic)
        assert record is not None
        assert orjson.loads(record.body) == self.models[tenant_id].records[topic]
        if message is not None:
            assert message["channel"].decode() == self.keys.feed(tenant_id)
            assert message["data"] == f"{self.epochs[tenant_id]}.{record.offset} ".encode() + record.body


def test_redis_decides_stores_and_publishes_as_the_model_does(redis: Redis) -> None:
    run_state_machine_as_test(
        cast("type[RuleBasedStateMachine]", lambda: PublishMachine(redis)),
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
