"""Revokes sessions, users and tenants.

The project's code calls this module when a user logs out, a role changes, a membership is removed, or a tenant is
suspended.
"""

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
from realtime.connect.revocation import Revocations
from realtime.connect.revocation_marks import KEPT_SECONDS, TENANT, session_subject, user_subject
from realtime.connect.unwritten_revocations import CommittedMark
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
"""The kind of the outbox rows of revocations (`realtime.conf.outbox_kinds`)."""

_NOTE_TIME = """
UPDATE realtime_outbox SET payload = payload || jsonb_build_object('at', %s::double precision)
WHERE id = ANY(%s) AND jsonb_typeof(payload) = 'object' AND NOT payload ? 'at'
"""

_bad_rows: set[int] = set()
"""The ids of rows that are not valid revocations. They may be read every second, but are logged only once."""

unannounced: ContextVar[list[str] | None] = ContextVar("unannounced", default=None)
"""The subjects that the present request has revoked, but whose revocation could not be announced to any process.

The value is None outside a request, and without `realtime.web.middleware`.
"""


def revoke_on_commit(tenant_id: int, *, user_id: int | None = None, session_id: str | None = None) -> None:
    """Revoke a session, everything of a user, or everything of the tenant, once the transaction is committed.

    Without `user_id` and `session_id`, everything of the tenant is revoked. Connections end within a second, and tokens
    and tickets are refused at their next use, even while Redis refuses writes.

    Call this inside `atomic()`, beside the write that is the reason for the revocation. The revocation goes through
    the outbox, so it is not lost if Redis is unreachable or emptied. If Redis cannot be reached, the revocation takes
    effect later, and the request is answered with 503 to say so (`realtime.web.middleware`).
    """
    send_on_commit(REVOCATION, tenant_id, _payload(tenant_id, user_id, session_id), after_commit=_announce)


def revoke(tenant_id: int, *, user_id: int | None = None, session_id: str | None = None) -> None:
    """Revoke as `revoke_on_commit` does, but at once, and end the project's own sessions.

    Call this outside a transaction. The project's function in `REALTIME_END_SESSIONS` ends the sessions.

    Raise RedisError if Redis did not accept the revocation, so that no process may know of it. If its row is in the
    database, the relay announces it as soon as Redis can be reached. Raise DatabaseError if the row could not be
    written: then the project's function is not called. Without such a function, only a RedisError is raised.
    """
    payload = _payload(tenant_id, user_id, session_id)
    try:
        with transaction.atomic():
            entry = new_entry(REVOCATION, tenant_id, payload)
    except DatabaseError as problem:
        # The row could not be written, so no relay will send the mark: it must be written to Redis now.
        log.warning("revocation_not_kept", tenant=tenant_id, error=str(problem).strip())
        send_revocation(payload)
        if conf.session_ender() is not None:
            raise  # the sessions were not ended
        return
    failure = _send_and_note(entry)
    if (end_sessions := conf.session_ender()) is not None:
        end_sessions(tenant_id, user_id, session_id)
        entry.payload = payload  # without a time: it gets a later one, because tokens may have been refreshed by now
        failure = _send_and_note(entry)
    if failure is not None:
        raise failure


def send_revocation(payload: dict[str, Any]) -> None:
    """Write the mark of a revocation and announce it to all processes, in one step. Raise RedisError if that failed.

    The mark has the time of the first try to send it, which is after the commit. If it is written later, it keeps
    that time, so that it does not end sessions of users who have signed in since.
    """
    at = float(payload.get("at") or conf.revocations().now())
    conf.revocations().add(int(payload["tenant"]), str(payload["subject"]), at)


def _payload(tenant_id: int, user_id: int | None, session_id: str | None) -> dict[str, Any]:
    subject = session_subject(session_id) if session_id else user_subject(user_id) if user_id is not None else TENANT
    return {"tenant": tenant_id, "subject": subject}


def _with_time(payload: dict[str, Any]) -> dict[str, Any]:
    return payload if "at" in payload else {**payload, "at": conf.revocations().now()}


def _announce(entry: OutboxEntry) -> None:
    """Send the revocation after the commit. Do not raise errors of Redis: `realtime.web.middleware` answers 503."""
    if (failure := _send_and_note(entry)) is not None:
        log.warning("revocation_not_told", tenant=entry.tenant_id, error=str(failure))
        waiting = unannounced.get()
        if waiting is not None:
            waiting.append(str(entry.payload["subject"]))


def _send_and_note(entry: OutboxEntry) -> RedisError | OSError | None:
    """Send a committed revocation. Store in its row the time of the revocation, and whether it was sent.

    Return the error if no process could be informed of the revocation, else None.
    """
    entry.payload, sent = _with_time(entry.payload), False
    failure: RedisError | OSError | None = None
    give_back_pooled_connection()  # Redis may be slow
    try:
        send_revocation(entry.payload)
    except WritesRefusedError as problem:
        # The mark was announced to all processes. These read it from the database until the relay writes it to Redis.
        log.warning("revocation_not_written", tenant=entry.tenant_id, error=str(problem))
    except (RedisError, OSError) as problem:
        failure = problem
    else:
        sent = True
    try:
        OutboxEntry.objects.filter(pk=entry.pk).update(payload=entry.payload, sent_at=Now() if sent else None)
    except DatabaseError as problem:
        # The relay sends the row once more.
        log.warning("revocation_not_noted", tenant=entry.tenant_id, error=str(problem).strip())
    return failure


def note_times(entries: Iterable[OutboxEntry]) -> None:
    """Store the present time in revocations that have none. They keep this time even if Redis gets them later.

    The first process that handles a revocation has to store the time: a later time would also end sessions of users who
    have signed in after the revocation. The SQL changes only rows without a time, so that no process replaces a time
    that another one has stored.
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
    """Write the marks of `rows` to a Redis that lost them. Return how many were written.

    The default for `rows` is `still_valid()`. `between` is called after each page of rows. Nothing is announced: the
    revoked connections have ended already, or will end at the next probe. Raise RedisError if Redis fails.
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
    """Return the marks that still have to be written to Redis, and those that were written in the last `seconds`.

    On PostgreSQL each statement takes at most a second. Raise DatabaseError if the database fails. The interface of
    this function is `realtime.connect.unwritten_revocations.Committed`.
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
    """Store the present time in rows that a trigger or SQL wrote without one. If that fails, do nothing."""
    with suppress(DatabaseError), transaction.atomic():
        note_times(unsent(REVOCATION).exclude(payload__has_key="at"))


def still_valid() -> QuerySet[OutboxEntry]:
    """Return the rows of revocations that may still concern a valid ticket or token."""
    return entries_of_last(REVOCATION, timedelta(seconds=KEPT_SECONDS))


def _marks(entries: Iterable[OutboxEntry]) -> Iterable[CommittedMark]:
    """Yield the marks of these rows. Skip each row that is not a valid revocation, and log it only the first time."""
    for entry in entries:
        try:
            yield _mark_of(entry)
        except (TypeError, ValueError, KeyError) as problem:
            if entry.pk not in _bad_rows:
                _bad_rows.add(entry.pk)
                log.warning("revocation_row_bad", id=entry.pk, tenant=entry.tenant_id, error=str(problem))


def _mark_of(entry: OutboxEntry) -> CommittedMark:
    """Return the mark of a row. Raise TypeError, ValueError or KeyError if the row is not a valid revocation."""
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
