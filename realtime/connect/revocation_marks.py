"""Revocation marks: each revokes the tickets and tokens that were issued to a subject up to a certain time."""

import threading
from collections.abc import Mapping
from typing import Protocol

KEPT_SECONDS = 13 * 3600
"""How long a mark is kept: one hour longer than a ticket can be renewed. After that, the tickets and
tokens that the mark revokes have expired."""
TENANT = "tenant"


class Issued(Protocol):
    """A ticket, or the identity that an access token names."""

    @property
    def tenant_id(self) -> int: ...
    @property
    def user_id(self) -> int: ...
    @property
    def session_id(self) -> str: ...
    @property
    def issued_at(self) -> float:
        """The time of issue, in Unix seconds."""


def user_subject(user_id: int) -> str:
    return f"user:{user_id}"


def session_subject(session_id: str) -> str:
    return f"session:{session_id}"


def subjects_of(issued: Issued) -> list[str]:
    return [TENANT, user_subject(issued.user_id), session_subject(issued.session_id)]


class Marks:
    """The marks of one tenant: subject → Unix milliseconds."""

    def __init__(self, at: Mapping[str, float]) -> None:
        self._at = dict(at)

    def __len__(self) -> int:
        return len(self._at)

    def forget_before(self, oldest: float) -> None:
        """Drop marks older than `oldest` (Unix milliseconds): the tickets and tokens that they revoke have expired."""
        self._at = {subject: when for subject, when in self._at.items() if when >= oldest}

    def add(self, at: Mapping[str, float]) -> None:
        for subject, when in at.items():
            self._at[subject] = max(when, self._at.get(subject, 0.0))

    def drop(self, subject: str, at: float) -> None:
        """Drop the mark of a subject, unless the mark is newer than `at` (Unix milliseconds)."""
        if self._at.get(subject, at + 1) <= at:
            del self._at[subject]

    def concern(self, issued: Issued) -> bool:
        """Return whether a mark revokes this ticket or token.

        A ticket or token is revoked by any mark of its session. It is also revoked by a mark of its user or tenant,
        unless it was issued after the time of that mark.
        """
        if session_subject(issued.session_id) in self._at:
            return True
        found = [self._at[subject] for subject in (TENANT, user_subject(issued.user_id)) if subject in self._at]
        return bool(found) and issued.issued_at * 1000 <= max(found)


class LocalMarks:
    """Marks of all tenants, in the memory of this process. Threads may share an instance."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[int, Marks] = {}

    def add(self, tenant_id: int, subject: str, at: float) -> None:
        with self._lock:
            self._of.setdefault(tenant_id, Marks({})).add({subject: at})

    def drop(self, tenant_id: int, subject: str, at: float) -> None:
        """Drop the mark of a subject, because Redis has it now. Keep a mark that is newer than `at`."""
        with self._lock:
            if (marks := self._of.get(tenant_id)) is not None:
                marks.drop(subject, at)
                if not marks:
                    del self._of[tenant_id]

    def forget_before(self, oldest: float) -> None:
        with self._lock:
            for marks in self._of.values():
                marks.forget_before(oldest)
            self._of = {tenant_id: marks for tenant_id, marks in self._of.items() if marks}

    def tenants(self) -> list[int]:
        with self._lock:
            return list(self._of)

    def concern(self, issued: Issued) -> bool:
        with self._lock:
            marks = self._of.get(issued.tenant_id)
            return marks is not None and marks.concern(issued)
