"""How slowly a request body may arrive."""

import pytest

from config.body_pace import Pace, PaceLimits

LIMITS = PaceLimits(grace_seconds=10, bytes_per_second=1000)


def test_a_body_at_the_minimum_pace_is_accepted() -> None:
    pace = Pace(LIMITS)
    for _ in range(1000):
        pace.waited(5.0, 5000)
    assert pace.seconds_left == 10


def test_a_slow_body_uses_up_its_grace_time() -> None:
    pace = Pace(LIMITS)
    pace.waited(9.0, 100)
    assert pace.seconds_left == pytest.approx(1.1)


def test_a_fast_beginning_does_not_allow_a_longer_pause_later() -> None:
    pace = Pace(LIMITS)
    pace.waited(0.1, 2_000_000_000)
    assert pace.seconds_left == 10


def test_a_large_body_must_arrive_as_fast_as_the_total_time_requires() -> None:
    limits = PaceLimits(grace_seconds=10, bytes_per_second=1000, total_seconds=100)
    small, large = Pace(limits), Pace(limits)
    small.expect(50_000)
    large.expect(1_000_000)
    for pace in (small, large):
        pace.waited(5.0, 5000)
    assert (small.seconds_left, large.seconds_left) == (10, 5.5)
    large.waited(5.0, 50_000)
    assert large.seconds_left == 5.5


def test_no_body_is_waited_for_longer_than_the_total_time() -> None:
    pace = Pace(PaceLimits(grace_seconds=10, bytes_per_second=1000, total_seconds=100))
    for _ in range(19):
        pace.waited(5.0, 5_000_000)
    assert pace.seconds_left == 5
    pace.waited(5.0, 5_000_000)
    assert pace.seconds_left == 0
