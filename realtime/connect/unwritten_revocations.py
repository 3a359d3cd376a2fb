"""Keeps the revocation marks that may be missing in Redis, and checks whether Redis accepts writes.

A mark is valid once it is committed in the database. While Redis refuses marks, they are sent to all processes by
a plain `PUBLISH`, which Redis still accepts. In this time, each process also reads from the database, once a second,
the marks that are not in Redis yet. While Redis does not answer, `realtime.connect.link_health` reads the
database once a second for all code in the event loop. If the database cannot be read either, no ticket or token is
accepted.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError, ResponseError

from realtime.connect.revocation_marks import KEPT_SECONDS, Issued, LocalMarks
from realtime.records import scripts
from realtime.records.errors import MarksUnreadableError
from realtime.records.keys import Keys
from realtime.records.trial_write import try_write
from realtime.redis.clock import clock
from realtime.redis.refused_writes import OUT_OF_MEMORY, refusal, sentence

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
STALE_SECONDS = 3.0
"""A check older than this is not trusted to show whether Redis accepts writes."""
NOTE_SECONDS = 30
"""After a fault of Redis, processes also read revocations from the database for this time.

A note in Redis tells them to do so, and expires at the end of this time. Meanwhile the relay writes the marks that
Redis does not have.
"""


@dataclass(frozen=True, slots=True)
class CommittedMark:
    """A revocation in the outbox.

    `at` is the time of the revocation, in Unix milliseconds, or None while the row has no time yet. `written` says
    whether Redis has the mark.
    """

    id: int
    tenant_id: int
    subject: str
    at: float | None
    written: bool


Committed = Callable[[float], Iterable[CommittedMark]]
"""The argument is `seconds`. Returns the marks in the database that Redis does not have yet, and those that it has
received in the last `seconds`."""


class UnwrittenMarks:
    """The marks that, as far as this process knows, may be missing in Redis. Threads may share an instance."""

    def __init__(self, redis: Redis, committed: Committed | None = None, *, key_prefix: str = "") -> None:
        """Without `committed` no database is read, and marks are only as safe as the data in Redis."""
        self._redis = redis
        self._keys = Keys(key_prefix)
        self._committed = committed
        self._note = redis.register_script(scripts.source("set_note"))
        self._marks = LocalMarks()
        self._seen_at: dict[int, float] = {}
        self._looking, self._keeping = threading.Lock(), threading.Lock()
        self._looked_at = self._all_read_at = float("-inf")
        self._due = True
        self._unreadable = self._unanswered = False
        self.problem = ""
        """Why Redis refuses writes, in one sentence. Empty while it accepts them."""
        self.refuses_marks = False
        """Whether Redis refuses marks, too. A Redis at its memory limit still accepts marks."""

    @property
    def tenants(self) -> list[int]:
        """The ids of the tenants for which this process keeps marks."""
        return self._marks.tenants()

    @property
    def unreadable(self) -> str:
        """Why revocations may be missing (Redis refuses marks, and the database cannot be read). Otherwise ""."""
        stale = time.monotonic() - self._looked_at > STALE_SECONDS  # the database may hang
        if self.refuses_marks and (self._unreadable or stale):
            reason = "Revocations cannot be checked: the database cannot be read, and Redis refuses writes"
            return f"{reason} ({self.problem})."
        return ""

    def concern(self, issued: Issued) -> bool:
        """Return whether one of these marks revokes the ticket or token."""
        return self._marks.concern(issued)

    def add(self, tenant_id: int, subject: str, at: float) -> None:
        """Keep the mark of a revocation that could not be written to Redis."""
        self._marks.add(tenant_id, subject, at)

    def drop(self, tenant_id: int, subject: str, at: float) -> None:
        """Drop a mark that Redis has now."""
        self._marks.drop(tenant_id, subject, at)

    def refused(self, problem: ResponseError) -> None:
        """Store why Redis has just refused a mark, and let the next call of `look` check at once."""
        self._note_answer(problem)
        self._due = True

    def look(self, *, in_background: bool = False) -> None:
        """Check, at most once a second, whether Redis accepts writes.

        If another thread is checking, use the last result. Only if that is older than `STALE_SECONDS`, wait up to a
        second for the thread. If Redis refuses marks, or has just begun to answer again, also read the marks in the
        database. With `in_background`, also read them while Redis holds the note about a recent fault (`NOTE_SECONDS`).
        Requests do not pass this argument, because they should not wait for such a read.

        Raise RedisError if Redis cannot be reached. Raise MarksUnreadableError if Redis refuses marks and the database
        cannot be read, or if the last check is older than `STALE_SECONDS`.
        """
        age = time.monotonic() - self._looked_at
        due = self._due or age >= LOOK_SECONDS
        if due and self._looking.acquire(timeout=LOOK_SECONDS if age > STALE_SECONDS else 0):
            try:
                if self._due or time.monotonic() - self._looked_at >= LOOK_SECONDS:
                    self._look(in_background=in_background)
            finally:
                self._looking.release()
        if self.unreadable:
            raise MarksUnreadableError(self.unreadable)
        if time.monotonic() - self._looked_at > STALE_SECONDS:
            raise MarksUnreadableError("It is not known at the moment whether Redis accepts writes.")

    def _look(self, *, in_background: bool) -> None:
        started, self._due = time.monotonic(), False
        with self._redis.pipeline(transaction=False) as pipe:
            try_write(pipe, self._keys)
            pipe.exists(self._keys.unwritten())
            pipe.time()
            took, noted, clock_of_redis = self._execute(pipe)
        for answer in (took, noted):
            if isinstance(answer, Exception) and not isinstance(answer, ResponseError):
                raise answer
        if isinstance(clock_of_redis, tuple):
            clock.synchronize_with_answer(clock_of_redis, started)
        returned, self._unanswered = self._unanswered, False
        recovered = self.refuses_marks or returned
        self._note_answer(took if isinstance(took, ResponseError) else None)
        recovered = recovered and not self.refuses_marks
        if recovered:
            self._leave_note()
        # Read the database if it may have marks that Redis or this process lacks: while Redis refuses marks, when Redis
        # answers again, and (only in the background, so that no request waits) after a fault that any process noticed.
        if self.refuses_marks or returned or (in_background and (recovered or noted == 1)):
            self._read(everything=self.refuses_marks and started - self._all_read_at > KEPT_SECONDS / 10)
            self._unanswered = returned and self._unreadable  # if the read failed, the next call reads again
        if not self.refuses_marks:
            self._unreadable = False
            self._all_read_at = float("-inf")
        self._looked_at = time.monotonic() if self._unreadable else started  # a failed read may take long

    def _execute(self, pipe: Pipeline) -> list[Any]:
        try:
            return pipe.execute(raise_on_error=False)
        except (RedisError, OSError):
            self._unanswered = True
            raise

    def _note_answer(self, problem: ResponseError | None) -> None:
        reason = sentence(problem) if problem is not None else ""
        self.refuses_marks = problem is not None and refusal(problem) != OUT_OF_MEMORY
        if reason and not self.problem:
            log.error("redis_takes_no_writes", error=reason)
        elif self.problem and not reason:
            log.warning("redis_takes_writes_again")
        self.problem = reason

    def _read(self, *, everything: bool) -> None:
        """Read from the database the marks that Redis does not have yet, and keep them in memory.

        With `everything`, also read the marks that Redis has received in the last `KEPT_SECONDS`. Without it, leave a
        note if Redis accepts marks but still lacks some. Afterwards `_unreadable` says whether the read failed.
        """
        if self._committed is None:
            return
        try:
            all_written = self._keep(self._committed, KEPT_SECONDS if everything else 0)
        except Exception as problem:  # noqa: BLE001 - drivers and pools raise various errors
            if not self._unreadable:
                log.warning("marks_not_readable", error=str(problem).strip())
            self._unreadable = True
            return
        self._unreadable = False
        if everything:
            self._all_read_at = time.monotonic()
        elif not self.refuses_marks and not all_written:
            self._leave_note()

    def read_committed(self, seconds: float) -> None:
        """Keep in memory the marks in the database that Redis lacks, or that it has received in the last `seconds`.

        Redis is not used. Raise MarksUnreadableError if the database cannot be read, or if there is none.
        """
        if self._committed is None:
            raise MarksUnreadableError("Revocations cannot be checked: Redis does not answer.")
        try:
            self._keep(self._committed, min(seconds, KEPT_SECONDS))
        except Exception as problem:
            reason = "Revocations cannot be checked: the database cannot be read, and Redis does not answer"
            raise MarksUnreadableError(f"{reason} ({str(problem).strip()}).") from problem

    def _keep(self, committed: Committed, seconds: float) -> bool:
        """Keep in memory the marks that `committed(seconds)` returns. Return whether Redis has all of them.

        Raise the errors of the database driver.
        """
        now = 1000 * clock.now()  # taken before the read: a later time would also revoke tokens issued during the read
        found = list(committed(seconds))
        with self._keeping:
            for mark in found:
                self._marks.add(mark.tenant_id, mark.subject, mark.at or self._seen_at.setdefault(mark.id, now))
            oldest = now - 1000 * KEPT_SECONDS
            self._marks.forget_before(oldest)
            self._seen_at = {key: at for key, at in self._seen_at.items() if at >= oldest}
        return all(mark.written for mark in found)

    def _leave_note(self) -> None:
        """Write a note to Redis. For `NOTE_SECONDS` it makes all processes also read revocations from the database."""
        try:
            self._note([self._keys.unwritten()], [1, "EX", NOTE_SECONDS])
        except ResponseError as problem:
            self._note_answer(problem)
