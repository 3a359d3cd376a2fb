"""Tests of the rounds of relays: what they send, which relay maintains Redis, and whose clock decides."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings
from redis import Redis
from structlog.testing import capture_logs

from harness.system import eventually_now
from realtime import conf
from realtime.models import OutboxEntry, RelayLease
from realtime.outbox import claims
from realtime.outbox.delivery import Delivery
from realtime.outbox.lease import Lease
from realtime.outbox.outbox import RECORD, waiting
from realtime.outbox.relay import Maintenance, Relay
from realtime.records.errors import LeaseLostError
from tests.realtime.outbox.project import answers, closed_ways, delivered, hangs
from tests.realtime.outbox.rows import TOPIC, aged, left_behind, letter, note_filled, sent, status_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis", "forget_clients", "this_project"),
]


def test_a_row_that_its_process_left_behind_is_sent_and_a_young_one_is_left_to_its_process(
    tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Delivery, "age_seconds", 40.0)  # on a busy machine, a young row is soon 2 s old
    note_filled()
    old, young = left_behind(tenant_id), left_behind(tenant_id, "job:young", age_seconds=0)
    Relay().round()
    assert sent(old, young) == [True, False]
    assert (status_of(tenant_id), status_of(tenant_id, "job:young")) == ("DONE", None)


def test_a_status_that_is_sent_late_keeps_newer_progress(tenant_id: int) -> None:
    note_filled()
    conf.publisher().progress(tenant_id=tenant_id, topic=TOPIC, attempt=1, percent=40, data={"rows_done": 200})
    begun = left_behind(tenant_id, status="PROCESSING", data={"file_name": "a.xlsx"})
    before = data_and_percent(tenant_id)
    Relay().round()
    assert sent(begun) == [True]
    assert data_and_percent(tenant_id) == before == ({"rows_done": 200}, 40)


def data_and_percent(tenant_id: int) -> tuple[Any, Any]:
    record = conf.publisher().record(tenant_id, TOPIC)
    assert record is not None
    fields = orjson.loads(record.body)
    return fields["data"], fields["progress"]["percent"]


def test_a_row_that_can_never_be_sent_does_not_delay_others(tenant_id: int) -> None:
    bad = [left_behind(tenant_id, f"job:bad{number}", status="DOWN") for number in range(5)]
    good = left_behind(tenant_id)
    worker = Relay()
    for _ in range(3):
        worker.round()
    assert sent(good, *bad) == [True] + [False] * 5


@pytest.mark.parametrize("bad_status", ["DOWN", "DONE"])
def test_rows_that_can_never_be_sent_do_not_delay_unfinished_records(tenant_id: int, bad_status: str) -> None:
    bad = [left_behind(tenant_id, f"job:bad{number}", status=bad_status, attempt="x") for number in range(5)]
    good = left_behind(tenant_id, status="PENDING")
    worker = Relay()
    for _ in range(3):
        worker.round()
    assert sent(good, *bad) == [True] + [False] * 5


def test_a_kind_that_cannot_be_sent_now_does_not_delay_other_kinds(
    tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    OutboxEntry.objects.update(next_try_at=Now() - timedelta(seconds=1))  # the claim ran out
    Relay().round()
    assert sent(entry) == [True]


def test_a_relay_notes_results_only_while_it_holds_the_claim(tenant_id: int) -> None:
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


def test_a_lease_that_ends_in_the_far_future_is_free(tenant_id: int) -> None:
    """A lease has such an end after the clock of the database was set back."""
    first, second = Lease("x", 15), Lease("x", 15)
    assert first.hold()
    RelayLease.objects.update(held_until=Now() + timedelta(hours=1))
    assert second.hold()


def test_rows_are_deleted_a_day_after_they_were_sent(tenant_id: int) -> None:
    old, kept, unsent = (left_behind(tenant_id, f"job:{name}", age_seconds=3 * 86_400) for name in ("a", "b", "c"))
    OutboxEntry.objects.filter(pk=old.pk).update(sent_at=timezone.now() - timedelta(hours=25))
    OutboxEntry.objects.filter(pk=kept.pk).update(sent_at=timezone.now() - timedelta(hours=23))
    closed_ways.add("letter")
    late = letter(tenant_id, 1)
    aged(late, 3 * 86_400)
    Relay().round()
    assert set(OutboxEntry.objects.values_list("pk", flat=True)) == {kept.pk, unsent.pk, late.pk}


def test_an_outage_does_not_end_the_relay(
    tenant_id: int, settings: Settings, forget_clients: Callable[[], None]
) -> None:
    address = settings.REALTIME_REDIS_URL
    settings.REALTIME_REDIS_URL = "redis://127.0.0.1:1/0"
    forget_clients()
    entry, worker = left_behind(tenant_id), Relay()
    for _ in range(2):
        assert not worker.round()
    assert sent(entry) == [False]
    settings.REALTIME_REDIS_URL = address
    forget_clients()
    worker.round()
    assert status_of(tenant_id) == "DONE"


def test_a_running_relay_sends_until_it_is_stopped(redis: Redis, tenant_id: int) -> None:
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


def test_a_sender_that_hangs_does_not_delay_other_kinds(tenant_id: int) -> None:
    note_filled()
    entry, stop = letter(tenant_id, 1), threading.Event()
    closed_ways.add("hanging")
    thread = threading.Thread(target=Relay().run, args=[stop])
    thread.start()
    try:
        assert hangs.wait(60)
        record = left_behind(tenant_id)
        eventually_now(lambda: sent(record) == [True], "the record to be sent")
        assert sent(entry) == [False]
    finally:
        stop.set()
        answers.set()
        thread.join()


# Clocks.


@pytest.mark.parametrize("minutes", [-10, 10])
def test_the_clock_of_the_relays_host_does_not_matter(
    tenant_id: int, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    note_filled()
    monkeypatch.setattr(Delivery, "age_seconds", 40.0)
    old, young = left_behind(tenant_id, age_seconds=41), left_behind(tenant_id, "job:young", age_seconds=0)
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
    """A process of an older version, whose clock was ahead, wrote the row."""
    note_filled()
    entry = left_behind(tenant_id, age_seconds=-3600)
    Relay().round()
    assert sent(entry) == [True]


def test_an_unexpected_error_of_one_kind_stops_no_other_kind_and_is_logged_once(
    tenant_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_filled()
    letters, record = letter(tenant_id, 1), left_behind(tenant_id)
    relay = Relay()
    (of_letters,) = [delivery for delivery in relay._deliveries if delivery.kind == "letter"]

    def has_a_defect() -> list[OutboxEntry]:
        raise ZeroDivisionError("a defect")

    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(of_letters, "claim", has_a_defect)
        for _ in range(3):
            relay.round()
    assert sent(record, letters) == [True, False]
    failures = [(line["event"], line["part"], line["log_level"]) for line in logs if "part" in line]
    assert failures == [("relay_round_failed", "claim letter", "error")]
    with capture_logs() as logs:
        relay.round()
    assert sent(letters) == [True]
    assert [line["failures"] for line in logs if line["event"] == "relay_works_again"] == [3]
