"""A source whose states are set by the tests of the engine, and a function that publishes like a worker."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from realtime.publish import Publisher, Step
from realtime.records.record import Progress, draft_record
from realtime.records.source import TopicState

UNFINISHED = {"PENDING", "PROCESSING"}


@dataclass
class ListedSource:
    """A source with a list of states. It counts the calls that a real source would answer with SQL."""

    states_now: list[TopicState] = field(default_factory=list)
    tenant_ids: list[int] = field(default_factory=list)
    asked: int = 0
    asked_for: Sequence[int] = ()
    """The tenants that the latest call asked about, if it was a call of `unfinished`. Otherwise empty."""
    kinds: Sequence[str] = ()
    before_answer: Callable[[], object] = lambda: None

    def set_state(self, tenant_id: int, topic: str, status: str, attempt: int = 1, **more: Any) -> None:
        self.states_now = [state for state in self.states_now if state.topic != topic]
        self.states_now.append(TopicState(tenant_id, topic, attempt, status, more.pop("published_at", 1.0), **more))
        if tenant_id not in self.tenant_ids:
            self.tenant_ids.append(tenant_id)

    def tenants(self) -> list[int]:
        self._ask()
        return self.tenant_ids

    def tenant_id(self, code: str) -> int | None:
        self._ask()
        return int(code) if int(code) in self.tenant_ids else None

    def user_id(self, tenant_id: int, name: str) -> int | None:
        self._ask()
        return int(name) if tenant_id in self.tenant_ids else None

    def unfinished(self, tenant_ids: Sequence[int]) -> Iterable[TopicState]:
        self._ask(tenant_ids)
        return [s for s in self.states_now if s.tenant_id in tenant_ids and s.status in UNFINISHED]

    def ended(self, tenant_ids: Sequence[int], since: float) -> Iterable[TopicState]:
        self._ask()
        return [
            s
            for s in self.states_now
            if s.tenant_id in tenant_ids and s.status not in UNFINISHED and s.published_at >= since
        ]

    def states(self, topics: Sequence[str]) -> dict[str, TopicState]:
        self._ask()
        return {state.topic: state for state in self.states_now if state.topic in topics}

    def _ask(self, tenant_ids: Sequence[int] = ()) -> None:
        self.asked += 1
        self.asked_for = tenant_ids
        self.before_answer()


def set_progress(
    publisher: Publisher, tenant_id: int, topic: str, percent: float = 40, *, attempt: int = 1, **data: Any
) -> None:
    """Publish progress at once. The progress of a real worker may wait or be dropped."""
    draft = draft_record(
        topic=topic,
        attempt=attempt,
        status="PROCESSING",
        published_at=1.0,
        progress=Progress(percent, Step(1, 2, "parse", 80.0)),
        data=data,
    )
    publisher.publish(tenant_id, draft)
