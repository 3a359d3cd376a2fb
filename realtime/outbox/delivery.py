"""How a relay delivers one kind of outbox rows: it claims the due rows, sends them, and notes each result.

While a relay sends rows, it holds no lock, no transaction and no database connection. Rows of one kind never wait for
rows of another kind.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from django.db import InterfaceError, OperationalError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from realtime import conf
from realtime.models import OutboxEntry
from realtime.outbox import claims
from realtime.outbox.outbox import RECORD, draft_of
from realtime.outbox.outbox import send as send_row
from realtime.outbox.revoke import REVOCATION, note_times
from realtime.records.errors import BadRecordError, BadTopicError, NotNowError, UnsendableError
from realtime.records.record import Draft
from realtime.records.transitions import Status
from realtime.redis.refused_writes import refusal

log = structlog.get_logger(__name__)

TERMINAL = [status.value for status in Status if status.terminal]
WORK_SECONDS = 0.6 * claims.CLAIM_SECONDS
"""How long a relay works on the rows of a claim. Then it gives back the unsent rows, before the claim expires."""
FAILING_SECONDS = 3.0
"""How long the failed tries of one claim may take together. Then the remaining rows are given back without a try,
because each try would take long if a server hangs."""


@dataclass
class Outcome:
    """The results of sending the rows of a claim."""

    sent: list[OutboxEntry] = field(default_factory=list)
    later: list[OutboxEntry] = field(default_factory=list)
    """Rows that cannot be sent now, but can be later: for example, a server is down."""
    untried: list[OutboxEntry] = field(default_factory=list)
    failed: list[tuple[OutboxEntry, Exception]] = field(default_factory=list)
    unsendable: list[tuple[OutboxEntry, Exception]] = field(default_factory=list)
    problem: Exception | None = None
    """The last reason why a row was not sent."""

    def put(self, entry: OutboxEntry, problem: Exception) -> None:
        """Put an unsent row into the list that fits the error."""
        self.problem = problem
        if isinstance(problem, UnsendableError | BadRecordError | BadTopicError):
            self.unsendable.append((entry, problem))
        elif _concerns_the_server(problem):
            self.later.append(entry)
        else:
            self.failed.append((entry, problem))


def _concerns_the_server(problem: Exception) -> bool:
    """Return whether a server, such as Redis or the database, caused this error, and not the row."""
    if isinstance(problem, ResponseError):
        return isinstance(problem, NoScriptError) or refusal(problem) is not None
    return isinstance(problem, NotNowError | RedisError | OSError | OperationalError | InterfaceError)


class Delivery:
    """Delivers one kind of rows.

    A relay sends each kind in its own thread. One other thread claims the rows of all kinds and notes all results.
    """

    age_seconds = claims.LEFT_BEHIND_SECONDS
    later_seconds = 2.0
    """The pause before the rows of `Outcome.later` are tried again."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.stop = threading.Event()
        self._unsent = 0
        """How many tries have failed since rows were last sent without a failure. Only the first failure is logged."""

    def claim(self) -> list[OutboxEntry]:
        """Claim the due rows, and return them. Raise DatabaseError if the database fails."""
        return claims.claim(self.kind, age_seconds=self.age_seconds)

    def send(self, rows: list[OutboxEntry]) -> Outcome:
        """Send the rows one by one, and return the results. This needs no database, unless the sender uses one.

        The rest of the rows is left `untried` as soon as `stop` is set, or the call has taken `WORK_SECONDS`, or its
        failed tries together have taken `FAILING_SECONDS`.
        """
        outcome, until, failing = Outcome(), time.monotonic() + WORK_SECONDS, 0.0
        for entry in rows:
            began = time.monotonic()
            if self.stop.is_set() or began > until or failing > FAILING_SECONDS:
                outcome.untried.append(entry)
                continue
            try:
                send_row(entry)
            except Exception as problem:  # noqa: BLE001 - a sender may raise any error
                failing += time.monotonic() - began
                outcome.put(entry, problem)
            else:
                outcome.sent.append(entry)
        return outcome

    def note(self, outcome: Outcome) -> None:
        """Store these results in the rows. Raise DatabaseError if the database fails."""
        claims.note_sent(outcome.sent)
        claims.give_back(outcome.untried)
        claims.give_back(outcome.later, seconds=self.later_seconds)
        for entry, problem in outcome.unsendable:
            claims.set_aside(entry, _said(problem))
        for entry, problem in outcome.failed:
            # If no row of this claim was sent, the cause may be outside the rows, so no failed row is set aside.
            claims.note_failure(entry, _said(problem), may_set_aside=bool(outcome.sent))
        self._log(outcome)

    def _log(self, outcome: Outcome) -> None:
        if outcome.unsendable:
            entry, problem = outcome.unsendable[0]
            log.error(
                "outbox_rows_set_aside",
                kind=self.kind,
                count=len(outcome.unsendable),
                first=entry.pk,
                tenant=entry.tenant_id,
                error=_said(problem),
            )
        failed = len(outcome.later) + len(outcome.failed) + (len(outcome.untried) if outcome.problem else 0)
        if failed and not self._unsent:
            log.warning("outbox_rows_not_sent", kind=self.kind, count=failed, error=_said(outcome.problem))
        elif self._unsent and not failed and outcome.sent:
            log.info("outbox_rows_sent_again", kind=self.kind, failures=self._unsent)
            self._unsent = 0
        self._unsent += failed


class RecordDelivery(Delivery):
    """Delivers records. While terminal records are due, every second claim takes only terminal records.

    At its memory limit Redis accepts only terminal records, so they must not wait for unfinished records.
    """

    def __init__(self) -> None:
        super().__init__(RECORD)
        self._ends_next = True

    def claim(self) -> list[OutboxEntry]:
        ends, self._ends_next = self._ends_next, not self._ends_next
        if ends and (rows := claims.claim(RECORD, statuses=TERMINAL)):
            return rows
        self._ends_next = True
        return super().claim()

    def send(self, rows: list[OutboxEntry]) -> Outcome:
        """Publish the records of these rows in one round trip, and return the results."""
        outcome, good = Outcome(), list[tuple[OutboxEntry, Draft]]()
        for entry in rows:
            try:
                good.append((entry, draft_of(entry)))
            except Exception as problem:  # noqa: BLE001 - a row that was written by hand may hold anything
                outcome.unsendable.append((entry, problem))
        self._publish(good, outcome)
        return outcome

    @staticmethod
    def _publish(good: Sequence[tuple[OutboxEntry, Draft]], outcome: Outcome) -> None:
        try:
            answers = conf.publisher().publish_each((entry.tenant_id, draft) for entry, draft in good)
        except (RedisError, OSError) as problem:
            outcome.problem = problem
            outcome.untried += [entry for entry, _ in good]
            return
        for (entry, _), answer in zip(good, answers, strict=True):
            if isinstance(answer, Exception):
                outcome.put(entry, answer)
            else:
                outcome.sent.append(entry)


class RevocationDelivery(Delivery):
    """Delivers revocations as soon as they are committed.

    A relay leaves a row of any other kind for LEFT_BEHIND_SECONDS to the process that wrote the row. It does not wait
    before it claims a revocation, because a trigger or plain SQL may have written the row: then only a relay sends it.
    """

    age_seconds = 0.0
    later_seconds = 0.5

    def __init__(self) -> None:
        super().__init__(REVOCATION)

    def claim(self) -> list[OutboxEntry]:
        rows = super().claim()
        note_times(rows)
        return rows


def deliveries() -> list[Delivery]:
    """Return the deliveries of records, of revocations, and of each other kind that the settings name."""
    others = [kind for kind in conf.outbox_kinds() if kind not in {RECORD, REVOCATION}]
    return [RecordDelivery(), RevocationDelivery(), *map(Delivery, others)]


def _said(problem: Exception | None) -> str:
    text = str(problem).strip()
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__
