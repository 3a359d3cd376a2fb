"""Tests of a publisher's breaker and of its patience, with any sequence of answers from Redis."""

import math

from hypothesis import given
from hypothesis import strategies as st

from realtime.publish.breaker import Breaker, Patience

OVERDUE, FIRST, LONGEST = 1.0, 0.5, 4.0
TICKS = st.integers(0, 192).map(lambda ticks: ticks / 64)
"""Seconds from 0 to 3, as binary fractions, so that their sums are exact."""


def breaker() -> Breaker:
    return Breaker(overdue_seconds=OVERDUE, first_probe_seconds=FIRST, longest_probe_seconds=LONGEST)


def test_it_is_closed_while_redis_answers() -> None:
    circuit = breaker()
    for second in range(100):
        circuit.sent(second)
        assert not circuit.overdue(second + 0.5)
        circuit.answered(second + 0.9)
        assert not circuit.open
    assert circuit.probe_at == math.inf


def test_an_error_opens_it_and_an_answer_closes_it() -> None:
    circuit = breaker()
    circuit.sent(10)
    circuit.failed(10)
    assert (circuit.open, circuit.probe_at) == (True, 10 + FIRST)
    circuit.sent(10.5)
    assert circuit.open
    circuit.answered(10.6)
    assert (circuit.open, circuit.probe_at) == (False, math.inf)


def test_a_hanging_call_opens_it_and_its_late_answer_does_not_close_it() -> None:
    circuit = breaker()
    circuit.sent(10)
    assert not circuit.overdue(10 + OVERDUE)
    assert circuit.overdue(10.1 + OVERDUE)
    assert (circuit.open, circuit.probe_at) == (True, math.inf)  # no probe while a call is under way
    circuit.answered(20)
    assert (circuit.open, circuit.probe_at) == (True, 20 + FIRST)


def test_it_tries_ever_less_often_until_a_publish_has_worked_again() -> None:
    circuit = breaker()
    rests = []
    now = 0.0
    for _ in range(6):
        circuit.sent(now)
        circuit.failed(now)
        rests.append(circuit.probe_at - now)
        now = circuit.probe_at
    assert rests == [0.5, 1, 2, 4, 4, 4]
    circuit.sent(now)
    circuit.answered(now)  # a probe
    circuit.sent(now)
    circuit.failed(now)  # Redis refused a publish after the probe
    assert circuit.probe_at - now == LONGEST
    for _ in range(2):
        circuit.sent(now)
        circuit.answered(now)
    circuit.sent(now)
    circuit.failed(now)
    assert circuit.probe_at - now == FIRST


@given(st.lists(st.tuples(st.sampled_from(["answered", "failed", "hangs"]), TICKS), max_size=40))
def test_redis_is_always_tried_again_and_an_answer_in_time_closes_it(
    history: list[tuple[str, float]],
) -> None:
    circuit, now = breaker(), 0.0
    for outcome, seconds in history:
        now = max(now, circuit.probe_at if circuit.open else now)
        circuit.sent(now)
        now += seconds
        late = seconds > OVERDUE
        if outcome == "failed":
            circuit.failed(now)
        else:
            circuit.answered(now)
        assert circuit.open == (outcome == "failed" or late)
        assert circuit.open == (circuit.probe_at < math.inf)
        assert not circuit.open or FIRST <= circuit.probe_at - now <= LONGEST
    circuit.sent(now)
    circuit.answered(now)
    assert not circuit.open


@given(st.lists(st.floats(0.011, 0.2)))
def test_slow_answers_together_take_no_longer_than_the_patience(answers: list[float]) -> None:
    patience, waited = Patience(0.1), 0.0
    for seconds in answers:
        if patience.left > 0:
            wait = min(seconds, patience.left)
            waited += wait
            patience.spend(wait if seconds <= wait else math.inf)
        patience.answered(seconds)
    assert waited <= 0.1 + 1e-9


def test_a_quick_answer_restores_the_patience() -> None:
    patience = Patience(0.1)
    patience.spend(math.inf)
    patience.answered(0.05)
    assert patience.left == 0
    patience.answered(0.01)
    assert patience.left == 0.1
