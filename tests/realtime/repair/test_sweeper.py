"""Tests of the sweeper with a real Redis: leases that ran out, keys that would expire, and evicted keys."""

import time
from itertools import count
from typing import Any, cast

import orjson
import pytest
from redis import Redis

from realtime.outbox import relay
from realtime.publish import Publisher
from realtime.records.metrics import counts
from realtime.records.record import draft_record
from realtime.records.script_batches import run_script
from realtime.records.scripts import Limits
from realtime.repair.leases import Leases
from realtime.repair.rebuild import Rebuild
from realtime.repair.sweeper import Sweeper
from tests.realtime.sources import ListedSource, set_progress

TOPIC = "job:a1"
SHORT = Limits(lease_seconds=0)
"""With these limits, a lease has run out as soon as it is written."""

_others = count(900_000)


@pytest.fixture
def source(tenant_id: int) -> ListedSource:
    return ListedSource(tenant_ids=[tenant_id])


@pytest.fixture
def sweeper(redis: Redis, source: ListedSource) -> Sweeper:
    return Sweeper(redis, source)


@pytest.fixture
def dying(redis: Redis) -> Publisher:
    """Return a publisher whose leases run out at once, as if its worker died after each publish."""
    return Publisher(redis, limits=SHORT)


def record(publisher: Publisher, tenant_id: int, topic: str = TOPIC) -> dict[str, Any]:
    found = publisher.record(tenant_id, topic)
    assert found is not None
    fields: dict[str, Any] = orjson.loads(found.body)
    return fields


def feed(redis: Redis, tenant_id: int) -> dict[str, str]:
    fields = cast("dict[bytes, bytes]", redis.hgetall(f"tenant:{tenant_id}:feed"))
    return {name.decode(): value.decode() for name, value in fields.items()}


def progressing(publisher: Publisher, tenant_id: int, topic: str = TOPIC, attempt: int = 1) -> None:
    data: dict[str, Any] = {"job_type": "x", "list": [], "big": 2**53 - 1, '"stalled":false': "아"}
    set_progress(publisher, tenant_id, topic, attempt=attempt, **data)


# Topics that are marked as stalled.


def test_a_topic_whose_lease_ran_out_is_published_as_stalled_with_its_progress_and_data(
    redis: Redis, sweeper: Sweeper, dying: Publisher, tenant_id: int
) -> None:
    progressing(dying, tenant_id)
    before = record(dying, tenant_id)
    channel = redis.pubsub()  # type: ignore[no-untyped-call]
    channel.subscribe(f"tenant:{tenant_id}:feed")
    assert channel.get_message(timeout=60)["type"] == "subscribe"
    assert sweeper.leases.stall([tenant_id]) == 1
    message = channel.get_message(timeout=60)["data"]
    channel.close()
    after = record(dying, tenant_id)
    assert after["stalled"] is True
    assert after["offset"] == before["offset"] + 1
    changed = {"offset", "stalled", "published_at"}
    assert {k: v for k, v in after.items() if k not in changed} == {k: v for k, v in before.items() if k not in changed}
    assert orjson.loads(message.partition(b" ")[2]) == after


def test_a_stalled_topic_is_published_once_and_has_no_lease(
    redis: Redis, sweeper: Sweeper, dying: Publisher, publisher: Publisher, tenant_id: int
) -> None:
    progressing(dying, tenant_id)
    assert [sweeper.leases.stall([tenant_id]) for _ in range(3)] == [1, 0, 0]
    assert redis.zcard(f"tenant:{tenant_id}:leases") == 0
    assert publisher.lease_seconds_left(tenant_id=tenant_id, topic=TOPIC) == 0


def test_a_live_lease_is_left_alone(sweeper: Sweeper, publisher: Publisher, tenant_id: int) -> None:
    progressing(publisher, tenant_id)
    assert sweeper.leases.stall([tenant_id]) == 0
    assert record(publisher, tenant_id)["stalled"] is False


@pytest.mark.parametrize("attempt", [1, 2])
def test_the_next_publish_of_this_or_the_next_attempt_clears_stalled(
    sweeper: Sweeper, dying: Publisher, tenant_id: int, attempt: int
) -> None:
    progressing(dying, tenant_id)
    sweeper.leases.stall([tenant_id])
    progressing(dying, tenant_id, attempt=attempt)
    assert record(dying, tenant_id)["stalled"] is False


@pytest.mark.parametrize("meanwhile", ["a word", "a heartbeat"])
def test_a_worker_that_publishes_between_the_check_and_the_mark_is_not_marked(
    redis: Redis,
    source: ListedSource,
    dying: Publisher,
    publisher: Publisher,
    tenant_id: int,
    meanwhile: str,
) -> None:
    """The script that marks topics checks the offset and the lease once more, inside Redis."""

    class Late(Leases):
        def _mark_call(self, *arguments: Any) -> Any:
            if meanwhile == "a word":
                progressing(dying, tenant_id)
            else:
                publisher.renew_lease(tenant_id=tenant_id, topic=TOPIC, attempt=1)
            return super()._mark_call(*arguments)

    progressing(dying, tenant_id)
    rebuild = Rebuild(redis, source)
    assert Late(redis, rebuild, rebuild.maintain).stall([tenant_id]) == 0
    assert record(dying, tenant_id)["stalled"] is False


@pytest.mark.parametrize(
    "text", [None, b"not ours", b'{"offset":1,"topic":"job:a1","attempt":1,"status":"PROCESSING"}']
)
def test_the_lease_of_a_topic_that_does_not_run_is_dropped(
    redis: Redis, sweeper: Sweeper, tenant_id: int, text: bytes | None
) -> None:
    redis.zadd(f"tenant:{tenant_id}:leases", {TOPIC: 1.5})
    if text is not None:
        redis.set(f"tenant:{tenant_id}:{TOPIC}:status", text)
    assert sweeper.leases.stall([tenant_id]) == 0
    assert redis.zcard(f"tenant:{tenant_id}:leases") == 0
    assert not redis.exists(f"tenant:{tenant_id}:feed")


def test_a_topic_that_lost_its_key_and_its_worker_is_repaired_and_then_stalled(
    redis: Redis, sweeper: Sweeper, source: ListedSource, dying: Publisher, tenant_id: int
) -> None:
    progressing(dying, tenant_id)
    source.set_state(tenant_id, TOPIC, "PROCESSING", data={"job_type": "x"})
    redis.delete(f"tenant:{tenant_id}:{TOPIC}:status")
    assert sweeper.leases.stall([tenant_id]) == 1
    assert record(dying, tenant_id)["stalled"] is True


# When sweeps happen.


def test_a_killed_worker_is_noticed_within_45_seconds() -> None:
    """The time is the sum of the lease after the last heartbeat, the pause of the sweep, and the pause of the relay."""
    sweeper = Sweeper(cast("Redis", None), ListedSource())
    assert Limits().lease_seconds + sweeper.sweep_seconds + relay.PAUSE_SECONDS < 45
    # After 40 s the queue gives the message to the next worker. Clients must see the stalled state before that.
    assert Limits().lease_seconds + sweeper.sweep_seconds + relay.PAUSE_SECONDS < 40


def test_sweeps_have_pauses_and_wait_after_redis_was_filled(
    redis: Redis, source: ListedSource, dying: Publisher, tenant_id: int
) -> None:
    sweeper = Sweeper(redis, source)
    progressing(dying, tenant_id)
    sweeper.leases.pause_stalling()
    assert 20_000 < redis.pttl("realtime:settling") <= 30_000
    sweeper.sweep_if_due()
    assert record(dying, tenant_id)["stalled"] is False
    redis.delete("realtime:settling")
    sweeper.sweep_if_due()  # it is not due yet
    assert record(dying, tenant_id)["stalled"] is False
    Sweeper(redis, source).sweep_if_due()
    assert record(dying, tenant_id)["stalled"] is True


# Keys that must not expire, and keys that were lost.


def test_the_keys_of_unfinished_topics_do_not_expire(
    redis: Redis, source: ListedSource, publisher: Publisher, tenant_id: int
) -> None:
    progressing(publisher, tenant_id)
    names = [f"tenant:{tenant_id}:{part}" for part in (f"{TOPIC}:status", f"{TOPIC}:progress")]
    for name in names:
        redis.expire(name, 100)
    Sweeper(redis, source).maintain([tenant_id])
    assert all(redis.ttl(name) > 1000 for name in names)


def test_an_evicted_status_is_repaired_at_the_offset_of_the_index_without_publishing(
    redis: Redis, sweeper: Sweeper, source: ListedSource, publisher: Publisher, tenant_id: int
) -> None:
    publisher.status(tenant_id=tenant_id, topic="job:other", attempt=1, status="PENDING")
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=3, status="PENDING")
    source.set_state(tenant_id, TOPIC, "PENDING", attempt=3, data={"job_type": "x"})
    redis.delete(f"tenant:{tenant_id}:{TOPIC}:status")
    before = feed(redis, tenant_id)
    sweeper.maintain([tenant_id])
    repaired = record(publisher, tenant_id)
    assert (repaired["offset"], repaired["attempt"], repaired["data"]) == (2, 3, {"job_type": "x"})
    assert 21_000 < redis.ttl(f"tenant:{tenant_id}:{TOPIC}:status") <= 21_600
    assert feed(redis, tenant_id) == before


def test_a_lost_terminal_status_is_repaired_only_while_it_is_shown(
    redis: Redis, source: ListedSource, publisher: Publisher, tenant_id: int
) -> None:
    for topic in ("job:shown", "job:old"):
        publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status="DONE")
        source.set_state(tenant_id, topic, "DONE")
        redis.delete(f"tenant:{tenant_id}:{topic}:status")
    redis.zincrby(f"tenant:{tenant_id}:feed:terminal", -86_401, "job:old")
    Sweeper(redis, source).maintain([tenant_id])
    assert record(publisher, tenant_id, "job:shown")["status"] == "DONE"
    assert redis.ttl(f"tenant:{tenant_id}:job:shown:status") == -1
    assert publisher.record(tenant_id, "job:old") is None


def test_a_newer_state_in_the_database_is_published_instead_of_repaired(
    redis: Redis, sweeper: Sweeper, source: ListedSource, publisher: Publisher, tenant_id: int
) -> None:
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PENDING")
    source.set_state(tenant_id, TOPIC, "DONE", attempt=2)
    redis.delete(f"tenant:{tenant_id}:{TOPIC}:status")
    sweeper.maintain([tenant_id])
    told = record(publisher, tenant_id)
    assert (told["offset"], told["status"], told["attempt"]) == (2, "DONE", 2)


@pytest.mark.parametrize(("old_workers", "status"), [(True, "DONE"), (False, "PENDING")])
def test_with_old_workers_states_that_only_the_database_has_are_published(
    redis: Redis, source: ListedSource, publisher: Publisher, tenant_id: int, old_workers: bool, status: str
) -> None:
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PENDING")
    publisher.status(tenant_id=tenant_id, topic="job:ended", attempt=1, status="DONE")
    source.set_state(tenant_id, TOPIC, "DONE")
    sweeper = Sweeper(redis, source, old_workers=old_workers)
    sweeper.maintain([tenant_id])
    sweeper.maintain([tenant_id])
    assert record(publisher, tenant_id)["status"] == status
    assert source.asked == int(old_workers)  # ended topics are not read again


def test_a_topic_that_the_database_gives_to_another_tenant_is_not_repaired(
    redis: Redis, sweeper: Sweeper, source: ListedSource, publisher: Publisher, tenant_id: int
) -> None:
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PENDING")
    source.set_state(next(_others), TOPIC, "PROCESSING", data={"result": "of somebody else"})
    redis.delete(f"tenant:{tenant_id}:{TOPIC}:status")
    sweeper.maintain([tenant_id])
    assert publisher.record(tenant_id, TOPIC) is None


def test_a_repair_never_overwrites(redis: Redis, source: ListedSource, publisher: Publisher, tenant_id: int) -> None:
    """A worker publishes after the check and before the repair."""
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING")
    source.set_state(tenant_id, TOPIC, "PROCESSING", data={"job_type": "of the database"})
    redis.delete(f"tenant:{tenant_id}:{TOPIC}:status")
    source.before_answer = lambda: progressing(publisher, tenant_id)
    Sweeper(redis, source).maintain([tenant_id])
    assert record(publisher, tenant_id)["data"]["job_type"] == "x"


def test_a_lease_that_was_renewed_meanwhile_is_not_dropped(redis: Redis, tenant_id: int) -> None:
    name = f"tenant:{tenant_id}:leases"
    redis.zadd(name, {TOPIC: 2.5})
    assert run_script(redis, "drop_lease", [([name], [TOPIC, "1.5"])]) == [0]
    assert run_script(redis, "drop_lease", [([name], [TOPIC, "2.5"])]) == [1]


def test_sweeping_needs_a_round_trip_for_hundreds_of_topics_and_only_the_tenants_from_the_database(
    redis: Redis, publisher: Publisher
) -> None:
    tenants = [next(_others) for _ in range(1000)]
    source = ListedSource(tenant_ids=tenants)
    for tenant_id in tenants[::100]:
        publisher.restore(tenant_id, draft_record(topic=TOPIC, attempt=1, status="DONE", published_at=1.0))
        publisher.status(tenant_id=tenant_id, topic="job:b", attempt=1, status="PENDING")
    sweeper = Sweeper(redis, source)
    sweeper.sweep_if_due()  # loads the scripts
    sent = redis.info("commandstats")
    sweeper.leases.stall(tenants)
    sweeper.maintain(tenants)
    after = redis.info("commandstats")
    calls = {name: after[name]["calls"] - sent.get(name, {"calls": 0})["calls"] for name in after}
    assert source.asked == 1
    assert calls["cmdstat_zrangebyscore"] == 2000  # half of them within the scripts
    assert calls["cmdstat_evalsha"] == 1000


# Unfinished topics that have no row in the database. Only the sweeper can end them.


def test_an_unfinished_topic_whose_row_is_gone_is_ended_at_the_second_look(
    redis: Redis, source: ListedSource, publisher: Publisher, tenant_id: int
) -> None:
    source.kinds = ("job",)
    sweeper = Sweeper(redis, source)
    for topic in ("job:gone", "job:there", "report:7"):
        publisher.status(tenant_id=tenant_id, topic=topic, attempt=2, status="PENDING")
    source.set_state(tenant_id, "job:there", "PENDING", attempt=2)
    assert sweeper.end_missing([tenant_id]) == 0
    assert sweeper.end_missing([tenant_id]) == 1
    statuses = {topic: record(publisher, tenant_id, topic)["status"] for topic in ("job:gone", "job:there", "report:7")}
    assert statuses == {"job:gone": "CANCELLED", "job:there": "PENDING", "report:7": "PENDING"}
    assert record(publisher, tenant_id, "job:gone")["attempt"] == 2


def test_a_topic_that_got_a_new_attempt_between_two_looks_is_not_ended(
    redis: Redis, source: ListedSource, publisher: Publisher, tenant_id: int
) -> None:
    source.kinds = ("job",)
    sweeper = Sweeper(redis, source)
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PENDING")
    sweeper.end_missing([tenant_id])
    publisher.status(tenant_id=tenant_id, topic=TOPIC, attempt=2, status="PENDING")
    assert sweeper.end_missing([tenant_id]) == 0


def test_a_topic_that_no_database_knows_is_ended_after_a_week_without_a_publish(
    redis: Redis, sweeper: Sweeper, publisher: Publisher, tenant_id: int
) -> None:
    now = time.time()
    for topic, days in (("job:old", 8), ("job:young", 6)):
        at = now - days * 86_400
        publisher.publish(tenant_id, draft_record(topic=topic, attempt=1, status="PENDING", published_at=at))
    assert sweeper.end_missing([tenant_id]) == 1
    assert record(publisher, tenant_id, "job:old")["status"] == "CANCELLED"
    assert record(publisher, tenant_id, "job:young")["status"] == "PENDING"


# One tenant's bad data.


@pytest.mark.parametrize("name", ["leases", "feed", "feed:fence", "feed:index", f"{TOPIC}:status"])
def test_a_key_of_the_wrong_type_does_not_disturb_the_sweep_of_other_tenants(
    redis: Redis, source: ListedSource, dying: Publisher, tenant_id: int, name: str
) -> None:
    other = next(_others)
    source.tenant_ids = [tenant_id, other]
    for tenant in (tenant_id, other):
        progressing(dying, tenant)
    redis.delete(f"tenant:{tenant_id}:{name}")
    redis.lpush(f"tenant:{tenant_id}:{name}", "of another program")
    before = counts.isolated.total()
    Sweeper(redis, source).sweep_if_due()
    assert record(dying, other)["stalled"] is True
    assert counts.isolated.total() > before
