"""How slowly a body may come."""

import pytest

from config.body_pace import Pace, PaceLimits

LIMITS = PaceLimits(grace_seconds=10, bytes_per_second=1000)


def test_a_body_at_the_least_pace_may_go_on_for_ever() -> None:
    pace = Pace(LIMITS)
    for _ in range(1000):
        pace.waited(5.0, 5000)
    assert pace.seconds_left == 10


def test_a_body_that_trickles_uses_its_grace_up() -> None:
    pace = Pace(LIMITS)
    pace.waited(9.0, 100)
    assert pace.seconds_left == pytest.approx(1.1)


def test_what_came_fast_buys_no_silence_later() -> None:
    pace = Pace(LIMITS)
    pace.waited(0.1, 2_000_000_000)
    assert pace.seconds_left == 10
