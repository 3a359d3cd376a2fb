"""Limits how often the progress of one topic is sent. It does no I/O and reads no clock: the caller passes the time."""

import math
from dataclasses import dataclass

from realtime.records.record import Draft, Step

TopicKey = tuple[int, str]
"""The tenant and the topic."""


@dataclass(frozen=True, slots=True)
class Update:
    """One progress record that is to be sent. A `milestone` never waits."""

    tenant_id: int
    draft: Draft
    step: Step | None = None
    milestone: bool = False

    @property
    def key(self) -> TopicKey:
        return self.tenant_id, self.draft.topic

    @property
    def stage(self) -> tuple[int, int, str] | None:
        """The step's index, total and name, without its percentage; None without a step."""
        return (self.step.index, self.step.total, self.step.name) if self.step else None


@dataclass(slots=True)
class _Lane:
    """The state of one topic: its last attempt and step, when the next update may be sent, and the waiting update."""

    attempt: int
    stage: tuple[int, int, str] | None
    free_at: float = 0.0
    waiting: Update | None = None


class Throttle:
    """Lets one update of a topic pass in each interval.

    The first update of a new attempt always passes, and so do new steps and milestones of the newest attempt. All
    times are seconds of one clock that never goes back.
    """

    def __init__(self, interval_seconds: float) -> None:
        self._interval = interval_seconds
        self._lanes: dict[TopicKey, _Lane] = {}  # ordered by `free_at`: sending an update moves its lane to the end

    @property
    def next_at(self) -> float:
        """When `due` has something to do next; infinity if it has nothing to do."""
        return next((lane.free_at for lane in self._lanes.values()), math.inf)

    def offer(self, update: Update, now: float) -> bool:
        """Return whether the caller has to send the update now.

        An update that need not be sent now is kept until `due` returns it or a newer update replaces it. But an update
        of an older attempt is dropped if it is not sent now: it is not kept, and replaces nothing.
        """
        lane = self._lanes.get(update.key)
        if lane is None:
            self._leave(update.key, _Lane(update.draft.attempt, update.stage), now)
            return True
        if update.draft.attempt < lane.attempt:
            # Redis rejects updates of an older attempt, and the worker learns from the answer that a newer attempt
            # exists. So send this one if the interval is over and no update of the newer attempt is waiting.
            leaves = now >= lane.free_at and lane.waiting is None
        else:
            changed = (update.draft.attempt, update.stage) != (lane.attempt, lane.stage)
            lane.attempt, lane.stage = update.draft.attempt, update.stage
            leaves = update.milestone or changed or now >= lane.free_at
            lane.waiting = None if leaves else update
        if leaves:
            self._leave(update.key, lane, now)
        return leaves

    def due(self, now: float) -> list[Update]:
        """Return the waiting updates that have to be sent now. Forget topics whose interval ended without an update."""
        leaving: list[Update] = []
        while self.next_at <= now:
            key = next(iter(self._lanes))
            lane = self._lanes.pop(key)
            if lane.waiting is not None:
                leaving.append(lane.waiting)
                lane.waiting = None
                self._leave(key, lane, now)
        return leaving

    def discard_superseded(self, key: TopicKey, attempt: int, *, terminal: bool) -> None:
        """Discard the waiting update of this topic if a status of `attempt` supersedes it.

        A status supersedes an update of an earlier attempt. A terminal status also supersedes an update of the same
        attempt.
        """
        lane = self._lanes.get(key)
        if lane is not None and (attempt > lane.attempt or (terminal and attempt == lane.attempt)):
            del self._lanes[key]

    def clear(self) -> list[Update]:
        """Forget everything. Return the updates that waited."""
        waiting = [lane.waiting for lane in self._lanes.values() if lane.waiting is not None]
        self._lanes.clear()
        return waiting

    def _leave(self, key: TopicKey, lane: _Lane, now: float) -> None:
        lane.free_at = now + self._interval
        self._lanes.pop(key, None)
        self._lanes[key] = lane
