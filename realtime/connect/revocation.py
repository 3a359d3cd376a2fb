"""Revocation: when a session ends or an account changes, earlier tickets and tokens become invalid.

A mark names a subject and a time: tickets and tokens that were issued to the subject up to that time are invalid. For
a session the time does not matter, because a session that has ended never begins again. A mark is written to Redis,
where each authenticated request checks for it, and published to every process in the same step. A process that missed
the message finds the mark when it probes Redis. `realtime.connect.unwritten_revocations` keeps the marks that Redis
refuses.
"""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import orjson
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from realtime.connect.revocation_marks import (
    KEPT_SECONDS,
    TENANT,
    Issued,
    Marks,
    session_subject,
    subjects_of,
    user_subject,
)
from realtime.connect.unwritten_revocations import UnwrittenMarks
from realtime.records import scripts
from realtime.records.errors import BadRecordError, RevokedError, WritesRefusedError
from realtime.records.keys import Keys
from realtime.records.metrics import counting_refusals
from realtime.records.script_batches import Call, run_script
from realtime.redis.clock import clock
from realtime.redis.refused_writes import refusal, sentence

__all__ = [
    "KEPT_SECONDS",
    "TENANT",
    "Issued",
    "Marks",
    "RevocationMessage",
    "Revocations",
    "parse_revocation",
    "session_subject",
    "subjects_of",
    "user_subject",
]

ENDED = "The session was ended, or the account changed: sign in again."


@dataclass(frozen=True, slots=True)
class RevocationMessage:
    """The message to all processes about a revocation. `written` says whether Redis has the mark."""

    tenant_id: int
    subject: str
    at: float
    written: bool

    def to_bytes(self) -> bytes:
        return orjson.dumps([self.tenant_id, self.subject, self.at, self.written])


def parse_revocation(message: bytes) -> RevocationMessage:
    """Parse a message about a revocation. Raise BadRecordError if it is not valid."""
    try:
        tenant_id, subject, at, written = orjson.loads(message)
        return RevocationMessage(int(tenant_id), str(subject), float(at), bool(written))
    except (ValueError, TypeError):
        raise BadRecordError(f"This is not the message of a revocation: {message[:80]!r}.") from None


class Revocations:
    """The marks in Redis, and those that Redis refuses. For synchronous code."""

    def __init__(self, redis: Redis, *, key_prefix: str = "", unwritten: UnwrittenMarks | None = None) -> None:
        self._redis = redis
        self._keys = Keys(key_prefix)
        self._record = redis.register_script(scripts.source("revoke"))
        self.unwritten = unwritten or UnwrittenMarks(redis, key_prefix=key_prefix)

    def add(self, tenant_id: int, subject: str, at: float) -> None:
        """Mark a subject as revoked at a time, in Unix milliseconds, and publish that to all processes.

        Raise WritesRefusedError if Redis refuses writes: all processes were informed, but the mark still has to be
        written. Raise RedisError for any other failure: perhaps no process was informed.
        """
        message = RevocationMessage(tenant_id, subject, at, written=True)
        try:
            with counting_refusals():
                self._record(*self._call(message, message.to_bytes()))
        except ResponseError as problem:
            if refusal(problem) is None:
                raise
            self.unwritten.add(tenant_id, subject, at)
            self.unwritten.refused(problem)
            reason = sentence(problem)
        else:
            self.unwritten.drop(tenant_id, subject, at)
            return
        unwritten = RevocationMessage(tenant_id, subject, at, written=False)
        self._redis.publish(self._keys.revocations(), unwritten.to_bytes())
        raise WritesRefusedError(f"Redis refuses writes: {reason}.")

    def add_all(self, marks: Iterable[tuple[int, str, float]]) -> None:
        """Write several marks (tenant, subject, time) without publishing them. Raise RedisError if that fails."""
        run_script(self._redis, "revoke", (self._call(RevocationMessage(*mark, written=True), b"") for mark in marks))

    def now(self) -> float:
        """Return the time by the clock that all processes share (`realtime.redis.clock`), in Unix milliseconds.

        If this process has not got the time from Redis yet, ask Redis first. If Redis does not answer, return the time
        of this host.
        """
        if not clock.synchronized:
            asked_at = time.monotonic()
            with suppress(RedisError, OSError):
                clock.synchronize_with_answer(self._redis.time(), asked_at)
        return 1000 * clock.now()

    def check(self, issued: Issued) -> None:
        """Raise RevokedError if a mark revokes this ticket or token. Raise RedisError if the marks cannot be read."""
        self.unwritten.look()
        subjects = subjects_of(issued)
        scores = self._redis.zmscore(self._keys.revoked(issued.tenant_id), subjects)
        marks = Marks({subject: at for subject, at in zip(subjects, scores, strict=True) if at is not None})
        if marks.concern(issued) or self.unwritten.concern(issued):
            raise RevokedError(ENDED)

    def receive(self, message: bytes) -> RevocationMessage:
        """Parse and return a published revocation. Raise BadRecordError if it is not valid.

        If the message says that Redis has not stored the revocation, keep it in `unwritten`, in this process. Remove it
        when a later message says that Redis has stored it.
        """
        revoked = parse_revocation(message)
        if revoked.written:
            self.unwritten.drop(revoked.tenant_id, revoked.subject, revoked.at)
        else:
            self.unwritten.add(revoked.tenant_id, revoked.subject, revoked.at)
        return revoked

    def _call(self, revoked: RevocationMessage, message: bytes) -> Call:
        oldest = 1000 * (clock.now() - KEPT_SECONDS)
        return [self._keys.revoked(revoked.tenant_id)], [
            revoked.subject,
            revoked.at,
            oldest,
            self._keys.revocations(),
            message,
            1000 * KEPT_SECONDS,
        ]
