"""Tests of progress under old keys, which name no tenant: a tenant gets it only for topics proven to be its own."""

from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any, cast

import orjson
import pytest
from django.core.management import call_command
from pytest_django import Settings
from redis import Redis

from realtime import conf
from realtime.publish import Publisher
from realtime.records.keys import old_progress, topic_of_old_progress
from realtime.records.record import Progress, Step, draft_record
from realtime.records.scripts import Limits
from realtime.records.source import TopicState
from realtime.repair.legacy import Moved, OldKeys, Owned, read_old_progress
from realtime.repair.sweeper import Sweeper
from tests.realtime.sources import ListedSource, set_progress

TOPIC = "video:42"
OLD_NAME = "job:video:42:progress"
OLD = {
    "step": "transcode",
    "percent": 37.5,
    "remaining_seconds": 81,
    "step_index": 3,
    "step_total": 6,
    "step_name": "transcode",
    "step_percent": 61.0,
}
_others = count(920_000)


@pytest.fixture
def old_keys(redis: Redis) -> OldKeys:
    return OldKeys(redis)


@pytest.fixture
def other_tenant() -> int:
    return next(_others)


def an_old_worker_writes(redis: Redis, name: str = OLD_NAME, **fields: Any) -> None:
    redis.set(name, orjson.dumps(OLD | fields))


def processing(publisher: Publisher, tenant_id: int, topic: str = TOPIC, status: str = "PROCESSING") -> None:
    publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status=status, data={"name": "x"})


def percent(old_keys: OldKeys, tenant_id: int, topic: str = TOPIC) -> float | None:
    """Return the percent of the topic's progress that is given to this tenant, or None without progress."""
    record = old_keys.record(tenant_id, topic)
    progress = orjson.loads(record.body)["progress"] if record else None
    return progress["percent"] if progress else None


# Which tenants get the progress that is stored under the old keys.


def test_the_owner_gets_the_progress_of_the_old_worker_and_it_is_copied_to_the_new_key(
    redis: Redis, old_keys: OldKeys, publisher: Publisher, tenant_id: int
) -> None:
    processing(publisher, tenant_id)
    an_old_worker_writes(redis)
    told, held = old_keys.record(tenant_id, TOPIC), publisher.record(tenant_id, TOPIC)
    assert told == held
    assert told is not None
    fields = orjson.loads(told.body)
    assert fields["progress"] == {
        "percent": 37.5,
        "step": {"index": 3, "total": 6, "name": "transcode", "percent": 61.0},
        "remaining_seconds": 81,
    }
    assert (fields["offset"], fields["data"], fields["status"]) == (2, {"name": "x"}, "PROCESSING")


def test_a_tenant_gets_nothing_of_another_tenants_topic(
    redis: Redis, old_keys: OldKeys, publisher: Publisher, tenant_id: int, other_tenant: int
) -> None:
    processing(publisher, tenant_id)
    an_old_worker_writes(redis)
    assert percent(old_keys, other_tenant) is None
    assert redis.keys(f"tenant:{other_tenant}:*") == []
    assert percent(old_keys, tenant_id) == 37.5


def test_without_the_check_the_other_tenant_would_get_that_progress(
    redis: Redis, publisher: Publisher, tenant_id: int, other_tenant: int
) -> None:
    """The check alone prevents this leak, because the old key does not name its tenant."""

    class WithoutTheRule(OldKeys):
        def _own(self, topics: Any) -> Any:
            """Behave as if the topic belonged to every tenant that asks for it."""
            found = super()._own(topics)
            if found != [(None, False)]:
                return found
            tenant, topic = topics[0]
            made_up = draft_record(topic=topic, attempt=1, status="PROCESSING", published_at=1.0)
            publisher.restore(tenant, made_up)
            return super()._own(topics)

    processing(publisher, tenant_id)
    an_old_worker_writes(redis)
    assert percent(WithoutTheRule(redis), other_tenant) == 37.5


def test_the_database_is_not_used_where_it_must_not_be(redis: Redis, old_keys: OldKeys, tenant_id: int) -> None:
    an_old_worker_writes(redis)
    assert old_keys.record(tenant_id, TOPIC) is None


# What is never overwritten.


def test_progress_under_the_new_key_is_never_overwritten(
    redis: Redis, old_keys: OldKeys, publisher: Publisher, tenant_id: int
) -> None:
    set_progress(publisher, tenant_id, TOPIC, 90)
    an_old_worker_writes(redis)
    assert percent(old_keys, tenant_id) == 90


def test_progress_is_not_overwritten_where_its_status_was_evicted(
    redis: Redis, old_keys: OldKeys, publisher: Publisher, tenant_id: int
) -> None:
    set_progress(publisher, tenant_id, TOPIC, 90)
    redis.delete(f"tenant:{tenant_id}:{TOPIC}:status")
    an_old_worker_writes(redis)
    assert old_keys.copy([Owned(TopicState(tenant_id, TOPIC, 1, "PROCESSING", 1.0))]) == [Moved.CHANGED]
    assert b"90" in cast("bytes", redis.get(f"tenant:{tenant_id}:{TOPIC}:progress"))


def test_an_ended_topic_keeps_its_end(redis: Redis, old_keys: OldKeys, publisher: Publisher, tenant_id: int) -> None:
    processing(publisher, tenant_id, status="READY")
    an_old_worker_writes(redis)
    record = old_keys.record(tenant_id, TOPIC)
    assert record is not None
    assert record.terminal


@pytest.mark.parametrize("word", ["progress", "status", "end"])
def test_a_publish_of_a_new_worker_before_the_copy_is_kept(
    redis: Redis, publisher: Publisher, tenant_id: int, word: str
) -> None:
    class Late(OldKeys):
        def _copy_call(self, *arguments: Any) -> Any:
            if word == "progress":
                set_progress(publisher, tenant_id, TOPIC, 90)
            else:
                processing(publisher, tenant_id, status="PROCESSING" if word == "status" else "READY")
            return super()._copy_call(*arguments)

    processing(publisher, tenant_id)
    an_old_worker_writes(redis)
    Late(redis).record(tenant_id, TOPIC)
    record = publisher.record(tenant_id, TOPIC)
    assert record is not None
    assert record.offset == 2
    assert b"37.5" not in record.body


def test_a_copy_does_not_take_a_lease(redis: Redis, old_keys: OldKeys, publisher: Publisher, tenant_id: int) -> None:
    """Old workers renew no leases. With a lease, all their jobs would be marked as stalled half a minute later."""
    processing(publisher, tenant_id, status="PENDING")
    an_old_worker_writes(redis)
    record = old_keys.record(tenant_id, TOPIC)
    assert record is not None
    assert record.status == "PROCESSING"
    assert redis.zcard(f"tenant:{tenant_id}:leases") == 0
    assert Sweeper(redis, ListedSource()).leases.stall([tenant_id]) == 0


def test_a_copy_does_not_end_a_lease(redis: Redis, old_keys: OldKeys, publisher: Publisher, tenant_id: int) -> None:
    processing(publisher, tenant_id)
    an_old_worker_writes(redis)
    before = redis.zscore(f"tenant:{tenant_id}:leases", TOPIC)
    assert percent(old_keys, tenant_id) == 37.5
    assert redis.zscore(f"tenant:{tenant_id}:leases", TOPIC) == before


# What an old worker may have written.


@pytest.mark.parametrize(
    ("value", "progress"),
    [
        (OLD, Progress(37.5, Step(3, 6, "transcode", 61.0), 81)),
        ({"step": "parse", "percent": 10}, Progress(10, Step(1, 1, "parse", 0.0))),
        ({"percent": "12.5", "remaining_seconds": "9"}, Progress(12.5, None, 9)),
        ({"percent": 140, "step": 7, "step_index": -1}, Progress(100)),
        ({"percent": 5, "step": "x", "step_index": "two", "step_percent": 300}, Progress(5, Step(1, 1, "x", 100))),
        ({"step": "x", "extra": {"percent": 5, "step_index": 2, "step_total": 3}}, Progress(5, Step(2, 3, "x", 0.0))),
        ({"percent": None}, None),
        ({"percent": True}, None),
        ({"percent": -1}, None),
        ({"percent": "nan"}, None),
        ({"step": "x"}, None),
        ([1, 2], None),
        (7, None),
    ],
)
def test_the_valid_parts_of_an_old_value_are_used(value: Any, progress: Progress | None) -> None:
    assert read_old_progress(orjson.dumps(value)) == progress


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff\xfe", b"transcode 37"])
def test_a_value_that_is_not_json_is_ignored(value: bytes | None) -> None:
    assert read_old_progress(value) is None


def test_a_hash_is_read_too_and_any_other_type_is_left_alone(
    redis: Redis, old_keys: OldKeys, publisher: Publisher, tenant_id: int
) -> None:
    for topic in ("job:hash", "job:list"):
        processing(publisher, tenant_id, topic)
    redis.hset("job:hash:progress", mapping={"percent": "37.5", "step": "parse"})
    redis.rpush("job:list:progress", "37.5")
    assert percent(old_keys, tenant_id, "job:hash") == 37.5
    assert percent(old_keys, tenant_id, "job:list") is None


def test_old_names_are_those_of_videos_and_jobs() -> None:
    assert (old_progress("video:42"), old_progress("job:a-1")) == (OLD_NAME, "job:a-1:progress")
    assert old_progress("mail:7") is None
    for topic in ("video:42", "job:a-1"):
        assert topic_of_old_progress(cast("str", old_progress(topic))) == topic
    for name in ("job:a:b:progress", "job::progress", "tenant:7:job:1:progress", "x:job:1:progress", "job:1:status"):
        assert topic_of_old_progress(name) is None


def test_a_kind_without_an_old_name_is_read_too(old_keys: OldKeys, publisher: Publisher, tenant_id: int) -> None:
    processing(publisher, tenant_id, "mail:7")
    assert percent(old_keys, tenant_id, "mail:7") is None


# The setting REALTIME_LEGACY_KEYS.


@pytest.mark.parametrize(("setting", "told"), [("read", 37.5), ("off", None)])
def test_old_keys_are_read_only_with_the_setting(
    redis: Redis,
    publisher: Publisher,
    tenant_id: int,
    settings: Settings,
    forget_clients: Callable[[], None],
    setting: str,
    told: float | None,
) -> None:
    settings.REALTIME_LEGACY_KEYS = setting
    processing(publisher, tenant_id)
    an_old_worker_writes(redis)
    record = conf.record(tenant_id, TOPIC)
    assert record is not None
    progress = orjson.loads(record.body)["progress"]
    assert (progress and progress["percent"]) == told


# Moving all old keys.


def test_all_old_keys_move_to_their_owners_and_keys_without_an_owner_stay(
    redis: Redis, old_keys: OldKeys, publisher: Publisher, tenant_id: int, other_tenant: int
) -> None:
    source = ListedSource()
    source.set_state(tenant_id, "video:1", "PROCESSING", data={"name": "x"})  # Redis has no record of it
    source.set_state(other_tenant, "job:a", "PROCESSING")
    processing(publisher, other_tenant, "job:a")
    source.set_state(tenant_id, "video:3", "READY")
    source.set_state(tenant_id, "video:4", "PROCESSING")
    set_progress(publisher, tenant_id, "video:4", 90)
    source.set_state(tenant_id, "video:5", "PROCESSING")
    names = ["job:video:1:progress", "job:a:progress", "job:video:3:progress", "job:video:4:progress"]
    for name in [*names, "job:nobodys:progress", "job:not:ours:progress"]:
        an_old_worker_writes(redis, name)
    redis.set("job:video:5:progress", "no progress")
    dry = list(old_keys.move_all(source, dry=True))[-1]
    assert len(cast("list[bytes]", redis.keys("job:*"))) == 7
    done = Counter(list(old_keys.move_all(source))[-1])
    assert done == {Moved.COPIED: 2, Moved.NOT_NEEDED: 2, Moved.UNUSABLE: 1, Moved.UNOWNED: 1}
    assert dry.total() == done.total()
    assert sorted(cast("list[bytes]", redis.keys("job:*"))) == [
        b"job:nobodys:progress",
        b"job:not:ours:progress",
        b"job:video:5:progress",
    ]
    video = publisher.record(tenant_id, "video:1")
    assert video is not None
    assert (video.attempt, orjson.loads(video.body)["progress"]["percent"]) == (1, 37.5)
    job = publisher.record(other_tenant, "job:a")
    assert job is not None
    assert b"37.5" in job.body
    assert publisher.record(tenant_id, "job:a") is None
    again = list(old_keys.move_all(source))[-1]
    assert again == {Moved.UNUSABLE: 1, Moved.UNOWNED: 1}


def test_a_copy_that_was_overtaken_is_tried_again_by_the_next_run(
    redis: Redis, old_keys: OldKeys, publisher: Publisher, tenant_id: int
) -> None:
    processing(publisher, tenant_id)
    an_old_worker_writes(redis)
    state = TopicState(tenant_id, TOPIC, 1, "PROCESSING", 1.0)
    assert old_keys.copy([Owned(state, offset="")]) == [Moved.CHANGED]
    assert redis.exists(OLD_NAME)
    assert old_keys.copy([Owned(state, offset="1")]) == [Moved.COPIED]


def test_owners_are_looked_up_in_batches(redis: Redis, old_keys: OldKeys, tenant_id: int) -> None:
    source = ListedSource()
    for number in range(1000):
        an_old_worker_writes(redis, f"job:video:{number}:progress")
        source.set_state(tenant_id, f"video:{number}", "PROCESSING")
    totals = [done.total() for done in old_keys.move_all(source)]
    assert totals[-1] == 1000
    assert source.asked == len(totals) <= 6
    assert redis.zcard(f"tenant:{tenant_id}:feed:index") == 1000


def test_moved_records_expire_like_any_other(redis: Redis, tenant_id: int) -> None:
    source = ListedSource()
    source.set_state(tenant_id, TOPIC, "PROCESSING")
    an_old_worker_writes(redis)
    list(OldKeys(redis, limits=Limits(unfinished_ttl_seconds=500)).move_all(source))
    assert [0 < redis.ttl(f"tenant:{tenant_id}:{TOPIC}:{part}") <= 500 for part in ("status", "progress")] == [True] * 2


@pytest.mark.usefixtures("forget_clients")
def test_the_command_prints_what_it_did_with_them(
    redis: Redis, tenant_id: int, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.REALTIME_SOURCE = f"{__name__}.the_source"
    the_listed.set_state(tenant_id, TOPIC, "PROCESSING")
    an_old_worker_writes(redis)
    call_command("migrate_progress_keys", dry_run=True)
    assert redis.exists(OLD_NAME)
    call_command("migrate_progress_keys")
    call_command("migrate_progress_keys")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Done")]
    assert lines == [
        "Done: 1 copied, 0 not needed, 0 changed, 0 unusable, 0 unowned. Nothing was written.",
        "Done: 1 copied, 0 not needed, 0 changed, 0 unusable, 0 unowned.",
        "Done: 0 copied, 0 not needed, 0 changed, 0 unusable, 0 unowned.",
    ]


the_listed = ListedSource()


def the_source() -> ListedSource:
    return the_listed
