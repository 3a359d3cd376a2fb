"""What the engine asks the project's database. A project says who answers in `REALTIME_SOURCE`; see `Source`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from realtime.records.record import Draft, draft_record


@dataclass(frozen=True, slots=True)
class TopicState:
    """What the database says of one topic at this moment, and whose it is.

    `data` and `error` are what the project publishes with this status; `published_at` is when it became so, in Unix
    seconds.
    """

    tenant_id: int
    topic: str
    attempt: int
    status: str
    published_at: float
    data: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, str] | None = None

    def draft(self) -> Draft:
        """The state as a record without progress. Raises BadTopicError or BadRecordError."""
        return draft_record(
            topic=self.topic,
            attempt=self.attempt,
            status=self.status,
            published_at=self.published_at,
            data=self.data,
            error=self.error,
        )


class Source(Protocol):
    """The truth that Redis is filled and repaired from. Ids are unique over all tenants, so a topic has one owner.

    All of it is asked by the relay and by commands, never for a connection or a poll: these cost no SQL. An error that
    it raises is logged and the question asked again later.

    A source may also have an attribute `kinds`: the kinds of topics (`job` of `job:9`) that have a row as long as they
    are unfinished. A topic of these that is shown as unfinished and has no row is ended as CANCELLED within some
    minutes. Where it has none, and for other kinds, that takes a week without a word.
    """

    def tenants(self) -> list[int]:
        """All tenants whose feeds are looked after. Asked every few seconds."""

    def tenant_id(self, code: str) -> int | None:
        """The tenant that people call so; None if there is none."""

    def user_id(self, tenant_id: int, name: str) -> int | None:
        """The user of this tenant who signs in so; None if there is none."""

    def unfinished(self, tenant_ids: Sequence[int]) -> Iterable[TopicState]:
        """All unfinished topics of some tenants (at most some hundred), those that changed last at the end."""

    def ended(self, tenant_ids: Sequence[int], since: float) -> Iterable[TopicState]:
        """What has ended since then (Unix seconds)."""

    def states(self, topics: Sequence[str]) -> dict[str, TopicState]:
        """These topics (at most some hundred), as far as there are such; whoever asks compares the tenant."""
