"""Tests that refusals are logged at most once a minute for each reason, and counted."""

import pytest
import structlog
from structlog.testing import capture_logs

from realtime.protocol import refusals
from realtime.protocol.refusals import MAX_DETAIL, QUIET_SECONDS, RefusalLog
from realtime.records.metrics import counts


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> RefusalLog:
    monkeypatch.setattr(counts, "refusals", type(counts.refusals)())
    monkeypatch.setattr(refusals, "log", structlog.get_logger("tests"))  # a new one, with no cached processors
    return RefusalLog(clock)


def test_the_first_refusal_with_a_reason_is_logged_and_the_others_of_the_minute_are_counted(
    log: RefusalLog, clock: Clock
) -> None:
    with capture_logs() as lines:
        for _ in range(1000):
            log.add("host", "Add it to ALLOWED_HOSTS.", path="/ws/events/", client=None)
        clock.now = QUIET_SECONDS
        log.add("host", "Add it to ALLOWED_HOSTS.")
    assert [(line["event"], line["reason"], line["repeated"]) for line in lines] == [
        ("refused", "host", 0),
        ("refused", "host", 999),
    ]
    assert (lines[0]["path"], "client" in lines[0], lines[0]["log_level"]) == ("/ws/events/", False, "warning")
    assert counts.refusals == {"host": 1001}


def test_one_reason_does_not_hide_another(log: RefusalLog) -> None:
    with capture_logs() as lines:
        for reason in ("host", "origin", "host", "ticket_invalid"):
            log.add(reason, "A sentence.")
    assert [line["reason"] for line in lines] == ["host", "origin", "ticket_invalid"]


def test_a_client_cannot_make_log_lines_long(log: RefusalLog) -> None:
    with capture_logs() as lines:
        log.add("origin", "x" * 10_000, origin="y" * 10_000)
    assert (len(lines[0]["message"]), len(lines[0]["origin"])) == (MAX_DETAIL, MAX_DETAIL)
