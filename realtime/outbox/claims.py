"""How a relay claims rows of the outbox, and notes the result of sending them.

Each step is one statement, committed at once. A claim is not a lock, but a time in the row, by the database's clock. So
a relay that freezes or loses its connection locks nothing, and other relays send its rows once the claims have expired.
A row may then be sent twice, which is harmless. A failure is not noted if another relay has claimed the row since.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db.models import F, QuerySet
from django.db.models.functions import Now

from realtime.models import OutboxEntry

BATCH = 200
CLAIM_SECONDS = 10.0
"""How long a claim lasts. If a relay dies, its claimed rows wait this long until another relay can claim them."""
LEFT_BEHIND_SECONDS = 2.0
"""Relays do not claim younger rows, because the process that wrote such a row is about to send it."""
LONGEST_PAUSE_SECONDS = 60.0
MAX_ATTEMPTS = 10
"""After this many failures a row is set aside, provided that other rows of the same claim were sent."""
ERROR_LENGTH = 500

_CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id FROM realtime_outbox
    WHERE kind = %(kind)s AND sent_at IS NULL AND failed_at IS NULL
        AND (next_try_at IS NULL OR next_try_at <= statement_timestamp())
        AND (
            created_at <= statement_timestamp() - make_interval(secs => %(age)s)
            -- A time in the future is from another clock. How old the row is, nobody knows, so it is due.
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
    """Claim up to `BATCH` due rows of a kind that are at least `age_seconds` old. Return them, ordered by id.

    The rows that have waited longest are claimed first. With `statuses`, only records with one of these statuses are
    claimed. Raise DatabaseError if the database fails.
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
    """Mark these rows as sent, even if their claims have expired. Raise DatabaseError if the database fails."""
    if ids := [entry.pk for entry in entries]:
        OutboxEntry.objects.filter(pk__in=ids, sent_at=None).update(sent_at=Now())


def give_back(entries: Iterable[OutboxEntry], *, seconds: float = 0.0) -> None:
    """End the claims of unsent rows without counting a failure. The rows are due again after `seconds`."""
    rows = list(entries)
    for until in {entry.next_try_at for entry in rows}:
        ids = [entry.pk for entry in rows if entry.next_try_at == until]
        claimed = OutboxEntry.objects.filter(pk__in=ids, sent_at=None, next_try_at=until)
        claimed.update(next_try_at=Now() + timedelta(seconds=seconds))


def note_failure(entry: OutboxEntry, error: str, *, may_set_aside: bool) -> None:
    """Store the error of a failed try in its row. The row is due again after a pause, which grows with each failure.

    But with `may_set_aside`, a row that has failed `MAX_ATTEMPTS` times is set aside.
    """
    attempts = entry.attempts + 1
    if may_set_aside and attempts >= MAX_ATTEMPTS:
        set_aside(entry, error)
        return
    pause = min(LONGEST_PAUSE_SECONDS, 2.0 ** min(attempts, 10))
    _claimed(entry).update(attempts=attempts, error=error[:ERROR_LENGTH], next_try_at=Now() + timedelta(seconds=pause))


def set_aside(entry: OutboxEntry, error: str) -> None:
    """Set this row aside, because it can never be sent as it is. Only an operator can have it sent again."""
    _claimed(entry).update(attempts=F("attempts") + 1, error=error[:ERROR_LENGTH], failed_at=Now())


def _claimed(entry: OutboxEntry) -> QuerySet[OutboxEntry]:
    """Return a query that finds this row, unless another process has claimed or sent the row in the meantime."""
    return OutboxEntry.objects.filter(pk=entry.pk, sent_at=None, next_try_at=entry.next_try_at)


def set_aside_rows(tenant_id: int | None = None, kind: str | None = None) -> QuerySet[OutboxEntry]:
    """Return the rows that were set aside, the latest first. `tenant_id` and `kind` are optional filters."""
    rows = OutboxEntry.objects.filter(failed_at__isnull=False, sent_at=None)
    if tenant_id is not None:
        rows = rows.filter(tenant_id=tenant_id)
    if kind is not None:
        rows = rows.filter(kind=kind)
    return rows.order_by("-failed_at", "-pk")


def send_again(rows: QuerySet[OutboxEntry]) -> int:
    """Make these rows due again, as if they were new. Return their number."""
    return rows.order_by().update(failed_at=None, next_try_at=None, attempts=0, error="")
