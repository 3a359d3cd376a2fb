"""The interface through which the engine asks the project's database. `REALTIME_SOURCE` names its implementation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from realtime.records.record import Draft, draft_record


@dataclass(frozen=True, slots=True)
class TopicState:
    """The state of one topic in the database, and the tenant that owns it.

    `data` and `error` are what the project publishes with this status. `published_at` is the time at which the topic
    reached this status, in Unix seconds.
    """

    tenant_id: int
    topic: str
    attempt: int
    status: str
    published_at: float
    data: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, str] | None = None

    def draft(self) -> Draft:
        """Return the state as a record without progress. Raise BadTopicError or BadRecordError if it is not valid."""
        return draft_record(
            topic=self.topic,
            attempt=self.attempt,
            status=self.status,
            published_at=self.published_at,
            data=self.data,
            error=self.error,
        )


class Source(Protocol):
    """The database from which Redis is filled and repaired. Ids of topics are unique over all tenants.

    Only the relay and management commands call a source, so connections and polls cost no SQL. If a method raises an
    exception, the engine logs it, and calls the method again later.

    A source may also have an attribute `kinds`: the kinds of topics (`job` of `job:9`) that have a row while they are
    unfinished. A topic of these kinds that is shown as unfinished but has no row is ended as CANCELLED within about
    10 minutes. A topic of another kind, and each topic of a source without `kinds`, is ended as CANCELLED if it has no
    row and got no new record for a week.
    """

    def tenants(self) -> list[int]:
        """Return all tenants whose feeds are maintained. Called every few seconds."""

    def tenant_id(self, code: str) -> int | None:
        """Return the tenant with this code, or None."""

    def user_id(self, tenant_id: int, name: str) -> int | None:
        """Return the user of this tenant with this sign-in name, or None."""

    def unfinished(self, tenant_ids: Sequence[int]) -> Iterable[TopicState]:
        """Return all unfinished topics of these tenants, sorted so that the latest changes come last.

        The caller passes at most a few hundred tenants.
        """

    def ended(self, tenant_ids: Sequence[int], since: float) -> Iterable[TopicState]:
        """Return the topics of these tenants that have ended since this time, in Unix seconds."""

    def states(self, topics: Sequence[str]) -> dict[str, TopicState]:
        """Return the states of these topics (at most a few hundred), by topic. Leave out topics that do not exist.

        The topics may belong to any tenant: the caller checks the tenant.
        """
