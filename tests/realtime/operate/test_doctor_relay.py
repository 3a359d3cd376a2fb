"""Tests of the doctor's checks of the outbox and of the fill of Redis, also while Redis or the database fails."""

import re
from collections.abc import Callable

import pytest
from django.db import DatabaseError
from django.utils import timezone
from pytest_django import Settings

from realtime import conf
from realtime.models import OutboxEntry
from realtime.operate import doctor_relay
from realtime.operate.doctor_relay import check_fill, check_outbox, check_relay
from realtime.records.errors import CheckFailedError
from tests.realtime.outbox.rows import left_behind, mark_sent, note_filled

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis", "forget_clients")]


def test_the_outbox_is_empty_or_its_oldest_row_is_young(tenant_id: int) -> None:
    left_behind(tenant_id, age_seconds=0)
    assert re.fullmatch(r"the oldest row has waited for \d s", check_outbox())
    mark_sent()
    assert check_outbox() == "empty: everything was sent"


def test_a_row_that_waits_too_long_is_found(tenant_id: int) -> None:
    left_behind(tenant_id, age_seconds=100)
    with pytest.raises(CheckFailedError, match=r"has waited for 1\d\d s") as found:
        check_outbox()
    assert "realtime_relay" in found.value.mend


def test_rows_that_were_set_aside_are_found(tenant_id: int) -> None:
    left_behind(tenant_id, age_seconds=100)
    OutboxEntry.objects.update(failed_at=timezone.now())
    with pytest.raises(CheckFailedError, match="1 rows can never be sent") as found:
        check_outbox()
    assert "realtime_outbox" in found.value.mend


def test_a_redis_that_no_relay_has_filled_is_found() -> None:
    with pytest.raises(CheckFailedError, match="not filled since its last start"):
        check_fill()
    note_filled()
    assert check_fill() == "filled by the relay since its last start"


@pytest.mark.parametrize("check", [check_outbox, check_relay, check_fill])
def test_a_database_that_fails_is_named_as_the_cause(check: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> str:
        raise DatabaseError("the table is gone\nLINE 1: SELECT")

    monkeypatch.setattr(doctor_relay, "_outbox_unused", fails)
    with pytest.raises(CheckFailedError, match=r"the table is gone$") as found:
        check()
    assert "Repair the database first" in found.value.mend


def test_without_redis_only_the_check_that_needs_it_fails(
    settings: Settings, forget_clients: Callable[[], None]
) -> None:
    settings.REALTIME_REDIS_URL = "redis://127.0.0.1:1/0"
    forget_clients()
    assert check_outbox() == "empty: everything was sent"
    with pytest.raises(CheckFailedError, match="cannot be read") as found:
        check_fill()
    assert "Repair Redis first" in found.value.mend


def test_a_project_that_has_never_used_the_outbox_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf, "declares_outbox", lambda: False)
    assert check_outbox().startswith("not used: nothing was written to it within a day")
    note_filled()  # a relay has run
    assert check_outbox() == "empty: everything was sent"
