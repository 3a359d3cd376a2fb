"""Tests of the rule that shares slots fairly. The tests need no database and no queue."""

from collections import Counter, deque
from collections.abc import Iterable
from random import Random
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from academy.domain.turns import Line, choose

MOST = 6


class Job(NamedTuple):
    tenant: int
    number: int


@st.composite
def lines(draw: st.DrawFn) -> list[Line]:
    """Draw tenants with any number of running and waiting jobs. The ids of waiting jobs are distributed at random."""
    sizes = draw(st.lists(st.tuples(st.integers(0, MOST), st.integers(0, MOST)), max_size=8))
    ids = iter(draw(st.permutations(range(sum(waiting for _, waiting in sizes)))))
    return [
        Line(tenant, running, tuple(sorted(next(ids) for _ in range(waiting))))
        for tenant, (running, waiting) in enumerate(sizes)
        if running or waiting
    ]


slots = st.integers(1, 10)
reserved = st.integers(0, 12)


def owners(found: Iterable[Line]) -> dict[int, int]:
    return {job: line.tenant_id for line in found for job in line.waiting}


def shared(slots: int, reserved: int) -> int:
    """Return how many slots are not reserved, at least 1. Only these are open to a tenant that already runs a job."""
    return max(1, slots - reserved)


@given(lines(), slots, reserved)
def test_nobody_who_waits_and_runs_fewer_is_passed_over(found: list[Line], slots: int, reserved: int) -> None:
    running = Counter({line.tenant_id: line.running for line in found})
    left = Counter({line.tenant_id: len(line.waiting) for line in found})
    for job in choose(found, slots=slots, reserved=reserved):
        tenant = owners(found)[job]
        assert all(running[tenant] <= running[other] for other in left if left[other])
        running[tenant] += 1
        left[tenant] -= 1


@given(lines(), slots, reserved)
def test_no_shared_slot_is_idle_and_nobody_runs_nothing_while_work_waits(
    found: list[Line], slots: int, reserved: int
) -> None:
    chosen = choose(found, slots=slots, reserved=reserved)
    running = sum(line.running for line in found) + len(chosen)
    waits = {job for line in found for job in line.waiting} - set(chosen)
    if waits:
        assert running >= shared(slots, reserved)
    for line in found:
        if line.waiting and not line.running:
            assert line.waiting[0] in chosen


@given(lines(), slots, reserved)
def test_a_second_job_of_a_tenant_takes_no_reserved_slot(found: list[Line], slots: int, reserved: int) -> None:
    chosen = choose(found, slots=slots, reserved=reserved)
    counts = Counter(owners(found)[job] for job in chosen)
    firsts = sum(1 for line in found if not line.running and counts[line.tenant_id])
    before = sum(line.running for line in found)
    assert len(chosen) <= firsts + max(0, shared(slots, reserved) - before)


@given(lines(), slots, reserved)
def test_within_a_tenant_the_oldest_goes_first(found: list[Line], slots: int, reserved: int) -> None:
    chosen = choose(found, slots=slots, reserved=reserved)
    for line in found:
        ours = [job for job in chosen if job in line.waiting]
        assert tuple(ours) == line.waiting[: len(ours)]


@given(lines(), slots, reserved)
def test_as_many_waiting_jobs_of_each_tenant_as_there_are_slots_are_enough_to_choose_from(
    found: list[Line], slots: int, reserved: int
) -> None:
    shortened = [Line(line.tenant_id, line.running, line.waiting[:slots]) for line in found]
    assert choose(shortened, slots=slots, reserved=reserved) == choose(found, slots=slots, reserved=reserved)


class Fleet:
    """A queue and its workers, who receive messages in the order of sending. Jobs end in any order."""

    def __init__(self, backlogs: list[int], slots: int, reserved: int, random: Random) -> None:
        self._slots, self._reserved, self._random = slots, reserved, random
        self._waiting: dict[int, list[Job]] = {}
        self.queue: deque[Job] = deque()
        self._running: list[Job] = []
        self.begun: list[Job] = []
        for tenant, backlog in enumerate(backlogs):
            self._waiting[tenant] = [Job(tenant, number) for number in range(backlog)]
        self._give_turns()

    def submit(self, job: Job) -> None:
        self._waiting.setdefault(job.tenant, []).append(job)
        self._give_turns()

    def step(self) -> bool:
        """Begin the next job of the queue if there is one and a slot is free. Otherwise, end a running job.

        Return False if no job is left.
        """
        if self.queue and len(self._running) < self._slots:
            self._running.append(self.queue.popleft())
            self.begun.append(self._running[-1])
        elif self._running:
            self._running.pop(self._random.randrange(len(self._running)))
            self._give_turns()
        else:
            return False
        return True

    def _give_turns(self) -> None:
        sent = Counter(job.tenant for job in [*self.queue, *self._running])
        jobs = dict(enumerate(job for waiting in self._waiting.values() for job in waiting))
        lines = [
            Line(tenant, sent[tenant], tuple(number for number, job in jobs.items() if job.tenant == tenant))
            for tenant in self._waiting
        ]
        for number in choose(lines, slots=self._slots, reserved=self._reserved):
            self._waiting[jobs[number].tenant].remove(jobs[number])
            self.queue.append(jobs[number])


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=6),
    st.integers(0, 40),
    slots,
    reserved,
    st.randoms(use_true_random=False),
)
def test_every_job_begins_and_a_newcomer_waits_for_what_was_sent_already_and_nothing_else(
    backlogs: list[int], steps: int, slots: int, reserved: int, random: Random
) -> None:
    fleet = Fleet(backlogs, slots, reserved, random)
    for _ in range(steps):
        fleet.step()
    newcomer, ahead = Job(len(backlogs), 0), len(fleet.begun) + len(fleet.queue)
    assert len(fleet.queue) <= slots + len(backlogs)
    fleet.submit(newcomer)
    while fleet.step():
        pass
    assert len(fleet.begun) == sum(backlogs) + 1
    assert fleet.begun.index(newcomer) == ahead


def test_a_paused_job_counts_for_its_own_tenant_alone() -> None:
    paused, other = Line(1, 2, (10,), paused=2), Line(2, 1, (20, 21))
    assert choose([paused, other], slots=3, reserved=1) == [20]
