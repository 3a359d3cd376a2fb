"""Accepts a bulk message: creates the job that the messaging worker runs, and a row for each single message.

`docs/explanation/at-most-once.md` says how a message is kept from being sent twice.
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from django.db import IntegrityError, transaction

from academy import jobs, quotas
from academy.adapters.db.django import repositories_messages
from academy.adapters.db.django.repositories_messages import Addressee, Draft
from academy.adapters.db.django.repositories_students import lecture_exists
from academy.domain.jobs import BULK_MESSAGE, JobStateError, JobStatus
from academy.domain.messages import MAX_RECIPIENTS, MAX_TEXT_LETTERS, NO_PHONE, MessageCode, To, fill

SHOWN_IDS = 10


class WrongMessageError(Exception):
    """A bulk message is not accepted. `field` is the wrong field of the request, and the error's message says why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def submit_messages(
    *,
    tenant_id: int,
    created_by: int,
    text: str,
    to: To,
    lecture_id: int | None = None,
    student_ids: Collection[int] = (),
    idempotency_key: UUID | None = None,
) -> UUID:
    """Create the job of a bulk message and return its id.

    The messages are about the students of the lecture if `lecture_id` is given, else about the students with the ids
    `student_ids`. `to` chooses whether the student or the parent receives a message.

    If the tenant has a bulk message with this `idempotency_key`, return the id of its job and create nothing: the
    client has sent the request again. Raises WrongMessageError if the message is not accepted, QuotaError if a quota is
    used up, and JobStateError if the key belongs to another text or to other recipients.
    """

    def submitted_earlier() -> UUID | None:
        if idempotency_key is None:
            return None
        return _submitted_earlier(tenant_id, idempotency_key, text, to, lecture_id, set(student_ids))

    if earlier := submitted_earlier():
        return earlier
    try:
        quotas.check_before(tenant_id)
        with transaction.atomic():
            addressees = find_addressees(tenant_id, to, lecture_id, set(student_ids))
            drafts = drafts_to(addressees, text, to)
            return jobs.submit(
                tenant_id=tenant_id,
                job_type=BULK_MESSAGE,
                payload={"to": to, "lecture_id": lecture_id},
                created_by=created_by,
                also_write=lambda job_id: repositories_messages.create_messages(
                    tenant_id, job_id, text, drafts, idempotency_key=idempotency_key
                ),
            )
    except (IntegrityError, quotas.QuotaError):
        # The same request may have been committed since its key was looked up, and may have used up the quota.
        if earlier := submitted_earlier():
            return earlier
        raise


def retry_failed(*, tenant_id: int, created_by: int, job_id: UUID) -> UUID | None:
    """Create a new bulk message for the failed messages that certainly did not leave. Return the id of its job.

    The messages go to the present numbers, with the present names. Messages of unknown outcome are never sent again.
    Return None if there is no such bulk message. Raises QuotaError if a quota is used up, and WrongMessageError if the
    text with a present name is too long. Raises JobStateError if the bulk message is not DONE, if its failed messages
    were sent again already, or if none of them can be sent again.
    """
    quotas.check_before(tenant_id)
    with transaction.atomic():
        # The lock makes a second call wait, and then see the retry that the first one created.
        failed = repositories_messages.lock_message_job(tenant_id, job_id)
        if failed is None:
            return None
        if failed.job.status != JobStatus.DONE:
            raise JobStateError(
                "message_not_done",
                f"Failed messages can be sent again when the bulk message is DONE; this one is {failed.job.status}.",
            )
        if repositories_messages.was_retried(failed):
            raise JobStateError(
                "retried_already", "The failed messages of this bulk message were sent again already, and only once."
            )
        addressees = repositories_messages.retryable_addressees(failed)
        if not addressees:
            raise JobStateError(
                "nothing_to_retry",
                "No message can be sent again: only those that were refused, or whose number was missing and is known"
                " now. A message of unknown outcome may have arrived.",
            )
        drafts = drafts_to(addressees, failed.text, To(failed.job.payload["to"]))
        return jobs.submit(
            tenant_id=tenant_id,
            job_type=BULK_MESSAGE,
            payload=failed.job.payload,
            created_by=created_by,
            also_write=lambda new_id: repositories_messages.create_messages(
                tenant_id, new_id, failed.text, drafts, retry_of=failed
            ),
        )


def find_addressees(tenant_id: int, to: To, lecture_id: int | None, student_ids: set[int]) -> Sequence[Addressee]:
    """Return the students of the lecture if `lecture_id` is given, else the students with these ids.

    Raises WrongMessageError if the lecture or a student does not exist, or if there are no students or too many.
    """
    if lecture_id is not None and not lecture_exists(tenant_id, lecture_id):
        raise WrongMessageError("lecture", "There is no such lecture.")
    found = repositories_messages.addressees(
        tenant_id, to, lecture_id=lecture_id, student_ids=student_ids, most=MAX_RECIPIENTS + 1
    )
    if len(found) > MAX_RECIPIENTS:
        raise WrongMessageError("lecture", f"The lecture has more than {MAX_RECIPIENTS} students: name them in parts.")
    if lecture_id is None and (absent := sorted(student_ids - {addressee.student_id for addressee in found})):
        shown = ", ".join(map(str, absent[:SHOWN_IDS])) + (", …" if len(absent) > SHOWN_IDS else "")
        raise WrongMessageError("students", f"There are no students with these ids: {shown}.")
    if not found:
        raise WrongMessageError("lecture", "The lecture has no students.")
    return found


def drafts_to(addressees: Iterable[Addressee], text: str, to: To) -> list[Draft]:
    """Return a message about each student, in the same order. Raises WrongMessageError if one is too long."""
    drafts = []
    for addressee in addressees:
        draft = _draft(text, to, addressee)
        # Check each text before the next is made: names make a text longer, and 5,000 long texts can take 170 MB.
        if len(draft.text) > MAX_TEXT_LETTERS:
            raise WrongMessageError(
                "text", f"With the names filled in, the text has more than {MAX_TEXT_LETTERS} letters: shorten it."
            )
        drafts.append(draft)
    return drafts


def _draft(text: str, to: To, addressee: Addressee) -> Draft:
    filled = fill(text, addressee.name)
    if addressee.phone:
        return Draft(addressee.student_id, addressee.phone, filled)
    return Draft(addressee.student_id, "", filled, MessageCode.NO_PHONE, NO_PHONE[to])


def _submitted_earlier(
    tenant_id: int, idempotency_key: UUID, text: str, to: To, lecture_id: int | None, student_ids: set[int]
) -> UUID | None:
    """Return the id of the job that was created with this key, if any.

    Raises JobStateError if the key was used for another text or for other recipients.
    """
    earlier = repositories_messages.find_by_key(tenant_id, idempotency_key)
    if earlier is None:
        return None
    same = earlier.text == text and earlier.job.payload == {"to": to, "lecture_id": lecture_id}
    if same and lecture_id is None:
        same = repositories_messages.student_ids_of(earlier) == student_ids
    if not same:
        raise JobStateError(
            "key_used", "This idempotency_key belongs to another bulk message: choose a new key for each one."
        )
    return earlier.job.job_id
