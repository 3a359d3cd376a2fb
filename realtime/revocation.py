"""Revocation: a session that ends, or an account that changes, ends what was permitted before (realtime.md, section 7).

A mark says from when on whose older tickets and tokens count for nothing; that of a session needs no comparing of
times, since a session that has ended never comes back. It is written into Redis, where each
authenticated request looks, and told to every process at once through a Channels group; a process that was not told
finds it when it probes Redis.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Protocol

from redis import Redis

from realtime.errors import RevokedError
from realtime.keys import Keys

KEPT_SECONDS = 13 * 3600
"""A ticket can be renewed for 12 h; what is older is invalid anyway."""
TENANT = "tenant"
GROUP = "realtime.revocations"
"""The Channels group of all server processes."""


class Issued(Protocol):
    """A ticket, or who a token says that asks."""

    @property
    def tenant_id(self) -> int: ...
    @property
    def user_id(self) -> int: ...
    @property
    def session_id(self) -> str: ...
    @property
    def issued_at(self) -> float:
        """Unix seconds."""


def user_subject(user_id: int) -> str:
    return f"user:{user_id}"


def session_subject(session_id: str) -> str:
    return f"session:{session_id}"


def subjects_of(issued: Issued) -> list[str]:
    return [TENANT, user_subject(issued.user_id), session_subject(issued.session_id)]


class Marks:
    """Marks of one tenant: subject → Unix milliseconds."""

    def __init__(self, at: Mapping[str, float]) -> None:
        self._at = dict(at)

    def forget_before(self, oldest: float) -> None:
        """Drops marks older than this; nothing that they concern is still valid."""
        self._at = {subject: when for subject, when in self._at.items() if when >= oldest}

    def add(self, at: Mapping[str, float]) -> None:
        for subject, when in at.items():
            self._at[subject] = max(when, self._at.get(subject, 0.0))

    def concern(self, issued: Issued) -> bool:
        """Whether its session was ended, or something else that it depends on was revoked after it was issued."""
        if session_subject(issued.session_id) in self._at:
            return True
        found = [self._at[subject] for subject in (TENANT, user_subject(issued.user_id)) if subject in self._at]
        return bool(found) and issued.issued_at * 1000 <= max(found)


class Revocations:
    """The marks in Redis, for synchronous code."""

    def __init__(self, redis: Redis, *, key_prefix: str = "") -> None:
        self._redis = redis
        self._keys = Keys(key_prefix)

    def add(self, tenant_id: int, subject: str, at: float) -> None:
        """Marks a subject as revoked at a time, in Unix milliseconds. Raises RedisError."""
        self.add_all([(tenant_id, subject, at)])

    def add_all(self, marks: Iterable[tuple[int, str, float]]) -> None:
        """The same of several: tenant, subject, time. Raises RedisError."""
        pipeline = self._redis.pipeline()
        for tenant_id, subject, at in marks:
            key = self._keys.revoked(tenant_id)
            pipeline.zadd(key, {subject: at}, gt=True)
            pipeline.zremrangebyscore(key, "-inf", 1000 * (time.time() - KEPT_SECONDS))
        pipeline.execute()

    def check(self, issued: Issued) -> None:
        """Raises RevokedError, or RedisError where the marks cannot be read: never a pass."""
        subjects = subjects_of(issued)
        scores = self._redis.zmscore(self._keys.revoked(issued.tenant_id), subjects)
        marks = Marks({subject: at for subject, at in zip(subjects, scores, strict=True) if at is not None})
        if marks.concern(issued):
            raise RevokedError("The session was ended, or the account changed: sign in again.")
