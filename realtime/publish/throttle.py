"""How often the progress of one topic leaves the process. Pure rules: they are told what time it is."""

import math
from dataclasses import dataclass

from realtime.records.record import Draft, Step

TopicKey = tuple[int, str]
"""Tenant and topic."""


@dataclass(frozen=True, slots=True)
class Update:
    """One progress record on its way. A `milestone` never waits."""

    tenant_id: int
    draft: Draft
    step: Step | None = None
    milestone: bool = False

    @property
    def key(self) -> TopicKey:
        return self.tenant_id, self.draft.topic

    @property
    def stage(self) -> tuple[int, int, str] | None:
        """Which step this is, however far it is."""
        return (self.step.index, self.step.total, self.step.name) if self.step else None


@dataclass(slots=True)
class _Lane:
    """One topic: what was said last, when the next may leave, and the newest of what came meanwhile."""

    attempt: int
    stage: tuple[int, int, str] | None
    free_at: float = 0.0
    waiting: Update | None = None


class Throttle:
    """At most one update a topic in each interval; a change of step, a new attempt and a milestone always leave.

    Times are seconds of one clock and never go back.
    """

    def __init__(self, interval_seconds: float) -> None:
        self._interval = interval_seconds
        self._lanes: dict[TopicKey, _Lane] = {}  # by `free_at`, the next first: whatever leaves puts its lane last

    @property
    def next_at(self) -> float:
        """When `due` has something to do; infinity while it has nothing."""
        return next((lane.free_at for lane in self._lanes.values()), math.inf)

    def offer(self, update: Update, now: float) -> bool:
        """True if it leaves now, and what waited is superseded. False if it waits, or what is newer does."""
        lane = self._lanes.get(update.key)
        if lane is None:
            self._leave(update.key, _Lane(update.draft.attempt, update.stage), now)
            return True
        if update.draft.attempt < lane.attempt:
            leaves = now >= lane.free_at and lane.waiting is None  # so that an overtaken attempt is told that it is
        else:
            turned = (update.draft.attempt, update.stage) != (lane.attempt, lane.stage)
            lane.attempt, lane.stage = update.draft.attempt, update.stage
            leaves = update.milestone or turned or now >= lane.free_at
            lane.waiting = None if leaves else update
        if leaves:
            self._leave(update.key, lane, now)
        return leaves

    def due(self, now: float) -> list[Update]:
        """What waited and leaves now. Lanes in which nothing waits are forgotten."""
        leaving: list[Update] = []
        while self.next_at <= now:
            key = next(iter(self._lanes))
            lane = self._lanes.pop(key)
            if lane.waiting is not None:
                leaving.append(lane.waiting)
                lane.waiting = None
                self._leave(key, lane, now)
        return leaving

    def settle(self, key: TopicKey, attempt: int, *, terminal: bool) -> None:
        """A status of this attempt is being published: what waits and would go back is superseded."""
        lane = self._lanes.get(key)
        if lane is not None and (attempt > lane.attempt or (terminal and attempt == lane.attempt)):
            del self._lanes[key]

    def clear(self) -> list[Update]:
        """Forgets everything; returns what waited."""
        waiting = [lane.waiting for lane in self._lanes.values() if lane.waiting is not None]
        self._lanes.clear()
        return waiting

    def _leave(self, key: TopicKey, lane: _Lane, now: float) -> None:
        lane.free_at = now + self._interval
        self._lanes.pop(key, None)
        self._lanes[key] = lane
