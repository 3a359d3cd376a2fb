"""Writes messages in the same transaction as the data that they are about, and sends them after the commit.

A row of the outbox is written with the caller's own rows. After the commit the same process sends the row. If the
process has crashed, or Redis or a queue is down, the relay sends the row later. So no message is lost.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import structlog
from django.db import transaction
from django.db.models import DurationField, ExpressionWrapper, F, Q, QuerySet
from django.db.models.functions import Now

from realtime import conf
from realtime.models import OutboxEntry
from realtime.outbox.after_commit import run_after_commit
from realtime.records.json_text import json_text
from realtime.records.record import Draft, draft_record

log = structlog.get_logger(__name__)

RECORD = "record"
PAGE_ROWS = 200


def publish_status_on_commit(
    *,
    tenant_id: int,
    topic: str,
    attempt: int,
    status: str,
    data: Mapping[str, Any] | None = None,
    error: Mapping[str, Any] | None = None,
) -> None:
    """Publish a status once the current transaction is committed. A committed status is never lost.

    Call this inside `atomic()`, beside the write that sets the status. If the topic or the record is not valid, raise
    BadTopicError or BadRecordError at once. Raise RuntimeError outside a transaction.
    """
    fields: dict[str, Any] = {
        "topic": topic,
        "attempt": attempt,
        "status": status,
        "data": data or {},
        "error": error or None,
    }
    draft = draft_record(**fields, published_at=0)  # the time comes from the database, not from this host's clock
    # Convert `data` and `error` to plain JSON, as `draft_record` does: a row can hold neither dates nor NUL characters.
    plain = orjson.loads(json_text({"data": fields["data"], "error": fields["error"]}))
    send_on_commit(RECORD, tenant_id, fields | plain | {"attempt": draft.attempt, "status": draft.status.value})


def send_on_commit(
    kind: str,
    tenant_id: int,
    payload: dict[str, Any],
    *,
    after_commit: Callable[[OutboxEntry], None] | None = None,
) -> None:
    """Send a payload once the current transaction is committed.

    `kind` is `RECORD`, or names a sender of `REALTIME_OUTBOX_SENDERS`. After the commit, `after_commit` is called with
    the row. It has to send the row, and to mark the row as sent. The default does both. The relay sends each row that
    is not marked. Raise RuntimeError outside a transaction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError(
            "Call this inside atomic(), beside the write that it tells of: else a crash may lose either."
        )
    entry = new_entry(kind, tenant_id, payload)
    run_after_commit(after_commit or _send_after_commit, entry)


def new_entry(kind: str, tenant_id: int, payload: dict[str, Any]) -> OutboxEntry:
    """Write a row that has to be sent, and return it. The relay sends the row if no other process does."""
    return OutboxEntry.objects.create(kind=kind, tenant_id=tenant_id, payload=payload)


def unsent(kind: str) -> QuerySet[OutboxEntry]:
    """Return the rows of a kind that were not sent, including those that were set aside."""
    return OutboxEntry.objects.filter(kind=kind, sent_at=None)


def sent_in_last(kind: str, age: timedelta) -> QuerySet[OutboxEntry]:
    """Return the rows of a kind that were sent within this time."""
    return OutboxEntry.objects.filter(kind=kind, sent_at__gt=Now() - age)


def entries_of_last(kind: str, age: timedelta) -> QuerySet[OutboxEntry]:
    """Return the rows of a kind that were sent within this time, or were written within this time and not sent yet."""
    since = Now() - age
    written = Q(sent_at=None, created_at__gt=since)
    return OutboxEntry.objects.filter(Q(sent_at__gt=since) | written, kind=kind)


def send(entry: OutboxEntry) -> None:
    """Send one row. Raise what its sender raises: for a record, RedisError or an error of `draft_of`.

    Accepted, duplicate and rejected records all count as sent: Redis has that state, or a newer one.
    """
    if entry.kind == RECORD:
        conf.publisher().publish(entry.tenant_id, draft_of(entry))
    else:
        conf.outbox_sender(entry.kind)(entry.payload)


def draft_of(entry: OutboxEntry) -> Draft:
    """Return the record of a row of the kind `RECORD`.

    Raise BadTopicError, BadRecordError or TypeError if the row's payload is not a valid record.
    """
    return draft_record(**{"published_at": entry.created_at.timestamp(), **entry.payload})


def _send_after_commit(entry: OutboxEntry) -> None:
    give_back_pooled_connection()
    try:
        send(entry)
    except Exception as problem:  # noqa: BLE001 - the relay tries again after any error
        log.warning("outbox_left_to_relay", kind=entry.kind, tenant=entry.tenant_id, error=str(problem))
    else:
        OutboxEntry.objects.filter(pk=entry.pk).update(sent_at=Now())  # if this fails, the relay sends it once more


def bound_statements() -> None:
    """On PostgreSQL, set two limits for the current transaction. On other databases, do nothing.

    PostgreSQL cancels a statement that takes more than 1 second. If the process pauses for more than 5 seconds between
    two statements, PostgreSQL ends the transaction, which releases its locks.
    """
    connection = transaction.get_connection()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 1000; SET LOCAL idle_in_transaction_session_timeout = 5000")


def in_pages(rows: QuerySet[OutboxEntry]) -> Iterator[list[OutboxEntry]]:
    """Yield the rows in lists, ordered by id. Each list is read by its own statement, so no cursor stays open."""
    last = 0
    while page := list(rows.filter(pk__gt=last).order_by("pk")[:PAGE_ROWS]):
        yield page
        last = page[-1].pk


def give_back_pooled_connection() -> None:
    """Give this thread's database connection back to its pool. Call this before a step that may be slow.

    Do nothing inside a transaction, or if each thread keeps its connection (`CONN_MAX_AGE` is not 0).
    """
    connection = transaction.get_connection()
    if connection.settings_dict["CONN_MAX_AGE"] == 0 and not connection.in_atomic_block:
        connection.close()


@dataclass(frozen=True, slots=True)
class Waiting:
    """The age of the oldest row that has to be sent (0 if there is none), and the number of rows set aside."""

    oldest_seconds: float
    set_aside: int


def waiting() -> Waiting:
    """Return the age of the oldest row that is neither sent nor set aside, and the number of rows set aside.

    The age is by the database's clock. On PostgreSQL each of the two queries takes at most a second. Raise
    DatabaseError if the database fails.
    """
    with transaction.atomic():
        bound_statements()
        unsent_rows = OutboxEntry.objects.filter(sent_at=None)
        age = ExpressionWrapper(Now() - F("created_at"), output_field=DurationField())
        ages = unsent_rows.filter(failed_at=None).order_by("id").values_list(age, flat=True)
        oldest = ages.first()
        aside = unsent_rows.filter(failed_at__isnull=False).count()
    return Waiting(max(0.0, oldest.total_seconds()) if oldest else 0.0, aside)


def is_written() -> bool:
    """Return whether the outbox has any row except the doctor's.

    Sent rows are kept for a day. Raise DatabaseError if the database fails.
    """
    return OutboxEntry.objects.filter(tenant_id__gt=0).exists()


def seconds_until_relayed(tenant_id: int, fields: dict[str, Any], patience_seconds: float) -> float | None:
    """Write a row without sending it, as if this process had died after the commit.

    Return the seconds until a relay sent the row, or None if no relay sent it within `patience_seconds`. The row is
    deleted afterwards. Raise DatabaseError if the database fails.
    """
    entry = OutboxEntry.objects.create(kind=RECORD, tenant_id=tenant_id, payload=fields)
    row = OutboxEntry.objects.filter(pk=entry.pk)
    row.update(created_at=Now() - timedelta(seconds=5))
    started = time.monotonic()
    try:
        while (seconds := time.monotonic() - started) < patience_seconds:
            if row.filter(sent_at__isnull=False).exists():
                return seconds
            time.sleep(0.1)
        return None
    finally:
        row.delete()
