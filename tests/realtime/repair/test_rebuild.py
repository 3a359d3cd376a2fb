"""Tests of the rebuild, which compares Redis with the project's database."""

import time
from collections.abc import Callable
from itertools import count
from typing import Any, cast

import orjson
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings
from redis import Redis

from realtime import conf
from realtime.publish import Publisher
from realtime.records.scripts import Limits
from realtime.records.transitions import Verdict
from realtime.repair.rebuild import Rebuild, Rebuilt
from tests.realtime.sources import ListedSource, set_progress

TOPIC = "job:a1"
_others = count(910_000)


@pytest.fixture
def source(tenant_id: int) -> ListedSource:
    return ListedSource(tenant_ids=[tenant_id])


@pytest.fixture
def rebuild(redis: Redis, source: ListedSource) -> Rebuild:
    return Rebuild(redis, source)


def shown(redis: Redis, tenant_id: int) -> list[str]:
    """Return the topics that a new client is shown, oldest first."""
    return [topic.decode() for topic in cast("list[bytes]", redis.zrange(f"tenant:{tenant_id}:feed:index", 0, -1))]


def offset(redis: Redis, tenant_id: int) -> int:
    return int(cast("bytes", redis.hget(f"tenant:{tenant_id}:feed", "offset") or b"0"))


def fields_of(publisher: Publisher, tenant_id: int, topic: str = TOPIC) -> dict[str, Any]:
    record = publisher.record(tenant_id, topic)
    assert record is not None
    fields: dict[str, Any] = orjson.loads(record.body)
    return fields


def test_on_an_empty_redis_unfinished_topics_are_shown_and_ended_ones_are_not(
    redis: Redis, rebuild: Rebuild, source: ListedSource, publisher: Publisher, tenant_id: int
) -> None:
    source.set_state(tenant_id, "job:waits", "PENDING")
    source.set_state(tenant_id, "job:runs", "PROCESSING", attempt=2, data={"job_type": "x"})
    source.set_state(tenant_id, "job:done", "DONE", published_at=time.time())
    assert rebuild.everything([tenant_id]) == Rebuilt(published=2)
    assert rebuild.ended([tenant_id], 0) == 1
    assert shown(redis, tenant_id) == ["job:waits", "job:runs"]
    runs, done = fields_of(publisher, tenant_id, "job:runs"), fields_of(publisher, tenant_id, "job:done")
    assert (runs["attempt"], runs["data"], runs["published_at"]) == (2, {"job_type": "x"}, 1.0)
    assert (done["status"], done["offset"]) == ("DONE", 0)
    # The topic has a lease: if no worker renews the lease, the topic will be marked as stalled.
    assert publisher.lease_seconds_left(tenant_id=tenant_id, topic="job:runs") > 0


def test_repeated_it_changes_nothing(
    redis: Redis, rebuild: Rebuild, source: ListedSource, publisher: Publisher, tenant_id: int
) -> None:
    source.set_state(tenant_id, "job:runs", "PROCESSING")
    source.set_state(tenant_id, "job:done", "DONE")
    rebuild.everything([tenant_id])
    rebuild.ended([tenant_id], 0)
    set_progress(publisher, tenant_id, "job:runs", rows_done=3)
    before = {name: redis.dump(name) for name in cast("list[bytes]", redis.keys(f"tenant:{tenant_id}:*"))}
    assert rebuild.everything([tenant_id]) == Rebuilt()
    assert rebuild.ended([tenant_id], 0) == 0
    assert {name: redis.dump(name) for name in cast("list[bytes]", redis.keys(f"tenant:{tenant_id}:*"))} == before


def test_a_topic_that_was_only_restored_is_shown_again(
    redis: Redis, rebuild: Rebuild, source: ListedSource, publisher: Publisher, tenant_id: int
) -> None:
    source.set_state(tenant_id, TOPIC, "PENDING")
    publisher.restore(tenant_id, source.states([TOPIC])[TOPIC].draft())
    assert shown(redis, tenant_id) == []
    assert rebuild.unfinished([tenant_id]) == 1
    assert shown(redis, tenant_id) == [TOPIC]


def test_of_too_many_topics_the_newest_are_shown_and_stay(redis: Redis, source: ListedSource, tenant_id: int) -> None:
    rebuild = Rebuild(redis, source, limits=Limits(recent_unfinished=3))
    for number in range(6):
        source.set_state(tenant_id, f"job:n{number}", "PENDING")
    assert rebuild.unfinished([tenant_id]) == 6
    assert rebuild.unfinished([tenant_id]) == 0
    assert shown(redis, tenant_id) == ["job:n3", "job:n4", "job:n5"]


@pytest.mark.parametrize("status", ["DONE", "PROCESSING"])
def test_a_redis_that_began_with_an_older_dump_gets_what_came_after_it(
    redis: Redis, rebuild: Rebuild, source: ListedSource, publisher: Publisher, tenant_id: int, status: str
) -> None:
    """The comparison with the database also finds changes older than a day, which the outbox no longer has."""
    publisher.status(tenant_id=tenant_id, topic="job:open", attempt=1, status="PENDING")
    publisher.status(tenant_id=tenant_id, topic="job:failed", attempt=1, status="FAILED")
    source.set_state(tenant_id, "job:open", status)
    source.set_state(tenant_id, "job:failed", status, attempt=2)
    assert rebuild.maintain([tenant_id]) == Rebuilt()  # no key was lost, and the sweeper does not compare
    assert rebuild.maintain([tenant_id], compare="all") == Rebuilt(published=2)
    assert fields_of(publisher, tenant_id, "job:open")["status"] == status
    assert fields_of(publisher, tenant_id, "job:failed")["attempt"] == 2


def test_a_newer_state_in_redis_is_not_replaced(
    rebuild: Rebuild, source: ListedSource, publisher: Publisher, tenant_id: int
) -> None:
    """A worker has published since the database was read."""
    source.set_state(tenant_id, TOPIC, "PENDING")
    set_progress(publisher, tenant_id, TOPIC, 50)
    assert rebuild.everything([tenant_id]) == Rebuilt()
    assert fields_of(publisher, tenant_id)["progress"]["percent"] == 50


@pytest.mark.parametrize(("ttl", "left"), [(0, [-1]), (86_400, range(86_000, 86_401))])
def test_restored_terminal_statuses_expire_as_the_setting_says(
    redis: Redis, source: ListedSource, tenant_id: int, ttl: int, left: Any
) -> None:
    source.set_state(tenant_id, TOPIC, "DONE")
    Rebuild(redis, source, limits=Limits(terminal_ttl_seconds=ttl)).ended([tenant_id], 0)
    assert redis.ttl(f"tenant:{tenant_id}:{TOPIC}:status") in left


@pytest.mark.parametrize(("ttl", "left"), [(0, [-1]), (86_400, range(86_000, 86_401))])
def test_with_both_settings_a_lost_status_is_restored_and_publishing_it_again_is_a_duplicate(
    redis: Redis, source: ListedSource, tenant_id: int, ttl: int, left: Any
) -> None:
    publisher = Publisher(redis, limits=Limits(terminal_ttl_seconds=ttl))
    name = f"tenant:{tenant_id}:{TOPIC}:status"
    source.set_state(tenant_id, TOPIC, "DONE")
    publisher.publish(tenant_id, source.states([TOPIC])[TOPIC].draft())
    publisher.status(tenant_id=tenant_id, topic="job:now", attempt=1, status="DONE")  # now TOPIC is not shown
    for lost in ([name], cast("list[bytes]", redis.keys(f"tenant:{tenant_id}:*"))):  # the status alone, and all keys
        redis.delete(*lost)
        assert publisher.restore(tenant_id, source.states([TOPIC])[TOPIC].draft())
        again = publisher.publish(tenant_id, source.states([TOPIC])[TOPIC].draft())
        assert again.verdict is Verdict.DUPLICATE
        assert redis.ttl(name) in left
        assert fields_of(publisher, tenant_id)["offset"] == 0


def test_a_state_that_cannot_be_published_does_not_stop_the_others(
    rebuild: Rebuild, source: ListedSource, publisher: Publisher, tenant_id: int
) -> None:
    source.set_state(tenant_id, "job:no such topic", "PENDING")
    source.set_state(tenant_id, "job:large", "PENDING", data={"text": "x" * 70_000})
    source.set_state(tenant_id, TOPIC, "PENDING")
    assert rebuild.unfinished([tenant_id]) == 1
    assert fields_of(publisher, tenant_id)["status"] == "PENDING"


# The command.


@pytest.mark.usefixtures("redis", "forget_clients")
class TestCommand:
    source = ListedSource()

    @pytest.fixture(autouse=True)
    def fixed_source(self, settings: Settings) -> None:
        type(self).source = ListedSource()
        settings.REALTIME_SOURCE = f"{__name__}.the_source"

    def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
        self, redis: Redis, tenant_id: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        conf.publisher().status(tenant_id=tenant_id, topic="job:evicted", attempt=1, status="PENDING")
        redis.delete(f"tenant:{tenant_id}:job:evicted:status")
        self.source.set_state(tenant_id, "job:evicted", "PENDING")
        self.source.set_state(tenant_id, "job:waits", "PENDING")
        self.source.set_state(tenant_id, "job:done", "DONE", published_at=time.time())
        before = {name: redis.dump(name) for name in cast("list[bytes]", redis.keys("*"))}
        call_command("realtime_rebuild", dry_run=True)
        assert {name: redis.dump(name) for name in cast("list[bytes]", redis.keys("*"))} == before
        assert capsys.readouterr().out.splitlines()[-1] == "Done: 1 would be published, 2 would be restored."
        call_command("realtime_rebuild")
        assert capsys.readouterr().out.splitlines()[-1] == "Done: 1 published, 2 restored."
        call_command("realtime_rebuild")
        assert capsys.readouterr().out.splitlines()[-1] == "Done: 0 published, 0 restored."

    def test_one_tenant_can_be_chosen_and_the_progress_is_printed(
        self, redis: Redis, tenant_id: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        other = next(_others)
        for tenant in (tenant_id, other):
            self.source.set_state(tenant, f"job:of{tenant}", "PENDING")
        call_command("realtime_rebuild", tenant=str(other))
        assert capsys.readouterr().out.splitlines()[0] == "1 of 1 tenants: 1 published, 0 restored"
        assert (shown(redis, tenant_id), shown(redis, other)) == ([], [f"job:of{other}"])

    def test_a_tenant_that_fails_in_the_database_does_not_stop_the_others(self, redis: Redis, tenant_id: int) -> None:
        other = next(_others)
        for tenant in (tenant_id, other):
            self.source.set_state(tenant, f"job:of{tenant}", "PENDING")

        def fails_for_one() -> None:
            if tenant_id in self.source.asked_for:
                raise ValueError("a date of the year 0")

        self.source.before_answer = fails_for_one
        with pytest.raises(CommandError, match=f"1 tenants failed.*{tenant_id}"):
            call_command("realtime_rebuild")
        assert (shown(redis, tenant_id), shown(redis, other)) == ([], [f"job:of{other}"])

    @pytest.mark.parametrize("command", ["realtime_rebuild", "migrate_progress_keys"])
    def test_without_a_source_the_command_says_that_the_setting_is_missing(
        self, settings: Settings, command: str
    ) -> None:
        settings.REALTIME_SOURCE = None
        with pytest.raises(CommandError, match="REALTIME_SOURCE is not set"):
            call_command(command)

    def test_an_unknown_tenant_is_reported(self) -> None:
        with pytest.raises(CommandError, match="There is no tenant '17'"):
            call_command("realtime_rebuild", tenant="17")

    def test_a_redis_that_is_down_is_reported_in_one_sentence(
        self, settings: Settings, forget_clients: Callable[[], None]
    ) -> None:
        self.source.set_state(1, TOPIC, "PENDING")
        settings.REALTIME_REDIS_URL = "redis://127.0.0.1:1/0"
        forget_clients()
        with pytest.raises(CommandError, match="Redis cannot be read"):
            call_command("realtime_rebuild")


def the_source() -> ListedSource:
    return TestCommand.source
