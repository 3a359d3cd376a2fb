"""The relay's rounds: what was left behind, a Redis that lost something, and a project's source that fails."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import orjson
import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings
from redis import Redis

from embedded.group import Servers
from realtime import conf, relay
from realtime.conf import Identity
from realtime.errors import RevokedError
from realtime.models import OutboxEntry
from realtime.outbox import RECORD
from realtime.publish import Publisher
from realtime.relay import ADVISORY_LOCK, Relay
from realtime.revoke import REVOCATION, revoke, revoke_on_commit
from realtime.scripts import Limits
from tests.realtime.sources import ListedSource

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "anew")]
TOPIC = "job:a1"
the_source = ListedSource()
delivered: list[dict[str, Any]] = []
closed_ways: set[str] = set()


def source() -> ListedSource:
    return the_source


def deliver(payload: dict[str, Any]) -> None:
    if "letter" in closed_ways:
        raise OSError("no stamps")
    if payload["number"] < 0:
        connection.cursor().execute("SELECT * FROM no_such_table")
    delivered.append(payload)


@pytest.fixture(autouse=True)
def this_source(settings: Settings) -> None:
    settings.REALTIME_SOURCE = f"{__name__}.source"
    settings.REALTIME_OUTBOX_SENDERS = {"letter": f"{__name__}.deliver"}
    the_source.__init__()  # type: ignore[misc]
    delivered.clear()
    closed_ways.clear()


def left_behind(tenant_id: int, topic: str = TOPIC, *, age_seconds: float = 60, **fields: Any) -> OutboxEntry:
    """A row that its process did not send."""
    payload = {"topic": topic, "attempt": 1, "status": "DONE", "published_at": time.time() - age_seconds} | fields
    return aged(OutboxEntry.objects.create(kind=RECORD, tenant_id=tenant_id, payload=payload), age_seconds)


def letter(tenant_id: int, number: int) -> OutboxEntry:
    return aged(OutboxEntry.objects.create(kind="letter", tenant_id=tenant_id, payload={"number": number}), 60)


def aged(entry: OutboxEntry, seconds: float) -> OutboxEntry:
    OutboxEntry.objects.filter(pk=entry.pk).update(created_at=timezone.now() - timedelta(seconds=seconds))
    return entry


def sent(*entries: OutboxEntry) -> list[bool]:
    return [OutboxEntry.objects.get(pk=entry.pk).sent_at is not None for entry in entries]


def mark_sent() -> None:
    OutboxEntry.objects.update(sent_at=timezone.now())


def status_of(tenant_id: int, topic: str = TOPIC) -> str | None:
    record = conf.publisher().record(tenant_id, topic)
    return record.status.value if record else None


def note_filled() -> None:
    """As a relay does that has found nothing to fill in."""
    publisher = conf.publisher()
    publisher.mark_filling()
    assert publisher.mark_filled(publisher.run_id())


# What was left behind.


def test_a_row_that_its_process_left_behind_is_sent_and_a_young_one_is_left_to_its_process(tenant_id: int) -> None:
    note_filled()
    old, young = left_behind(tenant_id), left_behind(tenant_id, "job:young", age_seconds=0)
    Relay().round()
    assert sent(old, young) == [True, False]
    assert (status_of(tenant_id), status_of(tenant_id, "job:young")) == ("DONE", None)


def test_a_row_that_can_never_be_sent_holds_up_no_other(tenant_id: int) -> None:
    bad = [left_behind(tenant_id, f"job:bad{number}", status="DOWN") for number in range(5)]
    good = left_behind(tenant_id)
    worker = Relay()
    for _ in range(3):
        worker.round()
    assert sent(good, *bad) == [True] + [False] * 5


@pytest.mark.parametrize("bad_status", ["DOWN", "DONE"])
def test_rows_that_can_never_be_sent_hold_up_no_unfinished_record(tenant_id: int, bad_status: str) -> None:
    bad = [left_behind(tenant_id, f"job:bad{number}", status=bad_status, attempt="x") for number in range(5)]
    good = left_behind(tenant_id, status="PENDING")
    worker = Relay()
    for _ in range(3):
        worker.round()
    assert sent(good, *bad) == [True] + [False] * 5


def test_a_way_that_is_closed_holds_up_no_other_kind(tenant_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "BATCH", 2)
    closed_ways.add("letter")
    letters = [letter(tenant_id, number) for number in range(4)]
    record = left_behind(tenant_id)
    worker = Relay()
    worker.round()
    assert sent(record, *letters) == [True] + [False] * 4
    closed_ways.clear()
    while worker.round():
        pass
    assert sorted(payload["number"] for payload in delivered) == [0, 1, 2, 3]


def test_a_sender_that_fails_in_sql_fails_alone(tenant_id: int) -> None:
    bad, good = letter(tenant_id, -1), letter(tenant_id, 7)
    worker = Relay()
    for _ in range(3):
        worker.round()
    assert sent(bad, good) == [False, True]
    assert [payload["number"] for payload in delivered] == [7]


def test_one_relay_works_at_a_time(servers: Servers, tenant_id: int) -> None:
    entry = left_behind(tenant_id)
    address = servers.postgres.url.rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"
    with psycopg.connect(address) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
        assert not Relay().round()
        assert sent(entry) == [False]
        other.rollback()
    Relay().round()
    assert sent(entry) == [True]


def test_rows_go_a_day_after_they_were_sent(tenant_id: int) -> None:
    old, kept, unsent = (left_behind(tenant_id, f"job:{name}", age_seconds=3 * 86_400) for name in ("a", "b", "c"))
    OutboxEntry.objects.filter(pk=old.pk).update(sent_at=timezone.now() - timedelta(hours=25))
    OutboxEntry.objects.filter(pk=kept.pk).update(sent_at=timezone.now() - timedelta(hours=23))
    closed_ways.add("letter")
    late = letter(tenant_id, 1)
    aged(late, 3 * 86_400)
    Relay().round()
    assert set(OutboxEntry.objects.values_list("pk", flat=True)) == {kept.pk, unsent.pk, late.pk}


def test_an_outage_ends_no_relay(tenant_id: int, settings: Settings, anew: Callable[[], None]) -> None:
    address = settings.REALTIME_REDIS_URL
    settings.REALTIME_REDIS_URL = "redis://127.0.0.1:1/0"
    anew()
    entry, stop = left_behind(tenant_id), threading.Event()
    rounds: list[bool] = []

    class Counting(Relay):
        def round(self) -> bool:
            rounds.append(super().round())
            if len(rounds) == 2:
                settings.REALTIME_REDIS_URL = address
                anew()
            if sent(entry) == [True]:
                stop.set()
            return True  # no rest between the rounds

    Counting().run(stop)
    assert status_of(tenant_id) == "DONE"
    assert len(rounds) >= 3


# A Redis that lost something, in both modes.


@pytest.mark.parametrize("ttl", [0, 86_400])
class TestFill:
    @pytest.fixture(autouse=True)
    def mode(self, settings: Settings, anew: Callable[[], None], ttl: int) -> None:
        settings.REALTIME_TERMINAL_TTL_SECONDS = ttl
        anew()

    def test_an_empty_redis_gets_the_last_day_and_what_is_unfinished(self, redis: Redis, tenant_id: int) -> None:
        left_behind(tenant_id, "job:done", age_seconds=23 * 3600)
        left_behind(tenant_id, "job:old", age_seconds=25 * 3600)
        mark_sent()
        the_source.say(tenant_id, "job:runs", "PROCESSING", attempt=3, data={"job_type": "x"})
        Relay().round()
        shown = redis.zrange(f"tenant:{tenant_id}:feed:index", 0, -1)
        assert shown == [b"job:done", b"job:runs"]
        assert redis.ttl(f"tenant:{tenant_id}:job:done:status") == -1
        assert status_of(tenant_id, "job:old") is None
        assert redis.get("realtime:relay") == conf.publisher().run_id().encode()

    def test_it_is_filled_once_in_its_life_by_whichever_relay(self, redis: Redis, tenant_id: int) -> None:
        left_behind(tenant_id)
        mark_sent()
        Relay().round()
        redis.delete(f"tenant:{tenant_id}:{TOPIC}:status")
        Relay().round()
        assert status_of(tenant_id) is None
        redis.set("realtime:relay", "another life")
        Relay().round()
        assert redis.hget(f"tenant:{tenant_id}:feed", "offset") == b"1"  # the index knows that it is DONE: a duplicate

    def test_a_redis_of_an_older_dump_hears_what_it_missed(self, redis: Redis, tenant_id: int) -> None:
        """Yesterday's through the outbox, what is older through the source."""
        publisher = conf.publisher()
        for topic in ("job:a1", "job:long_ago"):
            publisher.status(tenant_id=tenant_id, topic=topic, attempt=1, status="PROCESSING")
        left_behind(tenant_id, age_seconds=3600)
        mark_sent()
        the_source.say(tenant_id, "job:long_ago", "FAILED", error={"code": "x", "message": "y"})
        redis.set("realtime:relay", "another life")
        Relay().round()
        assert (status_of(tenant_id), status_of(tenant_id, "job:long_ago")) == ("DONE", "FAILED")

    def test_a_redis_that_is_emptied_while_it_is_filled_is_filled_again(
        self, redis: Redis, tenant_id: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left_behind(tenant_id)
        mark_sent()
        relay = Relay()
        fill = relay._fill

        def fill_and_lose() -> None:
            fill()
            redis.flushall()

        monkeypatch.setattr(relay, "_fill", fill_and_lose)
        relay.round()
        assert status_of(tenant_id) is None
        monkeypatch.setattr(relay, "_fill", fill)
        relay.round()
        assert status_of(tenant_id) == "DONE"
        assert redis.get("realtime:relay") == conf.publisher().run_id().encode()

    def test_what_ended_last_is_shown_however_late_redis_learns_of_the_rest(self, redis: Redis, tenant_id: int) -> None:
        """A job that ends between the return of an empty Redis and its filling."""
        many = conf.limits().recent_terminal
        for number in range(many):
            left_behind(tenant_id, f"job:old-{number}", age_seconds=3600)
        mark_sent()
        conf.publisher().status(tenant_id=tenant_id, topic="job:newest", attempt=1, status="DONE")
        Relay().round()
        shown = redis.zrange(f"tenant:{tenant_id}:feed:index", 0, -1)
        assert len(shown) == many
        assert b"job:newest" in shown

    def test_a_bad_row_keeps_no_other_away(self, tenant_id: int) -> None:
        left_behind(tenant_id, "job:bad", status="DOWN")
        left_behind(tenant_id)
        mark_sent()
        Relay().round()
        assert status_of(tenant_id) == "DONE"


def test_a_redis_that_was_emptied_hears_again_who_is_revoked(redis: Redis, tenant_id: int) -> None:
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


def test_what_was_given_before_the_commit_of_a_revocation_is_ended_by_it(redis: Redis, tenant_id: int) -> None:
    with transaction.atomic():
        revoke_on_commit(tenant_id, user_id=1)
        meanwhile = time.time()
    assert is_revoked(tenant_id, 1, "s", meanwhile)
    assert not is_revoked(tenant_id, 1, "s", time.time())


def test_leases_are_left_alone_after_redis_came_up(redis: Redis, tenant_id: int) -> None:
    Publisher(redis, limits=Limits(lease_seconds=0)).status(
        tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING"
    )
    the_source.say(tenant_id, TOPIC, "PROCESSING")
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


# A source that fails, or is not there.


def of_another_schema() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")


def raises_anything() -> None:
    raise RuntimeError("anything")


FAILURES = pytest.mark.parametrize("fails", [of_another_schema, raises_anything])


@FAILURES
def test_a_source_that_fails_while_redis_is_filled_is_asked_again_but_not_at_once(
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
    monkeypatch.setattr(worker, "_fill_at", 0.0)  # half a minute later
    the_source.before_answer = lambda: None
    worker.round()
    assert redis.get("realtime:relay") == conf.publisher().run_id().encode()


@FAILURES
def test_a_source_that_fails_in_a_sweep_keeps_nothing_from_being_sent_once(
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
    del settings.REALTIME_SOURCE
    left_behind(tenant_id, "job:done")
    Relay().round()
    assert status_of(tenant_id, "job:done") == "DONE"
    Publisher(redis, limits=Limits(lease_seconds=0)).status(
        tenant_id=tenant_id, topic=TOPIC, attempt=1, status="PROCESSING"
    )
    redis.delete("realtime:settling")
    Relay().round()
    assert stalled(tenant_id)
