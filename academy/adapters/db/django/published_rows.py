"""Writes the rows of jobs and videos, and publishes their records once the transaction commits.

A job or a video has a row, and a record in the feed of its academy. `PublishedRows` keeps the two in step. No other
code may write the columns that a record shows: tests/db/test_published_rows.py searches the source for such code.
`PublishedRows` makes each record with `state_of`, from the row as it is in the database.
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
    """The attempt and the status of a row or a record. They decide which states may follow."""

    attempt: int
    status: str

    def __str__(self) -> str:
        return f"state {self.status} of attempt {self.attempt}"


def nothing_more(_row: object) -> None:
    """Do nothing. This is the default of the argument `also` of `PublishedRows.write`."""


@dataclass(frozen=True, slots=True)
class PublishedRows(Generic[R]):
    """Writes the rows of one table, and publishes their records."""

    state_of: Callable[[R], TopicState]
    """Returns the state that the record of a row shows. The relay, the sweeper and `academy.lifecycle` also call it."""
    in_feed: Callable[[R], bool]
    """Returns whether the row has a record in the feed. A video has no record before its file has arrived."""

    def insert(self, row: R) -> None:
        """Write a new row. Its record is published after the current transaction commits."""
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
        """Change one row, and return it as it is now. Its record is published after the current transaction commits.

        `rows` selects the row by its tenant and id. `known` is the state in which the caller expects the row. If the
        row is in another state, raises AttemptSupersededError and writes nothing. `also` is called with the changed
        row before the record is made. It can write to other tables whose data the record shows, such as results.
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
    """Raise ValueError if Redis would refuse the record of the new state.

    If such a state were written, the row and the feed would differ for ever.
    """
    goes_on = new.attempt == old.attempt and Status(old.status).rank <= Status(new.status).rank
    if new.attempt <= old.attempt and (not goes_on or Status(old.status).terminal):
        raise ValueError(f"A row in the {old} cannot come into the {new}.")
