"""The default source, for a project without `REALTIME_SOURCE`. It can only list the tenants."""

import time
from collections.abc import Iterable, Sequence

from realtime.models import OutboxEntry
from realtime.records.source import TopicState

TENANTS_SECONDS = 60.0
NOTHING_TO_ASK = "REALTIME_SOURCE is not set, so the command cannot read the true states from the project's database."


class OutboxSource:
    """A source whose tenants are those with rows in the outbox, where sent rows are kept for a day.

    It has no topics and no states, so nothing can be repaired or rebuilt with it.
    """

    def __init__(self) -> None:
        self._tenants: list[int] = []
        self._read_at = float("-inf")

    def tenants(self) -> list[int]:
        """Return the ids of the tenants with rows in the outbox. The query runs at most once a minute."""
        if time.monotonic() - self._read_at >= TENANTS_SECONDS:
            self._tenants = list(OutboxEntry.objects.values_list("tenant_id", flat=True).distinct())
            self._read_at = time.monotonic()
        return self._tenants

    def tenant_id(self, code: str) -> int | None:
        """Return the code as a number: here a tenant's code is the id. Return None if the code is not a number."""
        return int(code) if code.isdecimal() else None

    def user_id(self, tenant_id: int, name: str) -> int | None:  # noqa: ARG002 - see the class
        """Return the name as a number: here a user's name is the id. Return None if the name is not a number."""
        return int(name) if name.isdecimal() else None

    def unfinished(self, tenant_ids: Sequence[int]) -> Iterable[TopicState]:  # noqa: ARG002 - see the class
        return ()

    def ended(self, tenant_ids: Sequence[int], since: float) -> Iterable[TopicState]:  # noqa: ARG002 - see the class
        return ()

    def states(self, topics: Sequence[str]) -> dict[str, TopicState]:  # noqa: ARG002 - see the class
        return {}
