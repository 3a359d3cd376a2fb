"""Tests that rows which can never be sent do not delay others, and are set aside with the reason."""

from io import StringIO

import pytest
from django.core.management import call_command
from redis import Redis

from realtime import conf
from realtime.models import OutboxEntry
from realtime.operate.doctor_relay import check_outbox
from realtime.outbox import claims
from realtime.outbox.outbox import Waiting, waiting
from realtime.outbox.relay import Relay
from realtime.records.errors import CheckFailedError
from tests.realtime.outbox.project import closed_ways, the_source
from tests.realtime.outbox.rows import left_behind, letter, note_filled, sent, status_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis", "forget_clients", "this_project"),
]


def test_four_hundred_rows_that_can_never_be_sent_delay_no_other_and_are_set_aside_with_reasons(
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


def test_an_operator_lists_rows_that_were_set_aside_and_sends_them_again(tenant_id: int) -> None:
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


def test_a_sender_can_raise_that_a_row_can_never_be_sent(tenant_id: int) -> None:
    closed_ways.add("unsendable")
    entry = letter(tenant_id, 1)
    Relay().round()
    entry.refresh_from_db()
    assert (entry.failed_at is not None, entry.error) == (True, "UnsendableError: no address")


def test_a_row_that_keeps_failing_while_others_are_sent_is_set_aside(tenant_id: int) -> None:
    bad = letter(tenant_id, -1)
    for number in range(claims.MAX_ATTEMPTS):
        assert waiting().set_aside == 0
        OutboxEntry.objects.filter(sent_at=None).update(next_try_at=None)  # as if its pause were over
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


def test_a_key_of_the_wrong_type_affects_only_its_own_tenant(redis: Redis, tenant_id: int) -> None:
    redis.set(f"tenant:{tenant_id}:feed", "of another program")
    bad, good = left_behind(tenant_id), left_behind(tenant_id + 1)
    the_source.set_state(tenant_id, "job:runs", "PROCESSING")
    the_source.set_state(tenant_id + 1, "job:runs_too", "PROCESSING")
    Relay().round()
    assert sent(bad, good) == [False, True]
    assert (status_of(tenant_id + 1), status_of(tenant_id + 1, "job:runs_too")) == ("DONE", "PROCESSING")
    assert redis.get("realtime:relay") == conf.publisher().run_id().encode()
    bad.refresh_from_db()
    assert "WRONGTYPE" in bad.error


def test_a_source_that_fails_for_one_tenant_does_not_stop_the_fill_of_others(redis: Redis, tenant_id: int) -> None:
    def fails_for_one() -> None:
        if the_source.asked_for and tenant_id in the_source.asked_for:
            raise ValueError("a date of the year 0")

    the_source.set_state(tenant_id, "job:a1", "PROCESSING")
    the_source.set_state(tenant_id + 1, "job:b1", "PROCESSING")
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
