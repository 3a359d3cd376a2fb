"""Queries on bulk messages. Messages are created with their job, and claimed and saved one by one."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet
from django.utils import timezone

from academy.adapters.db.django.repositories_ai import holding
from academy.adapters.db.django.repositories_students import students_of
from academy.adapters.db.django.tenancy import rows_of
from academy.domain.jobs import ClaimedJob
from academy.domain.messages import OUTCOME_UNKNOWN, MessageCode, MessageStatus, To
from apps.domains.ai.models import AIJob
from apps.domains.messaging.models import Message, MessageJob

MAX_ERROR_LETTERS = 300
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Addressee:
    """A student, and the phone number to which the message is sent ('' if there is none)."""

    student_id: int
    name: str
    phone: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is not written to the database yet. A message with a `code` counts as failed and is never sent."""

    student_id: int
    recipient: str
    text: str
    code: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class MessageTotals:
    sent: int
    failed: int
    total: int

    def as_result(self) -> dict[str, int]:
        """Return `{"sent": n, "failed": n, "total": n}`."""
        return asdict(self)

    @property
    def left(self) -> int:
        return self.total - self.sent - self.failed


def addressees(
    tenant_id: int, to: To, *, lecture_id: int | None = None, student_ids: Iterable[int] = (), most: int
) -> list[Addressee]:
    """Return at most `most` active students: those of a lecture if one is given, else those with these ids."""
    students = students_of(tenant_id, lecture_id=lecture_id)
    if lecture_id is None:
        students = students.filter(id__in=student_ids)
    phone = "parent_phone" if to is To.PARENT else "phone"
    return [Addressee(*row) for row in students.values_list("id", "name", phone)[:most]]


def create_messages(tenant_id: int, job_id: UUID, text: str, drafts: Sequence[Draft]) -> None:
    """Write all messages of a job, in batches. The job must have been created in the current transaction."""
    job = rows_of(tenant_id, AIJob).get(job_id=job_id)
    message_job = MessageJob.objects.create(tenant_id=tenant_id, job=job, text=text)
    rows_of(tenant_id, Message).bulk_create(
        (
            Message(
                tenant_id=tenant_id,
                job=message_job,
                status=MessageStatus.FAILED if draft.code else MessageStatus.PENDING,
                **asdict(draft),
            )
            for draft in drafts
        ),
        batch_size=_BATCH,
    )


def message_jobs_of(tenant_id: int) -> QuerySet[MessageJob]:
    """Return a tenant's bulk messages with their jobs, newest first."""
    return rows_of(tenant_id, MessageJob).select_related("job").order_by("-id")


def find_message_job(tenant_id: int, job_id: UUID) -> MessageJob | None:
    return message_jobs_of(tenant_id).filter(job__job_id=job_id).first()


def messages_of(tenant_id: int, job_id: UUID, status: MessageStatus | None = None) -> QuerySet[Message]:
    """Return a job's messages with their students, in the order of sending. `status` selects those with this status."""
    messages = rows_of(tenant_id, Message).filter(job__job__job_id=job_id).select_related("student").order_by("id")
    return messages.filter(status=status) if status else messages


def totals_of(tenant_id: int, job_ids: Sequence[UUID]) -> dict[UUID, MessageTotals]:
    """Return how many messages of each of these jobs were sent, how many failed, and how many there are in all."""
    messages = rows_of(tenant_id, Message).filter(job__job__job_id__in=job_ids)
    counts: dict[UUID, dict[str, int]] = {job_id: {} for job_id in job_ids}
    for job_id, status, number in messages.values_list("job__job__job_id", "status").annotate(number=Count("id")):
        counts[job_id][status] = number
    return {
        job_id: MessageTotals(found.get(MessageStatus.SENT, 0), found.get(MessageStatus.FAILED, 0), sum(found.values()))
        for job_id, found in counts.items()
    }


def claim_next_message(job: ClaimedJob, after: int = 0) -> Message | None:
    """Claim the first pending message with a larger id than `after`. Return None if there is none.

    Raises AttemptSupersededError if this attempt no longer holds the job.
    """
    return _claim(job, pk__gt=after)


def claim_message(job: ClaimedJob, message_id: int) -> Message | None:
    """Claim the message with this id. Return None if it is not pending.

    Raises AttemptSupersededError if this attempt no longer holds the job.
    """
    return _claim(job, pk=message_id)


def _claim(job: ClaimedJob, **which: int) -> Message | None:
    with holding(job):
        pending = messages_of(job.tenant_id, job.job_id, MessageStatus.PENDING).select_related(None)
        message = pending.filter(**which).first()
        if message is not None:
            message.status, message.claimed_at = MessageStatus.CLAIMED, timezone.now()
            message.save(update_fields=["status", "claimed_at"])
    return message


def fail_claimed_messages(job: ClaimedJob) -> None:
    """Mark the job's CLAIMED messages as FAILED: an earlier attempt claimed them, but did not save their outcome.

    Raises AttemptSupersededError if this attempt no longer holds the job.
    """
    with holding(job):
        messages_of(job.tenant_id, job.job_id, MessageStatus.CLAIMED).update(
            status=MessageStatus.FAILED, code=MessageCode.OUTCOME_UNKNOWN, error=OUTCOME_UNKNOWN
        )


def save_sent(message: Message) -> None:
    """Save that a message was sent.

    This is saved even if the attempt is superseded, unless a later attempt has already saved OUTCOME_UNKNOWN.
    """
    _save(message, status=MessageStatus.SENT, sent_at=timezone.now())


def save_failed(message: Message, code: MessageCode, error: str) -> None:
    """Save that a message failed.

    This is saved even if the attempt is superseded, unless a later attempt has already saved OUTCOME_UNKNOWN.
    """
    _save(message, status=MessageStatus.FAILED, code=code, error=error[:MAX_ERROR_LETTERS])


def release_message(message: Message) -> None:
    """Make a claimed message pending again. The caller must be certain that the message was not sent."""
    _save(message, status=MessageStatus.PENDING, claimed_at=None)


def _save(message: Message, **fields: Any) -> None:
    claimed = rows_of(message.tenant_id, Message).filter(pk=message.pk, status=MessageStatus.CLAIMED)
    claimed.update(**fields)
