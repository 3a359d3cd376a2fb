"""The one way to write what a record tells of a row: the row and its record change in the same transaction.

A job and a video each have a row, and a record in the feed of their academy. `PublishedRows` writes both, so that they
never disagree. Nothing else writes the columns that a record tells: tests/db/test_published_rows.py looks for that in
the source. The record is always made by `state_of`, from the row as the database has it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from django.db.models import QuerySet
from django.db.models.functions import Now

from academy.domain.jobs import AttemptSupersededError
from apps.domains.ai.models import AIJob
from apps.support.video.models import Video
from realtime.outbox import publish_status_on_commit
from realtime.records.source import TopicState
from realtime.records.transitions import Status

R = TypeVar("R", AIJob, Video)


class State(NamedTuple):
    """What decides which records may follow: in a row, and in Redis."""

    attempt: int
    status: str

    def __str__(self) -> str:
        return f"state {self.status} of attempt {self.attempt}"


def nothing_more(_row: object) -> None:
    """For rows of which the record tells nothing that stands in another table."""


@dataclass(frozen=True, slots=True)
class PublishedRows(Generic[R]):
    """The rows of one table, as they are written."""

    state_of: Callable[[R], TopicState]
    """Makes the record of a row. The relay, the sweeper and `academy.lifecycle` ask the same function."""
    in_feed: Callable[[R], bool]
    """Tells whether the feed knows of the row: not of a video whose file is still on its way."""

    def insert(self, row: R) -> None:
        """Write a new row. Its record is published once the current transaction is committed."""
        row.save(force_insert=True)
        self._publish(row)

    def write(
        self,
        rows: QuerySet[R],
        known: State,
        *,
        also: Callable[[R], object] = nothing_more,
        **changes: Any,
    ) -> R:
        """Change one row. Its record is published once the current transaction is committed.

        `rows` finds the row by its tenant and id, and `known` is the state that the caller believes it to be in.
        `also` writes what the record tells of other tables. Return the row as it is now. Raise AttemptSupersededError,
        and write nothing, if the row is in another state by now.
        """
        _check_step(known, State(changes.get("attempt", known.attempt), changes.get("status", known.status)))
        if not rows.filter(attempt=known.attempt, status=known.status).update(updated_at=Now(), **changes):
            raise AttemptSupersededError
        row = rows.get()
        also(row)
        self._publish(row)
        return row

    def _publish(self, row: R) -> None:
        if not self.in_feed(row):
            return
        state = self.state_of(row)
        publish_status_on_commit(
            tenant_id=state.tenant_id,
            topic=state.topic,
            attempt=state.attempt,
            status=state.status,
            data=state.data,
            error=state.error,
        )


def _check_step(old: State, new: State) -> None:
    """Raise ValueError for a step after which Redis would refuse the record: row and feed would part for ever."""
    goes_on = new.attempt == old.attempt and Status(old.status).rank <= Status(new.status).rank
    if new.attempt <= old.attempt and (not goes_on or Status(old.status).terminal):
        raise ValueError(f"A row in the {old} cannot come into the {new}.")
