"""Tests of the clock that all processes share."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.redis.clock import DOUBT_SECONDS, RedisClock

DAY = 86_400.0


class Host:
    """A host whose clocks only move when a test moves them."""

    def __init__(self, wall: float = 1_000_000.0) -> None:
        self.monotonic, self.wall = 50.0, wall
        self.clock = RedisClock(lambda: self.monotonic, lambda: self.wall)

    def passes(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds

    def hears(self, redis_time: float, *, took: float = 0.0) -> None:
        asked_at = self.monotonic
        self.passes(took)
        self.clock.synchronize(redis_time, asked_at)


def test_before_redis_has_answered_the_clock_of_the_host_is_used() -> None:
    host = Host()
    host.passes(5)
    assert host.clock.now() == 1_000_005


def test_a_host_whose_clock_is_wrong_follows_redis_at_once() -> None:
    for wrong in (-600.0, 600.0, DAY):
        host = Host(1_000_000 + wrong)
        host.hears(1_000_000)
        assert host.clock.now() == 1_000_000


def test_setting_the_clock_of_the_host_changes_nothing() -> None:
    host = Host()
    host.hears(1_000_000)
    host.wall += DAY
    host.passes(1)
    assert host.clock.now() == 1_000_001


def test_a_short_error_of_the_clock_of_redis_is_ignored() -> None:
    host = Host()
    host.hears(1_000_000)
    for second in range(1, 4):
        host.passes(1)
        host.hears(1_000_000 + second + DAY)
        assert host.clock.now() == 1_000_000 + second
    host.passes(1)
    host.hears(1_000_004)
    assert host.clock.now() == 1_000_004


def test_a_lasting_change_of_the_clock_of_redis_is_followed() -> None:
    host = Host()
    host.hears(1_000_000)
    for second in range(int(DOUBT_SECONDS) + 2):
        host.hears(1_000_000 + second - DAY)
        host.passes(1)
    assert host.clock.now() == 1_000_000 + DOUBT_SECONDS + 2 - DAY


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1)), max_size=20))
def test_slow_answers_do_not_move_the_clock_while_both_agree(answers: list[tuple[float, float]]) -> None:
    host = Host()
    for took, share in answers:
        before = host.clock.now()
        host.hears(host.wall + took * share, took=took)
        assert abs(host.clock.now() - (before + took)) < 1e-6
