"""The relay's rounds: what was left behind, a Redis that lost something, and a project's source that fails."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import product
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings
from redis import Redis

from harness.system import eventually_now
from realtime import conf
from realtime.identity import Identity
from realtime.models import OutboxEntry, RelayLease
from realtime.operate.doctor_relay import check_outbox
from realtime.outbox import claims
from realtime.outbox.lease import Lease
from realtime.outbox.outbox import RECORD, Waiting, waiting
from realtime.outbox.relay import Maintenance, Relay
from realtime.outbox.revoke import REVOCATION, revoke, revoke_on_commit
from realtime.publish import Publisher
from realtime.records.errors import CheckFailedError, LeaseLostError, RevokedError, UnsendableError
from realtime.records.scripts import Limits
from realtime.repair.rebuild import Rebuild, Rebuilt
from tests.realtime.sources import ListedSource

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "anew")]
TOPIC = "job:a1"
the_source = ListedSource()
delivered: list[dict[str, Any]] = []
closed_ways: set[str] = set()
hangs, answers = threading.Event(), threading.Event()


def source() -> ListedSource:
    return the_source


def deliver(payload: dict[str, Any]) -> None:
    if "letter" in closed_ways:
        raise OSError("no stamps")
    if "hanging" in closed_ways:
        hangs.set()
        answers.wait(30)
    if "unsendable" in closed_ways:
        raise UnsendableError("no address")
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
    hangs.clear()
    answers.clear()


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


def test_a_status_that_is_sent_late_leaves_what_progress_has_told_since(tenant_id: int) -> None:
    note_filled()
    conf.publisher().progress(tenant_id=tenant_id, topic=TOPIC, attempt=1, percent=40, data={"rows_done": 200})
    begun = left_behind(tenant_id, status="PROCESSING", data={"file_name": "a.xlsx"})
    before = told(tenant_id)
    Relay().round()
    assert sent(begun) == [True]
    assert told(tenant_id) == before == ({"rows_done": 200}, 40)


def told(tenant_id: int) -> tuple[Any, Any]:
    record = conf.publisher().record(tenant_id, TOPIC)
    assert record is not None
    fields = orjson.loads(record.body)
    return fields["data"], fields["progress"]["percent"]


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
    monkeypatch.setattr(claims, "BATCH", 2)
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


def test_a_row_that_another_relay_has_claimed_is_left_to_it_until_its_claim_runs_out(tenant_id: int) -> None:
    note_filled()
    entry = left_behind(tenant_id)
    assert [row.pk for row in claims.claim(RECORD)] == [entry.pk]
    Relay().round()
    assert sent(entry) == [False]
    OutboxEntry.objects.update(next_try_at=Now() - timedelta(seconds=1))  # it froze
    Relay().round()
    assert sent(entry) == [True]


def test_what_a_relay_says_of_a_row_counts_only_while_it_holds_its_claim(tenant_id: int) -> None:
    left_behind(tenant_id)
    (frozen,) = claims.claim(RECORD)
    OutboxEntry.objects.update(next_try_at=Now() - timedelta(seconds=1))
    (other,) = claims.claim(RECORD)
    claims.set_aside(frozen, "too late")
    claims.note_failure(frozen, "too late", may_set_aside=True)
    claims.give_back([frozen])
    row = OutboxEntry.objects.get()
    assert (row.failed_at, row.error, row.attempts, row.next_try_at) == (None, "", 0, other.next_try_at)


def test_one_relay_at_a_time_maintains_redis_and_another_takes_over_when_it_freezes(tenant_id: int) -> None:
    first, second = Maintenance(), Maintenance()
    first.round()
    filled = conf.publisher().filled_run_id()
    assert filled
    conf.publisher().mark_filling()
    second.round()
    assert conf.publisher().filled_run_id() == "filling"
    RelayLease.objects.update(held_until=Now() - timedelta(seconds=1))
    second._lease._asked_at = 0.0
    second.round()
    assert conf.publisher().filled_run_id() == filled
    first._lease._asked_at = 0.0
    with pytest.raises(LeaseLostError):
        first._lease.keep()


def test_a_lease_that_ends_in_a_far_future_is_nobodys(tenant_id: int) -> None:
    """The clock of the database was put back."""
    first, second = Lease("x", 15), Lease("x", 15)
    assert first.hold()
    RelayLease.objects.update(held_until=Now() + timedelta(hours=1))
    assert second.hold()


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
    entry, worker = left_behind(tenant_id), Relay()
    for _ in range(2):
        assert not worker.round()
    assert sent(entry) == [False]
    settings.REALTIME_REDIS_URL = address
    anew()
    worker.round()
    assert status_of(tenant_id) == "DONE"


def test_a_relay_that_runs_sends_until_it_is_told_to_stop(redis: Redis, tenant_id: int) -> None:
    note_filled()
    entry, stop = left_behind(tenant_id), threading.Event()
    thread = threading.Thread(target=Relay().run, args=[stop])
    thread.start()
    try:
        eventually_now(lambda: sent(entry) == [True], "the row to be sent")
    finally:
        stop.set()
        thread.join()
    assert not RelayLease.objects.filter(held_until__gt=Now()).exists()


def test_a_sender_that_hangs_holds_up_no_other_kind(tenant_id: int) -> None:
    note_filled()
    entry, stop = letter(tenant_id, 1), threading.Event()
    closed_ways.add("hanging")
    thread = threading.Thread(target=Relay().run, args=[stop])
    thread.start()
    try:
        assert hangs.wait(20)
        record = left_behind(tenant_id)
        eventually_now(lambda: sent(record) == [True], "the record to be sent")
        assert sent(entry) == [False]
    finally:
        stop.set()
        answers.set()
        thread.join()


# Rows that can never be sent.


def test_four_hundred_rows_that_can_never_be_sent_hold_up_nobody_and_are_set_aside_with_their_reason(
    tenant_id: int,
) -> None:
    note_filled()
    bad = [left_behind(tenant_id, f"job:bad{number}", attempt="x") for number in range(400)]
    good = left_behind(tenant_id + 1)
    worker = Relay()
    for _ in range(3):
        worker.round()
    assert sent(good) == [True]
    rows = OutboxEntry.objects.filter(pk__in=[entry.pk for entry in bad]).order_by("pk")
    assert rows.filter(failed_at__isnull=False, sent_at=None).count() == 400
    assert "The attempt of job:bad0 is 'x'" in rows[0].error
    assert waiting() == Waiting(0.0, 400)


def test_an_operator_sees_what_was_set_aside_and_has_it_sent_again(tenant_id: int) -> None:
    note_filled()
    bad, other = left_behind(tenant_id, status="DOWN"), left_behind(tenant_id, "job:other", status="DOWN")
    Relay().round()
    with pytest.raises(CheckFailedError, match="2 rows"):
        check_outbox()
    said = StringIO()
    call_command("realtime_outbox", stdout=said)
    assert f"2 of the kind record of tenant {tenant_id}" in said.getvalue()
    assert "'DOWN' is no status" in said.getvalue()
    OutboxEntry.objects.filter(pk=bad.pk).update(payload={**bad.payload, "status": "DONE"})
    call_command("realtime_outbox", "--send-again", str(bad.pk), stdout=said)
    Relay().round()
    assert sent(bad, other) == [True, False]
    assert waiting().set_aside == 1


def test_a_sender_may_say_that_a_row_can_never_be_sent(tenant_id: int) -> None:
    closed_ways.add("unsendable")
    entry = letter(tenant_id, 1)
    Relay().round()
    entry.refresh_from_db()
    assert (entry.failed_at is not None, entry.error) == (True, "UnsendableError: no address")


def test_a_row_that_fails_again_and_again_while_others_are_sent_is_set_aside(tenant_id: int) -> None:
    bad = letter(tenant_id, -1)
    for number in range(claims.MAX_ATTEMPTS):
        assert waiting().set_aside == 0
        OutboxEntry.objects.filter(sent_at=None).update(next_try_at=None)  # its pause is over
        letter(tenant_id, number)
        Relay().round()
    bad.refresh_from_db()
    assert bad.failed_at is not None
    assert "no_such_table" in bad.error


def test_no_row_is_set_aside_while_nothing_of_its_kind_is_sent(tenant_id: int) -> None:
    entry = letter(tenant_id, -1)
    for _ in range(claims.MAX_ATTEMPTS + 2):
        OutboxEntry.objects.filter(sent_at=None).update(next_try_at=None)
        Relay().round()
    entry.refresh_from_db()
    assert (entry.failed_at, entry.attempts) == (None, claims.MAX_ATTEMPTS + 2)


def test_a_key_of_the_wrong_type_costs_its_own_tenant_alone(redis: Redis, tenant_id: int) -> None:
    redis.set(f"tenant:{tenant_id}:feed", "of another program")
    bad, good = left_behind(tenant_id), left_behind(tenant_id + 1)
    the_source.say(tenant_id, "job:runs", "PROCESSING")
    the_source.say(tenant_id + 1, "job:runs_too", "PROCESSING")
    Relay().round()
    assert sent(bad, good) == [False, True]
    assert (status_of(tenant_id + 1), status_of(tenant_id + 1, "job:runs_too")) == ("DONE", "PROCESSING")
    assert redis.get("realtime:relay") == conf.publisher().run_id().encode()
    bad.refresh_from_db()
    assert "WRONGTYPE" in bad.error


def test_a_source_that_fails_for_one_tenant_keeps_no_other_from_being_filled(redis: Redis, tenant_id: int) -> None:
    def fails_for_one() -> None:
        if the_source.asked_for and tenant_id in the_source.asked_for:
            raise ValueError("a date of the year 0")

    the_source.say(tenant_id, "job:a1", "PROCESSING")
    the_source.say(tenant_id + 1, "job:b1", "PROCESSING")
    the_source.before_answer = fails_for_one
    worker = Relay()
    worker.round()
    assert (status_of(tenant_id), status_of(tenant_id + 1, "job:b1")) == (None, "PROCESSING")
    assert redis.get("realtime:relay") == b"filling"
    the_source.before_answer = lambda: None
    worker._maintenance._refill._again_at = 0.0
    worker.round()
    assert status_of(tenant_id) == "PROCESSING"
    assert redis.get("realtime:relay") == conf.publisher().run_id().encode()


# Clocks.


@pytest.mark.parametrize("minutes", [-10, 10])
def test_the_clock_of_the_relay_decides_nothing(tenant_id: int, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    note_filled()
    old, young = left_behind(tenant_id, age_seconds=3), left_behind(tenant_id, "job:young", age_seconds=0)
    kept = left_behind(tenant_id, "job:kept")
    OutboxEntry.objects.filter(pk=kept.pk).update(sent_at=Now() - timedelta(hours=23, minutes=55))
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 60 * minutes)
    monkeypatch.setattr(timezone, "now", lambda: datetime.fromtimestamp(time.time(), UTC))
    Relay().round()
    assert sent(old, young, kept) == [True, False, True]
    assert 0 <= (waiting().oldest_seconds) < 60
    OutboxEntry.objects.filter(pk=old.pk).update(sent_at=Now() - timedelta(hours=25))
    Relay().round()
    assert not OutboxEntry.objects.filter(pk=old.pk).exists()


def test_a_row_whose_time_is_still_to_come_is_sent_at_once(tenant_id: int) -> None:
    """A process of an older version, whose clock was ahead, wrote it."""
    note_filled()
    entry = left_behind(tenant_id, age_seconds=-3600)
    Relay().round()
    assert sent(entry) == [True]


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
    monkeypatch.setattr(worker._maintenance._refill, "_again_at", 0.0)  # half a minute later
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
