"""What a transaction makes true is said in the same transaction, and sent after its commit: certainly, if not at once.

A row of the outbox is written with the caller's own rows. After the commit the process sends it itself; what it leaves
behind (a crash, a Redis or a queue that is down) the relay sends.
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


def publish_status_on_commit(
    *,
    tenant_id: int,
    topic: str,
    attempt: int,
    status: str,
    data: Mapping[str, Any] | None = None,
    error: Mapping[str, Any] | None = None,
) -> None:
    """Publishes a state that the current transaction makes true, once it is committed. Never lost after that.

    Call it inside `atomic()`, beside the write that it tells of. Raises BadTopicError or BadRecordError at once.
    """
    fields: dict[str, Any] = {
        "topic": topic,
        "attempt": attempt,
        "status": status,
        "data": data or {},
        "error": error or None,
    }
    draft = draft_record(**fields, published_at=0)  # the database says when, not the clock of this host
    # What the draft was made of, as its JSON says it: a row holds neither dates nor NUL.
    plain = orjson.loads(json_text({"data": fields["data"], "error": fields["error"]}))
    send_on_commit(RECORD, tenant_id, fields | plain | {"attempt": draft.attempt, "status": draft.status.value})


def send_on_commit(
    kind: str,
    tenant_id: int,
    payload: dict[str, Any],
    *,
    after_commit: Callable[[OutboxEntry], None] | None = None,
) -> None:
    """Sends something once the current transaction is committed; `kind` names a sender of `REALTIME_OUTBOX_SENDERS`.

    `after_commit` sends the row in this process, and notes that it was sent; the default calls the sender.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError(
            "Call this inside atomic(), beside the write that it tells of: else a crash may lose either."
        )
    entry = new_entry(kind, tenant_id, payload)
    run_after_commit(after_commit or _send_after_commit, entry)


def new_entry(kind: str, tenant_id: int, payload: dict[str, Any]) -> OutboxEntry:
    """A row that is still to be sent; the relay does so if nobody else does."""
    return OutboxEntry.objects.create(kind=kind, tenant_id=tenant_id, payload=payload)


def unsent(kind: str) -> QuerySet[OutboxEntry]:
    """The rows of a kind that are still to be sent."""
    return OutboxEntry.objects.filter(kind=kind, sent_at=None)


def sent_in_last(kind: str, age: timedelta) -> QuerySet[OutboxEntry]:
    """The rows of a kind that were sent within this time."""
    return OutboxEntry.objects.filter(kind=kind, sent_at__gt=Now() - age)


def entries_of_last(kind: str, age: timedelta) -> QuerySet[OutboxEntry]:
    """The rows of a kind that were sent within this time, or written within it and not sent."""
    since = Now() - age
    written = Q(sent_at=None, created_at__gt=since)
    return OutboxEntry.objects.filter(Q(sent_at__gt=since) | written, kind=kind)


def send(entry: OutboxEntry) -> None:
    """Sends one row. Raises what its way raises: RedisError for a record.

    Accepted, duplicate and rejected all count as sent: Redis knows that state, or a newer one.
    """
    if entry.kind == RECORD:
        conf.publisher().publish(entry.tenant_id, draft_of(entry))
    else:
        conf.outbox_sender(entry.kind)(entry.payload)


def draft_of(entry: OutboxEntry) -> Draft:
    """The record of a row of the kind `RECORD`. Raises BadTopicError, BadRecordError, TypeError for a bad row."""
    return draft_record(**{"published_at": entry.created_at.timestamp(), **entry.payload})


def _send_after_commit(entry: OutboxEntry) -> None:
    give_back_pooled_connection()
    try:
        send(entry)
    except Exception as problem:  # noqa: BLE001 - whatever it was, the relay tries again
        log.warning("outbox_left_to_relay", kind=entry.kind, tenant=entry.tenant_id, error=str(problem))
    else:
        OutboxEntry.objects.filter(pk=entry.pk).update(sent_at=Now())  # if this fails, the relay sends it once more


def bound_statements() -> None:
    """Lets no statement of the current transaction take longer than a second, where the database can be told so.

    A process that freezes in this transaction loses it soon, with its locks.
    """
    connection = transaction.get_connection()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 1000; SET LOCAL idle_in_transaction_session_timeout = 5000")


def in_pages(rows: QuerySet[OutboxEntry], size: int = 200) -> Iterator[list[OutboxEntry]]:
    """The rows in lists, by their ids. Each list is read by a statement of its own: nothing stays open in between."""
    last = 0
    while page := list(rows.filter(pk__gt=last).order_by("pk")[:size]):
        yield page
        last = page[-1].pk


def give_back_pooled_connection() -> None:
    """Give this thread's connection back to its pool before something that may be slow.

    A connection that the thread keeps to itself (`CONN_MAX_AGE`) stays.
    """
    connection = transaction.get_connection()
    if connection.settings_dict["CONN_MAX_AGE"] == 0 and not connection.in_atomic_block:
        connection.close()


@dataclass(frozen=True, slots=True)
class Waiting:
    """The age of the oldest row that is still to be sent, 0 without one; and how many rows were set aside."""

    oldest_seconds: float
    set_aside: int


def waiting() -> Waiting:
    """How the outbox stands, by the clock of the database. Raises DatabaseError, within a second."""
    with transaction.atomic():
        bound_statements()
        unsent_rows = OutboxEntry.objects.filter(sent_at=None)
        age = ExpressionWrapper(Now() - F("created_at"), output_field=DurationField())
        ages = unsent_rows.filter(failed_at=None).order_by("id").values_list(age, flat=True)
        oldest = ages.first()
        aside = unsent_rows.filter(failed_at__isnull=False).count()
    return Waiting(max(0.0, oldest.total_seconds()) if oldest else 0.0, aside)


def is_written() -> bool:
    """Whether the project has written to the outbox within a day, for which rows are kept. Raises DatabaseError."""
    return OutboxEntry.objects.filter(tenant_id__gt=0).exists()


def seconds_until_relayed(tenant_id: int, fields: dict[str, Any], patience_seconds: float) -> float | None:
    """Leaves a record behind as a process does that dies after its commit; how long it took the relay to send it.

    None if no relay did. The row is gone afterwards. Raises DatabaseError.
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
