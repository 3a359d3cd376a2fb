"""Describes dead letters, and retries their jobs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic
from uuid import UUID

from academy import jobs, videos
from academy.adapters.db.django import repositories_ai, repositories_video
from academy.adapters.queue.dead_letters import DeadLetters, Letter
from academy.adapters.queue.sqs import AI_QUEUE, MESSAGING_QUEUE, VIDEO_QUEUE
from academy.domain.jobs import JobStateError, JobStatus
from academy.lifecycle import RowId
from academy.quotas import QuotaError
from apps.worker.store import AiJobs, JobStore, RefusedMessageError, find_row
from apps.worker.video_worker.store import Videos

_SHOWN_LETTERS = 80


@dataclass(frozen=True, slots=True)
class Kind(Generic[RowId]):
    """The kind of row that a queue's messages refer to: its store, and functions that read its status and retry it."""

    store: JobStore[RowId, Any]
    status: Callable[[int, RowId], str | None]
    retry: Callable[[int, RowId], bool]

    def parts(self, letter: Letter) -> tuple[str, str] | None:
        """Return the tenant ("" if none is named) and the name of the row. Return None if the letter cannot be read."""
        try:
            message, ident = self.store.ident(letter.body)
        except RefusedMessageError:
            return None
        return str(message.tenant_code or message.tenant_id or ""), self.store.name(ident)

    def send_back(self, letters: DeadLetters, letter: Letter) -> str:
        try:
            tenant_id, ident = find_row(self.store, letter.body)
        except RefusedMessageError as problem:
            letters.put_back(letter)
            return f"went back to its queue as it is. {problem}"
        name, status = self.store.name(ident), self.status(tenant_id, ident)
        if status == JobStatus.FAILED:
            try:
                self.retry(tenant_id, ident)
            except QuotaError as problem:
                raise JobStateError(problem.code, str(problem)) from None
            letters.delete(letter)
            return f"{name} is tried again, by a new message."
        if status not in {JobStatus.PENDING, JobStatus.PROCESSING}:
            raise JobStateError("job_ended", f"{name} has ended: {status}. Delete the letter.")
        letters.put_back(letter)
        return f"went back to its queue as it is: {name} is {status}."


_JOBS: Kind[UUID] = Kind(AiJobs(), repositories_ai.status_of_job, jobs.retry)
KINDS: dict[str, Kind[UUID] | Kind[int]] = {
    AI_QUEUE: _JOBS,
    MESSAGING_QUEUE: _JOBS,
    VIDEO_QUEUE: Kind(Videos(), repositories_video.status_of_video, videos.retry),
}
"""Maps the name of each queue to the kind of row that its messages refer to."""


def describe(queue_name: str, letter: Letter) -> str:
    """Return the tenant and the row that a letter names. If the letter cannot be read, return its beginning."""
    tenant, about = parts_of(queue_name, letter)
    if KINDS[queue_name].parts(letter) is None:
        return about
    return f"tenant {tenant}, {about}" if tenant else f"no tenant, {about}"


def parts_of(queue_name: str, letter: Letter) -> tuple[str, str]:
    """Return the tenant ("" if none is named) and the row that a letter names.

    If the letter cannot be read, return "" and the beginning of the letter.
    """
    return KINDS[queue_name].parts(letter) or ("", _beginning(letter.body))


def send_back(letters: DeadLetters, letter: Letter) -> str:
    """Retry the job of a letter, or return the letter to its queue. Return what was done, as the end of a sentence.

    If the row is FAILED, it gets a new attempt with a new message, and the letter is deleted. If the row has not ended,
    or `find_row` finds no row, the letter goes back to its queue unchanged, and a worker receives it again. If the row
    has ended with another status or may not be retried now, raise JobStateError and keep the letter.
    """
    return KINDS[letters.queue_name].send_back(letters, letter)


def _beginning(body: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in body[:_SHOWN_LETTERS])
    return printable if len(body) <= _SHOWN_LETTERS else f"{printable}…"
