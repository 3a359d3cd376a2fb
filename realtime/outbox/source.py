"""The source of a project that names none: it only knows which tenants there are."""

import time
from collections.abc import Iterable, Sequence

from realtime.models import OutboxEntry
from realtime.records.source import TopicState

TENANTS_SECONDS = 60.0
NOTHING_TO_ASK = "REALTIME_SOURCE is not set, so the command cannot read the true states from the project's database."


class OutboxSource:
    """Its tenants are those with rows in the outbox, which are kept for a day. It cannot repair or rebuild anything."""

    def __init__(self) -> None:
        self._tenants: list[int] = []
        self._read_at = float("-inf")

    def tenants(self) -> list[int]:
        """Return the tenants. They are read once a minute, because no index helps, so a new one waits that long."""
        if time.monotonic() - self._read_at >= TENANTS_SECONDS:
            self._tenants = list(OutboxEntry.objects.values_list("tenant_id", flat=True).distinct())
            self._read_at = time.monotonic()
        return self._tenants

    def tenant_id(self, code: str) -> int | None:
        """Return the tenant whose number this is: tenants have no other code here."""
        return int(code) if code.isdecimal() else None

    def user_id(self, tenant_id: int, name: str) -> int | None:  # noqa: ARG002 - see the class
        """Return the user whose number this is."""
        return int(name) if name.isdecimal() else None

    def unfinished(self, tenant_ids: Sequence[int]) -> Iterable[TopicState]:  # noqa: ARG002 - see the class
        return ()

    def ended(self, tenant_ids: Sequence[int], since: float) -> Iterable[TopicState]:  # noqa: ARG002 - see the class
        return ()

    def states(self, topics: Sequence[str]) -> dict[str, TopicState]:  # noqa: ARG002 - see the class
        return {}
