"""A project's database for tests of the engine: the states are what the test says they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from realtime.source import TopicState

UNFINISHED = {"PENDING", "PROCESSING"}


@dataclass
class ListedSource:
    """Counts the questions that a real one would answer with SQL."""

    states_now: list[TopicState] = field(default_factory=list)
    tenant_ids: list[int] = field(default_factory=list)
    asked: int = 0
    broken: bool = False

    def say(self, tenant_id: int, topic: str, status: str, attempt: int = 1, **more: Any) -> None:
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

    def unfinished(self, tenant_ids: Sequence[int]) -> Iterable[TopicState]:
        self._ask()
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

    def _ask(self) -> None:
        self.asked += 1
        if self.broken:
            raise RuntimeError("the database has another schema")
