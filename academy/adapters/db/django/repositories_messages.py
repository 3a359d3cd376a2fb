"""Queries on bulk messages. A job's messages are created together. A worker claims them one by one."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet
from django.utils import timezone

from academy.adapters.db.django.patience import limit_waiting
from academy.adapters.db.django.repositories_ai import holding
from academy.adapters.db.django.repositories_students import students_of
from academy.adapters.db.django.tenancy import rows_of
from academy.domain.jobs import ClaimedJob
from academy.domain.messages import NEVER_LEFT, OUTCOME_UNKNOWN, MessageCode, MessageStatus, To
from apps.domains.ai.models import AIJob
from apps.domains.lectures.models import Lecture
from apps.domains.messaging.models import Message, MessageJob

MAX_ERROR_LETTERS = 300
_BATCH = 1000
_PHONES = {To.PARENT: "parent_phone", To.STUDENT: "phone"}
"""The columns of a student that contain the phone numbers to which messages are sent."""


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
    return [Addressee(*row) for row in students.values_list("id", "name", _PHONES[to])[:most]]


def retryable_addressees(message_job: MessageJob) -> list[Addressee]:
    """Return the active students to whom the failed messages of an ended bulk message can be sent again.

    These are students for whom there is a phone number now, and whose message certainly did not leave: it was refused,
    or there was no number.
    """
    found = _retryable(message_job).order_by("id")
    columns = ("student_id", "student__name", _present_phone(message_job))
    return [Addressee(*row) for row in found.values_list(*columns)]


def count_retryable(message_job: MessageJob) -> int:
    return _retryable(message_job).count()


def count_without_number(message_job: MessageJob) -> int:
    """Return how many messages failed because there was no phone number, and there is still none.

    Messages to deleted students do not count.
    """
    failed = rows_of(message_job.tenant_id, Message).filter(
        job=message_job, status=MessageStatus.FAILED, code=MessageCode.NO_PHONE, student__deleted_at=None
    )
    return failed.filter(**{_present_phone(message_job): ""}).count()


def _retryable(message_job: MessageJob) -> QuerySet[Message]:
    failed = rows_of(message_job.tenant_id, Message).filter(
        job=message_job,
        status=MessageStatus.FAILED,
        code__in=NEVER_LEFT,
        student__isnull=False,
        student__deleted_at=None,
    )
    return failed.exclude(**{_present_phone(message_job): ""})


def _present_phone(message_job: MessageJob) -> str:
    """Return the column with the number that a student (or the student's parent) has now."""
    return f"student__{_PHONES[To(message_job.job.payload['to'])]}"


def create_messages(
    tenant_id: int,
    job_id: UUID,
    text: str,
    drafts: Sequence[Draft],
    *,
    idempotency_key: UUID | None = None,
    retry_of: MessageJob | None = None,
) -> None:
    """Write all messages of a job, in batches. The job must have been created in the current transaction.

    Raises IntegrityError if the tenant already has a bulk message with this key, or if `retry_of` was already retried.
    """
    job = rows_of(tenant_id, AIJob).get(job_id=job_id)
    message_job = MessageJob.objects.create(
        tenant_id=tenant_id, job=job, text=text, idempotency_key=idempotency_key, retry_of=retry_of
    )
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
    """Return a tenant's bulk messages, newest first.

    Each is loaded with its job and sender, with the bulk message that it retries, and with the one that retries it.
    """
    related = ("job__created_by", "retry_of__job", "retry__job")
    return rows_of(tenant_id, MessageJob).select_related(*related).order_by("-id")


def find_message_job(tenant_id: int, job_id: UUID) -> MessageJob | None:
    return message_jobs_of(tenant_id).filter(job__job_id=job_id).first()


def find_by_key(tenant_id: int, idempotency_key: UUID) -> MessageJob | None:
    """Return the bulk message that was created with this key, or None. Its job is loaded, too."""
    return rows_of(tenant_id, MessageJob).select_related("job").filter(idempotency_key=idempotency_key).first()


def student_ids_of(message_job: MessageJob) -> set[int | None]:
    """Return the ids of the students of a bulk message, with None if the row of any of them was deleted."""
    return set(rows_of(message_job.tenant_id, Message).filter(job=message_job).values_list("student_id", flat=True))


def lock_message_job(tenant_id: int, job_id: UUID) -> MessageJob | None:
    """Lock a bulk message until the transaction ends, and return it with its job. Return None if there is none."""
    limit_waiting()
    locked = rows_of(tenant_id, MessageJob).select_for_update(of=("self",), no_key=True).select_related("job")
    return locked.filter(job__job_id=job_id).first()


def was_retried(message_job: MessageJob) -> bool:
    return rows_of(message_job.tenant_id, MessageJob).filter(retry_of=message_job).exists()


def lecture_titles(tenant_id: int, lecture_ids: Collection[int]) -> dict[int, str]:
    """Return a dict from id to title of these lectures. Ids without a lecture are left out."""
    return dict(rows_of(tenant_id, Lecture).filter(pk__in=lecture_ids).values_list("pk", "title"))


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
