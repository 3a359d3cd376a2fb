"""What a dead letter names, and how it goes back to work."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from academy import jobs
from academy.adapters.db.django import repositories_ai, repositories_video
from academy.adapters.queue.dead_letters import DeadLetters, Letter
from academy.adapters.queue.sqs import AI_QUEUE, MESSAGING_QUEUE, VIDEO_QUEUE
from academy.domain.jobs import JobStateError, JobStatus
from academy.quotas import QuotaError
from apps.support.video.services.sqs_queue import retry_video
from apps.worker.store import AiJobs, JobStore, RefusedMessageError, find_row
from apps.worker.video_worker.store import Videos

_SHOWN_LETTERS = 80


@dataclass(frozen=True, slots=True)
class Kind:
    """What the messages of a queue name: where it stands, and how it is tried again."""

    store: Callable[[], JobStore[Any]]
    status: Callable[[int, Any], str | None]
    retry: Callable[[int, Any], bool]


_JOBS = Kind(AiJobs, repositories_ai.status_of_job, jobs.retry)
KINDS = {
    AI_QUEUE: _JOBS,
    MESSAGING_QUEUE: _JOBS,
    VIDEO_QUEUE: Kind(Videos, repositories_video.status_of_video, retry_video),
}
"""By the name of the queue."""


def describe(queue_name: str, letter: Letter) -> str:
    """Whose the letter is and what it names, as it says itself; the beginning of one that says nothing."""
    store = KINDS[queue_name].store()
    try:
        message, ident = store.ident(letter.body)
    except RefusedMessageError:
        return _beginning(letter.body)
    tenant = message.tenant_code or message.tenant_id
    return f"tenant {tenant}, {store.name(ident)}" if tenant else f"no tenant, {store.name(ident)}"


def send_back(letters: DeadLetters, letter: Letter) -> str:
    """What was done, to stand after the letter's id. Raises JobStateError, whose sentence says why it stays.

    What has FAILED is tried again as its next attempt, and gets a new message. Anything else goes back as it is: a
    message that names nothing is judged again, and of a job that has not ended the claim decides.
    """
    kind = KINDS[letters.queue_name]
    store = kind.store()
    try:
        tenant_id, ident = find_row(store, letter.body)
    except RefusedMessageError as problem:
        letters.put_back(letter)
        return f"went back to its queue as it is. {problem}"
    name, status = store.name(ident), kind.status(tenant_id, ident)
    if status == JobStatus.FAILED:
        try:
            kind.retry(tenant_id, ident)
        except QuotaError as problem:
            raise JobStateError(problem.code, str(problem)) from None
        letters.delete(letter)
        return f"{name} is tried again, by a new message."
    if status not in {JobStatus.PENDING, JobStatus.PROCESSING}:
        raise JobStateError("job_ended", f"{name} has ended: {status}. Delete the letter.")
    letters.put_back(letter)
    return f"went back to its queue as it is: {name} is {status}."


def _beginning(body: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in body[:_SHOWN_LETTERS])
    return printable if len(body) <= _SHOWN_LETTERS else f"{printable}…"
