"""Tests that a sweep that fails stops no other sweep, and that its errors are logged once."""

import threading

from structlog.testing import capture_logs

from apps.worker.sweeping import sweep_until


def test_a_sweep_that_fails_is_tried_again_and_stops_no_other() -> None:
    stop, done = threading.Event(), list[str]()
    problems: list[Exception] = [OSError("away"), ZeroDivisionError("a defect")]

    def fails_twice() -> None:
        if problems:
            raise problems.pop(0)
        done.append("first")
        stop.set()

    with capture_logs() as logs:
        sweep_until(stop, [fails_twice, lambda: done.append("second")], pause_seconds=0.0)
    assert done == ["second", "second", "first", "second"]
    assert [(line["event"], line.get("failures")) for line in logs] == [
        ("sweep_failed", None),
        ("sweep_works_again", 2),
    ]
