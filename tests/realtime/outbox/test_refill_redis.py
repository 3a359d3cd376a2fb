"""Tests that a Redis which lost data is filled again, even if the source of a project fails for a while."""

import time
from collections.abc import Callable
from datetime import timedelta
from itertools import product

import orjson
import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings
from redis import Redis

from realtime import conf
from realtime.identity import Identity
from realtime.models import OutboxEntry
from realtime.outbox.relay import Relay
from realtime.outbox.revoke import REVOCATION, revoke, revoke_on_commit
from realtime.publish import Publisher
from realtime.records.errors import RevokedError
from realtime.records.scripts import Limits
from realtime.repair.rebuild import Rebuild, Rebuilt
from tests.realtime.outbox.project import delivered, the_source
from tests.realtime.outbox.rows import TOPIC, left_behind, letter, mark_sent, note_filled, sent, status_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis", "forget_clients", "this_project"),
]


@pytest.mark.parametrize("ttl", [0, 86_400])
class TestFill:
    @pytest.fixture(autouse=True)
    def mode(self, settings: Settings, forget_clients: Callable[[], None], ttl: int) -> None:
        settings.REALTIME_TERMINAL_TTL_SECONDS = ttl
        forget_clients()

    def test_an_empty_redis_gets_the_last_day_and_all_unfinished_topics(self, redis: Redis, tenant_id: int) -> None:
        left_behind(tenant_id, "job:done", age_seconds=23 * 3600)
        left_behind(tenant_id, "job:old", age_seconds=25 * 3600)
        mark_sent()
        the_source.set_state(tenant_id, "job:runs", "PROCESSING", attempt=3, data={"job_type": "x"})
        Relay().round()
        shown = redis.zrange(f"tenant:{tenant_id}:feed:index", 0, -1)
        assert shown == [b"job:done", b"job:runs"]
        assert redis.ttl(f"tenant:{tenant_id}:job:done:status") == -1
        assert status_of(tenant_id, "job:old") is None
        assert redis.get("realtime:relay") == conf.publisher().run_id().encode()

    def test_each_start_of_redis_is_filled_once_by_any_relay(self, redis: Redis, tenant_id: int) -> None:
        left_behind(tenant_id)
        mark_sent()
        Relay().round()
        redis.delete(f"tenant:{tenant_id}:{TOPIC}:status")
        Relay().round()
        assert status_of(tenant_id) is None
        redis.set("realtime:relay", "another life")
        Relay().round()
        assert redis.hget(f"tenant:{tenant_id}:feed", "offset") == b"1"  # the fence has DONE, so it is a duplicate

    def test_a_redis_that_began_with_an_older_dump_gets_what_it_missed(self, redis: Redis, tenant_id: int) -> None:
        """Changes of the last day come from the outbox, and older ones from the source."""
        publisher = conf.publisher()
        for topic in ("job:a1", "job:long_ago"):
            publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status="PROCESSING")
        left_behind(tenant_id, age_seconds=3600)
        mark_sent()
        the_source.set_state(tenant_id, "job:long_ago", "FAILED", error={"code": "x", "message": "y"})
        redis.set("realtime:relay", "another life")
        Relay().round()
        assert (status_of(tenant_id), status_of(tenant_id, "job:long_ago")) == ("DONE", "FAILED")

    def test_a_redis_that_is_emptied_while_it_is_filled_is_filled_again(
        self, redis: Redis, tenant_id: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left_behind(tenant_id)
        mark_sent()
        relay = Relay()
        everything = Rebuild.everything

        def fill_and_lose(rebuild: Rebuild, tenant_ids: list[int]) -> Rebuilt:
            done = everything(rebuild, tenant_ids)
            redis.flushall()
            return done

        monkeypatch.setattr(Rebuild, "everything", fill_and_lose)
        the_source.tenant_ids.append(tenant_id)
        relay.round()
        assert status_of(tenant_id) is None
        monkeypatch.setattr(Rebuild, "everything", everything)
        relay.round()
        assert status_of(tenant_id) == "DONE"
        assert redis.get("realtime:relay") == conf.publisher().run_id().encode()

    def test_the_latest_ends_are_shown_even_if_redis_gets_older_ones_later(self, redis: Redis, tenant_id: int) -> None:
        """A job ends after Redis came back empty, and before a relay fills Redis."""
        many = conf.limits().recent_terminal
        for number in range(many):
            left_behind(tenant_id, f"job:old-{number}", age_seconds=3600)
        mark_sent()
        conf.publisher().status(tenant_id=tenant_id, topic="job:newest", attempt=1, status="DONE")
        Relay().round()
        shown = redis.zrange(f"tenant:{tenant_id}:feed:index", 0, -1)
        assert len(shown) == many
        assert b"job:newest" in shown

    def test_a_bad_row_does_not_stop_the_others(self, tenant_id: int) -> None:
        left_behind(tenant_id, "job:bad", status="DOWN")
        left_behind(tenant_id)
        mark_sent()
        Relay().round()
        assert status_of(tenant_id) == "DONE"


def test_an_emptied_redis_gets_the_revocation_marks_again(redis: Redis, tenant_id: int) -> None:
    before = time.time()
    with transaction.atomic():
        revoke_on_commit(tenant_id, user_id=1)
    revoke(tenant_id, session_id="s")
    after = time.time()
    ended_long_ago = OutboxEntry.objects.create(kind=REVOCATION, tenant_id=tenant_id, payload={"subject": "user:2"})
    bad = OutboxEntry.objects.create(kind=REVOCATION, tenant_id=tenant_id, payload={})
    OutboxEntry.objects.filter(pk=ended_long_ago.pk).update(sent_at=timezone.now() - timedelta(hours=13.1))
    OutboxEntry.objects.filter(pk=bad.pk).update(sent_at=timezone.now())
    redis.flushall()
    Relay().round()
    revoked = {issued for issued in product((1, 2, 3), ("s", "t"), (before, after)) if is_revoked(tenant_id, *issued)}
    assert revoked == {(1, "t", before), *product((1, 2, 3), ("s",), (before, after))}
    assert redis.get("realtime:relay") == conf.publisher().run_id().encode()


def is_revoked(tenant_id: int, user_id: int, session_id: str, issued_at: float) -> bool:
    try:
        conf.revocations().check(Identity(tenant_id, user_id, session_id, "owner", issued_at=issued_at))
    except RevokedError:
        return True
    return False


def test_a_revocation_also_ends_what_was_issued_before_its_commit(redis: Redis, tenant_id: int) -> None:
    with transaction.atomic():
        revoke_on_commit(tenant_id, user_id=1)
        meanwhile = time.time()
    assert is_revoked(tenant_id, 1, "s", meanwhile)
    assert not is_revoked(tenant_id, 1, "s", time.time())


def test_leases_do_not_run_out_just_after_redis_was_filled(redis: Redis, tenant_id: int) -> None:
    Publisher(redis, limits=Limits(lease_seconds=0)).status(
        tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING"
    )
    the_source.set_state(tenant_id, TOPIC, "PROCESSING")
    Relay().round()
    assert not stalled(tenant_id)
    assert redis.pttl("realtime:settling") > 0
    redis.delete("realtime:settling")
    Relay().round()
    assert stalled(tenant_id)


def stalled(tenant_id: int) -> bool:
    record = conf.publisher().record(tenant_id, TOPIC)
    assert record is not None
    return bool(orjson.loads(record.body)["stalled"])


# A source that fails, and a project without a source.


def of_another_schema() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")


def raises_anything() -> None:
    raise RuntimeError("anything")


FAILURES = pytest.mark.parametrize("fails", [of_another_schema, raises_anything])


@FAILURES
def test_a_source_that_fails_while_redis_is_filled_is_asked_again_later(
    redis: Redis, tenant_id: int, fails: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    the_source.before_answer = fails
    worker = Relay()
    entry = left_behind(tenant_id)
    worker.round()
    assert sent(entry) == [True]
    assert redis.get("realtime:relay") == b"filling"
    asked = the_source.asked
    worker.round()
    assert the_source.asked == asked
    monkeypatch.setattr(worker._maintenance._refill, "_again_at", 0.0)  # as if half a minute had passed
    the_source.before_answer = lambda: None
    worker.round()
    assert redis.get("realtime:relay") == conf.publisher().run_id().encode()


@FAILURES
def test_a_source_that_fails_in_a_sweep_does_not_stop_or_repeat_the_sending(
    tenant_id: int, fails: Callable[[], None]
) -> None:
    note_filled()
    the_source.before_answer = fails
    first, second = left_behind(tenant_id, "job:first"), letter(tenant_id, 1)
    for _ in range(2):
        Relay().round()
    assert the_source.asked == 2
    assert sent(first, second) == [True, True]
    assert [payload["number"] for payload in delivered] == [1]


def test_a_project_without_a_source_sends_sweeps_and_fills_from_its_outbox(
    redis: Redis, tenant_id: int, settings: Settings
) -> None:
    settings.REALTIME_SOURCE = None
    left_behind(tenant_id, "job:done")
    Relay().round()
    assert status_of(tenant_id, "job:done") == "DONE"
    Publisher(redis, limits=Limits(lease_seconds=0)).status(
        tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING"
    )
    redis.delete("realtime:settling")
    Relay().round()
    assert stalled(tenant_id)
