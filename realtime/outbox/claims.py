"""The rows of the outbox that a relay sends: how it claims them, and how it notes what became of them.

Each step is one statement, committed at once. A claim is a time in the row, by the database's clock, and no lock: a
relay that freezes or loses its link holds nothing, and others send its rows once their claims have run out. So a row
may be sent twice, which is harmless. What a relay notes of a row that it could not send counts only while its claim
lasts.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db.models import F, QuerySet
from django.db.models.functions import Now

from realtime.models import OutboxEntry

BATCH = 200
CLAIM_SECONDS = 10.0
"""How long the rows of a relay that died wait for another one."""
LEFT_BEHIND_SECONDS = 2.0
"""Younger rows belong to the process that wrote them, which is about to send them."""
LONGEST_PAUSE_SECONDS = 60.0
MAX_ATTEMPTS = 10
"""How often a row is tried that fails while others of its kind are sent."""
ERROR_LENGTH = 500

_CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id FROM realtime_outbox
    WHERE kind = %(kind)s AND sent_at IS NULL AND failed_at IS NULL
        AND (next_try_at IS NULL OR next_try_at <= statement_timestamp())
        AND (
            created_at <= statement_timestamp() - make_interval(secs => %(age)s)
            -- A time that is still to come was written by another clock, and says nothing.
            OR created_at > statement_timestamp() + interval '1 second'
        )
        AND (%(statuses)s::text[] IS NULL OR payload ->> 'status' = ANY(%(statuses)s))
    ORDER BY coalesce(next_try_at, created_at), id
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
)
UPDATE realtime_outbox AS entry SET next_try_at = statement_timestamp() + make_interval(secs => %(seconds)s)
FROM due WHERE entry.id = due.id
RETURNING entry.*
"""


def claim(kind: str, *, age_seconds: float = LEFT_BEHIND_SECONDS, statuses: Sequence[str] = ()) -> list[OutboxEntry]:
    """Claims up to `BATCH` rows of a kind that are due and at least this old, those first that wait longest.

    `statuses`: only records with one of these. Raises DatabaseError.
    """
    fields = {
        "kind": kind,
        "age": age_seconds,
        "statuses": list(statuses) or None,
        "most": BATCH,
        "seconds": CLAIM_SECONDS,
    }
    rows = OutboxEntry.objects.raw(_CLAIM, fields)
    return sorted(rows, key=lambda entry: entry.pk)


def note_sent(entries: Iterable[OutboxEntry]) -> None:
    """Notes that these rows were sent, by whomever. Raises DatabaseError."""
    if ids := [entry.pk for entry in entries]:
        OutboxEntry.objects.filter(pk__in=ids, sent_at=None).update(sent_at=Now())


def give_back(entries: Iterable[OutboxEntry], *, seconds: float = 0.0) -> None:
    """Ends the claims of rows that were not sent, through no fault of their own: they are due again after a pause."""
    rows = list(entries)
    for until in {entry.next_try_at for entry in rows}:
        ids = [entry.pk for entry in rows if entry.next_try_at == until]
        claimed = OutboxEntry.objects.filter(pk__in=ids, sent_at=None, next_try_at=until)
        claimed.update(next_try_at=Now() + timedelta(seconds=seconds))


def note_failure(entry: OutboxEntry, error: str, *, may_set_aside: bool) -> None:
    """Notes a failure of the row's own. The next try comes after a pause that grows; there may be no next one."""
    attempts = entry.attempts + 1
    if may_set_aside and attempts >= MAX_ATTEMPTS:
        set_aside(entry, error)
        return
    pause = min(LONGEST_PAUSE_SECONDS, 2.0 ** min(attempts, 10))
    _claimed(entry).update(attempts=attempts, error=error[:ERROR_LENGTH], next_try_at=Now() + timedelta(seconds=pause))


def set_aside(entry: OutboxEntry, error: str) -> None:
    """Notes that this row can never be sent, and why. Only an operator has it sent again."""
    _claimed(entry).update(attempts=F("attempts") + 1, error=error[:ERROR_LENGTH], failed_at=Now())


def _claimed(entry: OutboxEntry) -> QuerySet[OutboxEntry]:
    """The row, as long as nobody else has claimed or sent it."""
    return OutboxEntry.objects.filter(pk=entry.pk, sent_at=None, next_try_at=entry.next_try_at)


def set_aside_rows(tenant_id: int | None = None, kind: str | None = None) -> QuerySet[OutboxEntry]:
    """The rows that were set aside, the latest first."""
    rows = OutboxEntry.objects.filter(failed_at__isnull=False, sent_at=None)
    if tenant_id is not None:
        rows = rows.filter(tenant_id=tenant_id)
    if kind is not None:
        rows = rows.filter(kind=kind)
    return rows.order_by("-failed_at", "-pk")


def send_again(rows: QuerySet[OutboxEntry]) -> int:
    """Lets the relays try these rows again, as if they were new; their number."""
    return rows.order_by().update(failed_at=None, next_try_at=None, attempts=0, error="")
