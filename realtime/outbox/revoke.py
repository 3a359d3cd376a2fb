"""Revoking, for the project's own code: a logout, a changed role, a removed membership, a suspended tenant."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import structlog
from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from redis import Redis
from redis.exceptions import RedisError

from realtime import conf
from realtime.connect.marks import KEPT_SECONDS, TENANT, session_subject, user_subject
from realtime.connect.revocation import Revocations
from realtime.connect.unwritten import CommittedMark
from realtime.models import OutboxEntry
from realtime.outbox.outbox import (
    bound_statements,
    entries_of_last,
    give_back_pooled_connection,
    in_pages,
    new_entry,
    send_on_commit,
    sent_in_last,
    unsent,
)
from realtime.records.errors import WritesRefusedError

log = structlog.get_logger(__name__)

REVOCATION = "revocation"
"""The kind of its outbox rows (`realtime.conf.outbox_senders`)."""

_NOTE_TIME = """
UPDATE realtime_outbox SET payload = payload || jsonb_build_object('at', %s::double precision)
WHERE id = ANY(%s) AND jsonb_typeof(payload) = 'object' AND NOT payload ? 'at'
"""

_bad_rows: set[int] = set()
"""Rows of which this process has said that they are no revocation; it reads them once a second."""

untold: ContextVar[list[str] | None] = ContextVar("untold", default=None)
"""Of the request that this context serves: revocations that were committed, and that no process could be told of."""


def revoke_on_commit(tenant_id: int, *, user_id: int | None = None, session_id: str | None = None) -> None:
    """Ends a session, or all that a user has, or (with neither) all of a tenant, once the transaction is committed.

    Connections end within a second, tokens and tickets with their next use, also while Redis takes no writes. Call it
    inside `atomic()`, beside the write that it tells of: like a record it leaves through the outbox, and is not lost
    with a Redis that is away or emptied. Where Redis cannot be reached, `realtime.web.middleware` answers 503.
    """
    send_on_commit(REVOCATION, tenant_id, _payload(tenant_id, user_id, session_id), after_commit=_tell)


def revoke(tenant_id: int, *, user_id: int | None = None, session_id: str | None = None) -> None:
    """The same at once, where no transaction is concerned, and the sign-ins too (`REALTIME_END_SESSIONS`).

    Raises RedisError where no process could be told; the relay then tells it as soon as Redis can be reached, unless
    the database cannot be written either.
    """
    payload = _payload(tenant_id, user_id, session_id)
    try:
        with transaction.atomic():
            entry = new_entry(REVOCATION, tenant_id, payload)
    except DatabaseError as problem:
        # Without a row only Redis can hold it: then it has to be written there.
        log.warning("revocation_not_kept", tenant=tenant_id, error=str(problem).strip())
        send_revocation(payload)
        if conf.session_ender() is not None:
            raise  # the sign-ins go on
        return
    failure = _send_and_note(entry)
    if (end_sessions := conf.session_ender()) is not None:
        end_sessions(tenant_id, user_id, session_id)
        entry.payload = payload  # with a later time, for whoever refreshed a token in between
        failure = _send_and_note(entry)
    if failure is not None:
        raise failure


def send_revocation(payload: dict[str, Any]) -> None:
    """Records the mark, and tells all processes in the same step. Raises RedisError where it could not be recorded.

    The time is that of the first sending, after the commit: whoever read before the commit what it changed read it
    before. One that is written late keeps it, so that it does not end who has signed in since.
    """
    at = float(payload.get("at") or conf.revocations().now())
    conf.revocations().add(int(payload["tenant"]), str(payload["subject"]), at)


def _payload(tenant_id: int, user_id: int | None, session_id: str | None) -> dict[str, Any]:
    subject = session_subject(session_id) if session_id else user_subject(user_id) if user_id is not None else TENANT
    return {"tenant": tenant_id, "subject": subject}


def _with_time(payload: dict[str, Any]) -> dict[str, Any]:
    return payload if "at" in payload else {**payload, "at": conf.revocations().now()}


def _tell(entry: OutboxEntry) -> None:
    """Runs after the commit. Never raises for Redis: the request that revoked is told by `realtime.web.middleware`."""
    if (failure := _send_and_note(entry)) is not None:
        log.warning("revocation_not_told", tenant=entry.tenant_id, error=str(failure))
        waiting = untold.get()
        if waiting is not None:
            waiting.append(str(entry.payload["subject"]))


def _send_and_note(entry: OutboxEntry) -> RedisError | OSError | None:
    """Sends a committed revocation, and notes its time. What kept every process from being told, if anything did."""
    entry.payload, sent = _with_time(entry.payload), False
    failure: RedisError | OSError | None = None
    give_back_pooled_connection()  # Redis may be slow
    try:
        send_revocation(entry.payload)
    except WritesRefusedError as problem:
        # All processes were told, and read it from the database. The relay writes the mark later.
        log.warning("revocation_not_written", tenant=entry.tenant_id, error=str(problem))
    except (RedisError, OSError) as problem:
        failure = problem
    else:
        sent = True
    try:
        OutboxEntry.objects.filter(pk=entry.pk).update(payload=entry.payload, sent_at=Now() if sent else None)
    except DatabaseError as problem:
        log.warning("revocation_not_noted", tenant=entry.tenant_id, error=str(problem).strip())  # the relay sends again
    return failure


def note_times(entries: Iterable[OutboxEntry]) -> None:
    """Gives revocations without a time the present one. They keep it however late they are written into Redis.

    The first process that acts on a revocation has to note its time: a later time would also end who has signed in
    again meanwhile. One statement does it, so that whoever comes second finds the time of the first.
    """
    new = {entry.pk: entry for entry in entries if isinstance(entry.payload, dict) and "at" not in entry.payload}
    if not new:
        return
    with transaction.get_connection().cursor() as cursor:
        cursor.execute(_NOTE_TIME, [conf.revocations().now(), list(new)])
    for pk, payload in OutboxEntry.objects.filter(pk__in=new).values_list("pk", "payload"):
        new[pk].payload = payload


def restore_marks(
    redis: Redis,
    *,
    key_prefix: str = "",
    between: Callable[[], object] = lambda: None,
    rows: QuerySet[OutboxEntry] | None = None,
) -> int:
    """Records the marks of all revocations that still end something, for a Redis that lost them; their number.

    `rows`: only of these, instead of all that are still valid.

    Tells no process: connections were ended when they were revoked, or are with the next probe. Raises RedisError.
    `between` is called between two steps.
    """
    revocations, restored = Revocations(redis, key_prefix=key_prefix), 0
    for page in in_pages(still_valid() if rows is None else rows):
        now = conf.revocations().now()
        marks = [(mark.tenant_id, mark.subject, mark.at or now) for mark in _marks(page)]
        revocations.add_all(marks)
        restored += len(marks)
        between()
    return restored


def committed_marks(seconds: float) -> list[CommittedMark]:
    """The marks that are still to be written into Redis, and those that were written in the last seconds.

    Raises DatabaseError, soon (`realtime.connect.unwritten.Committed`).
    """
    rows = unsent(REVOCATION)
    if seconds >= KEPT_SECONDS:
        rows = still_valid()
    elif seconds > 0:
        rows = unsent(REVOCATION).union(sent_in_last(REVOCATION, timedelta(seconds=seconds)), all=True)
    with transaction.atomic():
        bound_statements()
        _note_times_of_new_rows()
        return list(_marks(rows))


def _note_times_of_new_rows() -> None:
    """Notes the time of rows that a trigger or SQL wrote. A database that takes no writes is still read."""
    with suppress(DatabaseError), transaction.atomic():
        note_times(unsent(REVOCATION).exclude(payload__has_key="at"))


def still_valid() -> QuerySet[OutboxEntry]:
    """The rows of revocations that may still end something."""
    return entries_of_last(REVOCATION, timedelta(seconds=KEPT_SECONDS))


def _marks(entries: Iterable[OutboxEntry]) -> Iterable[CommittedMark]:
    """The marks of these rows. One that is no mark, written by hand, is passed over: it must not hide all others."""
    for entry in entries:
        try:
            yield _mark_of(entry)
        except (TypeError, ValueError, KeyError) as problem:
            if entry.pk not in _bad_rows:
                _bad_rows.add(entry.pk)
                log.warning("revocation_row_bad", id=entry.pk, tenant=entry.tenant_id, error=str(problem))


def _mark_of(entry: OutboxEntry) -> CommittedMark:
    """Raises TypeError, ValueError or KeyError for a row that is none."""
    if not isinstance(entry.payload, dict):
        raise TypeError(f"The payload is no object: {str(entry.payload)[:80]}.")
    at = entry.payload.get("at") or (entry.sent_at.timestamp() * 1000 if entry.sent_at else None)
    return CommittedMark(
        id=entry.pk,
        tenant_id=entry.tenant_id,
        subject=str(entry.payload["subject"]),
        at=None if at is None else float(at),
        written=entry.sent_at is not None,
    )
