"""Revocation: a session that ends, or an account that changes, ends what was permitted before.

A mark says from when on whose older tickets and tokens count for nothing; that of a session needs no comparing of
times, since a session that has ended never comes back. It is written into Redis, where each authenticated request
looks, and told to every process in the same step; a process that was not told finds it when it probes Redis. What Redis
does not take is in `realtime.connect.unwritten`.
"""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import orjson
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from realtime.connect.marks import KEPT_SECONDS, TENANT, Issued, Marks, session_subject, subjects_of, user_subject
from realtime.connect.unwritten import UnwrittenMarks
from realtime.records import scripts
from realtime.records.batches import Call, run_script
from realtime.records.errors import BadRecordError, RevokedError, WritesRefusedError
from realtime.records.keys import Keys
from realtime.records.metrics import counting_refusals
from realtime.redis.clock import clock
from realtime.redis.refused_writes import refusal, sentence

__all__ = [
    "KEPT_SECONDS",
    "TENANT",
    "Issued",
    "Marks",
    "Revocations",
    "Told",
    "parse_told",
    "session_subject",
    "subjects_of",
    "user_subject",
]

ENDED = "The session was ended, or the account changed: sign in again."


@dataclass(frozen=True, slots=True)
class Told:
    """What all processes are told of a revocation. `written`: Redis holds the mark."""

    tenant_id: int
    subject: str
    at: float
    written: bool

    def message(self) -> bytes:
        return orjson.dumps([self.tenant_id, self.subject, self.at, self.written])


def parse_told(message: bytes) -> Told:
    """Raises BadRecordError."""
    try:
        tenant_id, subject, at, written = orjson.loads(message)
        return Told(int(tenant_id), str(subject), float(at), bool(written))
    except (ValueError, TypeError):
        raise BadRecordError(f"This tells of no revocation: {message[:80]!r}.") from None


class Revocations:
    """The marks in Redis, for synchronous code, and those that Redis does not take."""

    def __init__(self, redis: Redis, *, key_prefix: str = "", unwritten: UnwrittenMarks | None = None) -> None:
        self._redis = redis
        self._keys = Keys(key_prefix)
        self._record = redis.register_script(scripts.source("revoke"))
        self.unwritten = unwritten or UnwrittenMarks(redis, key_prefix=key_prefix)

    def add(self, tenant_id: int, subject: str, at: float) -> None:
        """Marks a subject as revoked at a time, in Unix milliseconds, and tells all processes.

        Raises WritesRefusedError where Redis takes no writes: all processes were told, but the mark is still to be
        written. Raises RedisError for anything else: nobody may have been told then.
        """
        told = Told(tenant_id, subject, at, written=True)
        try:
            with counting_refusals():
                self._record(*self._call(told, told.message()))
        except ResponseError as problem:
            if refusal(problem) is None:
                raise
            self.unwritten.add(tenant_id, subject, at)
            self.unwritten.refused(problem)
            said = sentence(problem)
        else:
            self.unwritten.drop(tenant_id, subject, at)
            return
        self._redis.publish(self._keys.revocations(), Told(tenant_id, subject, at, written=False).message())
        raise WritesRefusedError(f"Redis takes no writes: {said}.")

    def add_all(self, marks: Iterable[tuple[int, str, float]]) -> None:
        """Writes several marks (tenant, subject, time), and tells nobody. Raises RedisError."""
        run_script(self._redis, "revoke", (self._call(Told(*mark, written=True), b"") for mark in marks))

    def now(self) -> float:
        """Unix milliseconds, by the clock that judges marks. A process that has never heard Redis asks it first."""
        if not clock.synchronized:
            asked_at = time.monotonic()
            with suppress(RedisError, OSError):
                clock.synchronize_with_answer(self._redis.time(), asked_at)
        return 1000 * clock.now()

    def check(self, issued: Issued) -> None:
        """Raises RevokedError, or RedisError where the marks cannot be read: never a pass."""
        self.unwritten.look()
        subjects = subjects_of(issued)
        scores = self._redis.zmscore(self._keys.revoked(issued.tenant_id), subjects)
        marks = Marks({subject: at for subject, at in zip(subjects, scores, strict=True) if at is not None})
        if marks.concern(issued) or self.unwritten.concern(issued):
            raise RevokedError(ENDED)

    def hear(self, message: bytes) -> Told:
        """Takes in what another process told. Raises BadRecordError."""
        told = parse_told(message)
        if told.written:
            self.unwritten.drop(told.tenant_id, told.subject, told.at)
        else:
            self.unwritten.add(told.tenant_id, told.subject, told.at)
        return told

    def _call(self, told: Told, message: bytes) -> Call:
        oldest = 1000 * (clock.now() - KEPT_SECONDS)
        return [self._keys.revoked(told.tenant_id)], [
            told.subject,
            told.at,
            oldest,
            self._keys.revocations(),
            message,
            1000 * KEPT_SECONDS,
        ]
