"""Tests of the pacer: drops are counted, and calls wait for slow answers only while the patience lasts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.publish.pacing import CIRCUIT_OPEN, UNREACHABLE, Pace, Pacer, Sending
from realtime.publish.throttle import Update
from tests.realtime.updates import update

PACE = Pace(interval_seconds=0.25, first_probe_seconds=0.5, longest_probe_seconds=4.0)

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["say", "say", "say", "answer", "fail"]),
        st.sampled_from(["job:a", "job:b"]),
        st.booleans(),
        st.integers(0, 96).map(lambda ticks: ticks / 64),
    ),
    max_size=60,
)


class Run:
    """A pacer and its sender. Redis answers or fails when a step says so."""

    def __init__(self) -> None:
        self.pacer = Pacer(PACE)
        self.now = 0.0
        self.said: list[Update] = []
        self.sent: list[Update] = []
        self._under_way: list[Sending] | None = None

    def replay(self, steps: list[tuple[str, str, bool, float]]) -> None:
        for what, topic, milestone, seconds in steps:
            self.now += seconds
            if what == "say":
                self.offer_update(topic, milestone=milestone)
            else:
                self.turn(fails=what == "fail")

    def offer_update(self, topic: str, *, milestone: bool) -> None:
        self.said.append(update(len(self.said), topic=topic, milestone=milestone))
        if self.pacer.offer(self.said[-1], self.now) is not None:
            self.pacer.waited(0.015)

    def turn(self, *, fails: bool = False) -> None:
        """Let the call that is under way succeed or fail. If no call is under way, begin one.

        The new call sends the next updates. If there are none to send, it probes Redis, but only if a probe is due.
        """
        if self._under_way is None:
            self._under_way = self.pacer.take(self.now) or None
            if self._under_way is None and self.pacer.next_at <= self.now:
                self.pacer.sent(self.now)
                self._under_way = []
            return
        if fails:
            self.pacer.failed(self.now, OSError("gone"), self._under_way)
        else:
            self.pacer.answered(self.now)
            self.sent += [sending.update for sending in self._under_way]
        self._under_way = None

    def finish(self) -> None:
        while self._under_way is not None or self.pacer.next_at < math.inf:
            self.now = max(self.now, self.pacer.next_at)
            self.turn()


@given(STEPS)
def test_nothing_is_sent_twice_or_overtaken_whatever_redis_does(steps: list[tuple[str, str, bool, float]]) -> None:
    run = Run()
    run.replay(steps)
    run.finish()
    for topic in ("job:a", "job:b"):
        places = [run.said.index(sent) for sent in run.sent if sent.draft.topic == topic]
        assert places == sorted(set(places))
    assert len(run.sent) + run.pacer.dropped.total() <= len(run.said)  # the others were replaced by newer updates


@given(STEPS)
def test_the_newest_of_each_topic_is_sent_or_counted_as_dropped(steps: list[tuple[str, str, bool, float]]) -> None:
    run = Run()
    run.replay(steps)
    run.finish()
    newest = {said.key: said for said in run.said}
    missing = [said for said in newest.values() if said not in run.sent]
    assert len(missing) <= run.pacer.dropped.total()


@given(STEPS)
def test_with_a_redis_that_answers_in_time_only_replaced_updates_are_dropped(
    steps: list[tuple[str, str, bool, float]],
) -> None:
    run = Run()
    for what, topic, milestone, _ in steps:
        run.now += 1 / 64
        if what == "say":
            run.offer_update(topic, milestone=milestone)
        run.turn()
    run.finish()
    assert run.pacer.dropped.total() == 0
    assert {said.key for said in run.said} == {sent.key for sent in run.sent}


def number(sending: Sending) -> bytes:
    """Return the number of an update as a text of a fixed width, so that these texts compare like numbers."""
    digits = sending.update.draft.text.split(b'"number":')[1].split(b"}")[0]
    return digits.rjust(4, b"0")


def test_a_slow_redis_gets_all_updates_and_is_waited_for_until_patience_ends() -> None:
    pacer, awaited, sent = Pacer(PACE), 0, 0
    for second in range(20):
        sending = pacer.offer(update(second, milestone=True), second)
        awaited += sending is not None
        batch = pacer.take(second)
        sent += len(batch)
        pacer.answered(second + 0.04)
        if sending is not None:
            pacer.waited(0.04)
    assert (awaited, sent) == (3, 20)  # the patience of 100 ms is enough for 40 + 40 + 20 ms
    pacer.offer(update(20, milestone=True), 20)
    pacer.take(20)
    pacer.answered(20.001)
    assert pacer.offer(update(21, milestone=True), 21) is not None


def test_while_no_call_waits_only_the_newest_of_each_topic_is_kept() -> None:
    pacer = Pacer(PACE)
    pacer.offer(update(0, milestone=True), 0)
    assert len(pacer.take(0)) == 1
    pacer.waited(math.inf)
    for second in range(1, 1000):
        pacer.offer(update(second, milestone=True), second / 1000)
    pacer.answered(0.9)
    (newest,) = pacer.take(0.9)
    assert number(newest) == b"0999"


def test_queued_updates_are_counted_as_dropped_when_the_circuit_opens(caplog: pytest.LogCaptureFixture) -> None:
    pacer = Pacer(PACE)
    first = pacer.offer(update(0), 0)
    assert first is not None
    batch = pacer.take(0)
    second = pacer.offer(update(1, milestone=True), 0)
    pacer.offer(update(2), 0)
    pacer.failed(0, OSError("gone"), batch)
    pacer.offer(update(3), 0)
    assert second is not None
    assert second.answer.result(0) is None
    assert pacer.dropped == {UNREACHABLE: 1, CIRCUIT_OPEN: 3}
    assert len(caplog.records) == 1


def test_a_hanging_call_opens_the_circuit_without_a_timeout_of_the_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pacer = Pacer(PACE)
    pacer.offer(update(0), 0)
    pacer.take(0)
    pacer.offer(update(1), 0.9)
    assert pacer.dropped.total() == 0
    pacer.offer(update(2), 1.1)
    assert pacer.dropped == {CIRCUIT_OPEN: 2}
    assert pacer.next_at == math.inf  # the call is still under way
    pacer.answered(5)
    assert pacer.next_at == 5.5
    pacer.sent(5.5)
    pacer.answered(5.5)
    assert pacer.offer(update(3), 6) is not None
    closed = caplog.records[-1].msg
    assert isinstance(closed, dict)
    assert (closed["event"], closed["dropped"], closed["seconds"]) == ("progress_circuit_closed", 2, 4.4)


def test_an_update_without_a_waiting_call_is_not_sent_after_a_newer_one() -> None:
    pacer = Pacer(PACE)
    pacer.offer(update(0), 0)
    pacer.take(0)
    pacer.waited(math.inf)
    pacer.offer(update(1, milestone=True), 0)
    pacer.answered(0)  # a quick answer, so calls wait again
    pacer.offer(update(2, milestone=True), 0)
    assert [number(sending) for sending in pacer.take(0)] == [b"0002"]
