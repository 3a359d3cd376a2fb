"""Accepts a bulk message: creates the job that the messaging worker runs, and a row for each single message."""

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import transaction

from academy import jobs, quotas
from academy.adapters.db.django import repositories_messages
from academy.adapters.db.django.repositories_messages import Addressee, Draft
from academy.adapters.db.django.repositories_students import lecture_exists
from academy.domain.jobs import BULK_MESSAGE
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
) -> UUID:
    """Create the job of a bulk message and return its id.

    The messages are about the students of the lecture if `lecture_id` is given, else about the students with the ids
    `student_ids`. `to` chooses whether the student or the parent receives a message. Raises WrongMessageError and
    QuotaError.
    """
    quotas.check_before(tenant_id)
    with transaction.atomic():
        found = _addressees(tenant_id, to, lecture_id, set(student_ids))
        drafts = [_draft(text, to, addressee) for addressee in found]
        if any(len(draft.text) > MAX_TEXT_LETTERS for draft in drafts):
            raise WrongMessageError(
                "text", f"With the names filled in, the text has more than {MAX_TEXT_LETTERS} letters: shorten it."
            )
        return jobs.submit(
            tenant_id=tenant_id,
            job_type=BULK_MESSAGE,
            payload={"to": to, "lecture_id": lecture_id},
            created_by=created_by,
            also_write=lambda job_id: repositories_messages.create_messages(tenant_id, job_id, text, drafts),
        )


def _addressees(tenant_id: int, to: To, lecture_id: int | None, student_ids: set[int]) -> Sequence[Addressee]:
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


def _draft(text: str, to: To, addressee: Addressee) -> Draft:
    filled = fill(text, addressee.name)
    if addressee.phone:
        return Draft(addressee.student_id, addressee.phone, filled)
    return Draft(addressee.student_id, "", filled, MessageCode.NO_PHONE, NO_PHONE[to])
