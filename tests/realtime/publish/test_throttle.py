"""Tests of the throttle with updates in any order, and with any time between them."""

from dataclasses import dataclass, field
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.publish.throttle import Throttle, Update
from realtime.records.record import Step
from tests.realtime.updates import update

INTERVAL = 0.25  # a binary fraction, so that sums of times are exact

TOPICS = st.sampled_from(["job:a", "job:b"])
SAID = st.tuples(
    st.just("say"),
    TOPICS,
    st.integers(1, 3),
    st.sampled_from([None, "parse", "import"]),
    st.booleans(),
)
STATUSES = st.tuples(st.just("status"), TOPICS, st.integers(1, 3), st.booleans())
PASSED = st.tuples(st.just("pass"), st.integers(0, 40).map(lambda ticks: ticks / 64))
HISTORIES = st.lists(st.one_of(SAID, SAID, PASSED, STATUSES), max_size=60)


@dataclass
class Run:
    """A throttle, its clock, all updates (`said`), and those that were sent, each with its time (`left`)."""

    throttle: Throttle = field(default_factory=lambda: Throttle(INTERVAL))
    now: float = 1000.0
    said: list[Update] = field(default_factory=list)
    left: list[tuple[float, Update]] = field(default_factory=list)
    at_once: set[int] = field(default_factory=set)
    numbers: "count[int]" = field(default_factory=count)

    def offer_update(self, topic: str, attempt: int, step: str | None, milestone: bool) -> bool:
        said = update(
            next(self.numbers),
            topic=topic,
            attempt=attempt,
            step=Step(1, 2, step) if step else None,
            milestone=milestone,
        )
        self.said.append(said)
        leaves = self.throttle.offer(said, self.now)
        if leaves:
            self.left.append((self.now, said))
            self.at_once.add(id(said))
        return leaves

    def publish_status(self, topic: str, attempt: int, terminal: bool) -> None:
        self.throttle.discard_superseded((7, topic), attempt, terminal=terminal)

    def let_pass(self, seconds: float) -> None:
        """Let time pass, and send each update when it is due, as the sender does."""
        until = self.now + seconds
        while self.throttle.next_at <= until:
            self.now = max(self.now, self.throttle.next_at)
            self.left += [(self.now, leaving) for leaving in self.throttle.due(self.now)]
        self.now = until

    def replay(self, history: list[tuple[object, ...]]) -> None:
        for what, *arguments in history:
            {"say": self.offer_update, "status": self.publish_status, "pass": self.let_pass}[str(what)](*arguments)  # type: ignore[operator]

    def of(self, topic: str) -> list[tuple[float, Update]]:
        return [(at, leaving) for at, leaving in self.left if leaving.draft.topic == topic]


@given(HISTORIES)
def test_updates_of_a_topic_are_sent_in_order_and_once(history: list[tuple[object, ...]]) -> None:
    run = Run()
    run.replay(history)
    run.let_pass(10)
    for topic in ("job:a", "job:b"):
        places = [run.said.index(leaving) for _, leaving in run.of(topic)]
        assert places == sorted(set(places))


@given(HISTORIES)
def test_ordinary_progress_is_sent_an_interval_after_the_last_update(history: list[tuple[object, ...]]) -> None:
    run = Run()
    run.replay([entry for entry in history if entry[0] != "status"])
    run.let_pass(10)
    for topic in ("job:a", "job:b"):
        left = run.of(topic)
        for (before, earlier), (at, later) in pairwise(left):
            forced = later.milestone or later.stage != earlier.stage or later.draft.attempt > earlier.draft.attempt
            assert at - before >= INTERVAL or forced


@given(HISTORIES)
def test_the_newest_update_is_always_sent_in_the_end(history: list[tuple[object, ...]]) -> None:
    run = Run()
    run.replay([entry for entry in history if entry[0] != "status"])
    run.let_pass(INTERVAL)
    for topic in {said.draft.topic for said in run.said}:
        said = [one for one in run.said if one.draft.topic == topic]
        newest_attempt = max(one.draft.attempt for one in run.said if one.draft.topic == topic)
        newest = [one for one in said if one.draft.attempt == newest_attempt][-1]
        assert any(leaving is newest for _, leaving in run.of(topic))


@given(HISTORIES, TOPICS, st.integers(1, 3))
def test_after_a_terminal_status_nothing_of_its_attempt_is_sent(
    history: list[tuple[object, ...]], topic: str, attempt: int
) -> None:
    run = Run()
    run.replay(history)
    run.publish_status(topic, attempt, terminal=True)
    before = len(run.of(topic))
    run.let_pass(10)
    assert all(leaving.draft.attempt > attempt for _, leaving in run.of(topic)[before:])


@given(HISTORIES)
def test_a_topic_without_updates_is_forgotten(history: list[tuple[object, ...]]) -> None:
    run = Run()
    run.replay(history)
    run.let_pass(2 * INTERVAL)
    assert run.throttle.next_at == float("inf")
    assert run.throttle._lanes == {}


@given(HISTORIES)
def test_lanes_are_ordered_by_the_time_at_which_they_are_free(history: list[tuple[object, ...]]) -> None:
    run = Run()
    run.replay(history)
    free = [lane.free_at for lane in run.throttle._lanes.values()]
    assert free == sorted(free)


def test_five_updates_a_second_are_sent_of_any_number() -> None:
    run = Run(Throttle(0.2))
    for _ in range(1000):
        run.offer_update("job:a", 1, "parse", milestone=False)
        run.let_pass(0.001)
    assert len(run.left) == 5
    run.let_pass(1)
    assert run.left[-1][1] is run.said[-1]


@pytest.mark.parametrize(
    ("attempt", "step", "milestone"), [(1, "import", False), (2, "parse", False), (1, "parse", True)]
)
def test_a_new_step_a_new_attempt_and_a_milestone_are_sent_at_once(attempt: int, step: str, milestone: bool) -> None:
    run = Run()
    run.offer_update("job:a", 1, "parse", milestone=False)
    assert not run.offer_update("job:a", 1, "parse", milestone=False)
    assert run.offer_update("job:a", attempt, step, milestone)
    run.let_pass(10)
    assert len(run.left) == 2  # the waiting update was older, and was dropped


def test_a_status_that_is_not_terminal_keeps_waiting_progress_of_its_attempt() -> None:
    run = Run()
    run.offer_update("job:a", 1, "parse", milestone=False)
    run.offer_update("job:a", 1, "parse", milestone=False)
    run.publish_status("job:a", 1, terminal=False)
    run.let_pass(INTERVAL)
    assert len(run.left) == 2


def test_after_a_newer_attempt_updates_of_an_older_one_are_dropped() -> None:
    run = Run()
    run.offer_update("job:a", 2, "parse", milestone=False)
    run.offer_update("job:a", 2, "parse", milestone=False)
    assert not run.offer_update("job:a", 1, "parse", milestone=True)
    run.let_pass(INTERVAL)
    assert [leaving.draft.attempt for _, leaving in run.left] == [2, 2]
    run.let_pass(INTERVAL)
    assert run.offer_update("job:a", 1, "parse", milestone=False)  # sent, so that Redis can reject it
