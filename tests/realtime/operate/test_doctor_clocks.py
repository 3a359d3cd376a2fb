"""Tests of the doctor's check of the clocks of this host, Redis and PostgreSQL."""

import time

import pytest

from realtime.operate import doctor_clocks
from realtime.operate.doctor_clocks import check_clocks
from realtime.records.errors import CheckFailedError

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis", "forget_clients")]


def test_clocks_that_agree_are_accepted() -> None:
    assert check_clocks().startswith("this host and PostgreSQL: within 0.")


def test_a_host_that_is_behind_is_named_with_its_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() - 600)
    with pytest.raises(CheckFailedError, match=r"^this host is 600 s behind Redis$"):
        check_clocks()


def test_a_database_that_is_ahead_is_named_with_its_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_clocks, "_postgres_time", lambda: time.time() + 7200)
    with pytest.raises(CheckFailedError, match=r"^PostgreSQL is (7200|71\d\d) s ahead of Redis$"):
        check_clocks()
