"""The audit log: who did what to whom. The logger `academy.audit` writes it, with one JSON object in each line.

The names of events and fields are a contract (docs/reference/audit-log.md). People appear by their ids. Typed text is
never logged, because some people type their password into the field for the name.
"""

import threading
import time
from collections.abc import Hashable
from enum import StrEnum
from typing import Any

import structlog
from django.conf import settings
from django.utils.crypto import salted_hmac

LOGGER = "academy.audit"
log = structlog.get_logger(LOGGER)


class Event(StrEnum):
    """The events that are logged."""

    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_LIMITED = "sign_in_limited"
    SIGNED_OUT = "signed_out"
    REFRESH_REFUSED = "refresh_refused"
    SESSION_ENDED = "session_ended"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of an event
    PASSWORD_REFUSED = "password_refused"  # noqa: S105
    CODE_ISSUED = "code_issued"
    PERSON_ADDED = "person_added"
    PERSON_RENAMED = "person_renamed"
    PERSON_ROLE_CHANGED = "person_role_changed"
    PERSON_CLOSED = "person_closed"
    PERSON_REOPENED = "person_reopened"
    REVOKED = "revoked"
    OTHER_TENANT_REFUSED = "other_tenant_refused"
    PERSONAL_DATA_READ = "personal_data_read"
    VIDEO_DELETED = "video_deleted"
    VIDEO_REPLACEMENT_BEGUN = "video_replacement_begun"
    LECTURE_DELETED = "lecture_deleted"
    LESSON_DELETED = "lesson_deleted"
    ENROLMENT_DELETED = "enrolment_deleted"
    STUDENT_DELETED = "student_deleted"
    MESSAGE_SENT = "message_sent"
    MESSAGE_RETRIED = "message_retried"
    OPERATOR_SIGNED_IN = "operator_signed_in"
    OPERATOR_SIGN_IN_FAILED = "operator_sign_in_failed"
    OPERATOR_CHANGED = "operator_changed"
    DEAD_LETTERS_READ = "dead_letters_read"
    DEAD_LETTER_SENT_BACK = "dead_letter_sent_back"
    DEAD_LETTER_DELETED = "dead_letter_deleted"


def audit(
    event: Event,
    *,
    tenant: int | None,
    user: int | None = None,
    session: object = None,
    address: str = "",
    subject: str = "",
    outcome: str = "ok",
    **more: Any,
) -> None:
    """Write a line of the audit log.

    `user` and `session` are those of the person who acts. `subject` is what the action concerns, such as `user:7`.
    `more` may have ids, numbers and fixed words, but never names, passwords, tokens or text from a request.
    """
    log.info(
        event.value,
        tenant=tenant,
        user=user,
        session=str(session) if session else None,
        address=address,
        subject=subject,
        outcome=outcome,
        **more,
    )


def audit_limited(address: str, tenant_code: str, username: str) -> None:
    """Log that an attempt to sign in was refused. Write at most one line a minute for each pair of address and account.

    The next line for the same pair says how many `repeats` were left out.
    """
    mark = account_mark(tenant_code, username)
    repeats = _limited.take((address, mark))
    if repeats is not None:
        subject = f"account:{mark}"
        audit(Event.SIGN_IN_LIMITED, tenant=None, address=address, subject=subject, outcome="refused", repeats=repeats)


class Repeats:
    """Limits the log to one event of each key in any period of `seconds`, and counts the events that are left out.

    It remembers at most `most` keys.
    """

    def __init__(self, seconds: float = 60.0, most: int = 10_000) -> None:
        self._seconds, self._most = seconds, most
        self._lock = threading.Lock()
        self._seen: dict[Hashable, tuple[float, int]] = {}

    def take(self, key: Hashable) -> int | None:
        """Return None if this event must not be logged.

        Otherwise return how many events of this key were left out since the last one that was logged.
        """
        now = time.monotonic()
        with self._lock:
            until, left_out = self._seen.pop(key, (0.0, 0))
            say = now >= until
            self._seen[key] = (now + self._seconds, 0) if say else (until, left_out + 1)
            if len(self._seen) > self._most:
                del self._seen[next(iter(self._seen))]
        return left_out if say else None


_limited = Repeats()


def account_mark(tenant_code: str, username: str) -> str:
    """Return a keyed hash of an academy's code and a user name, as they were typed.

    Equal texts have equal hashes, and a hash hides its text.
    """
    text = f"{tenant_code}/{username}"
    return salted_hmac("academy.audit", text, settings.SECRET_KEY, algorithm="sha256").hexdigest()[:16]
