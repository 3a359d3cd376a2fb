"""Finds, claims, ends and gives back the rows that a worker's messages refer to."""

from typing import Any, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from academy import jobs
from academy.adapters.db.django import repositories_ai, repositories_core
from academy.domain.jobs import ClaimedJob, ClaimRefusal, job_topic
from academy.lifecycle import C, RowId

M = TypeVar("M", bound=BaseModel)


class RefusedMessageError(Exception):
    """The message can never be handled. The dead-letter queue stores the error's text with the message."""


class Message(BaseModel):
    """The body of a message. Messages of older versions name no tenant: they belong to the tenant of their row."""

    model_config = ConfigDict(extra="ignore", strict=False)

    tenant_id: int | None = None
    tenant_code: str | None = None


class JobMessage(Message):
    job_id: UUID
    job_type: str


class JobStore(Protocol[RowId, C]):
    """Finds and changes one kind of row.

    `finish`, `fail` and `give_back` raise AttemptSupersededError if the attempt is no longer the current one.
    """

    def ident(self, body: str) -> tuple[Message, RowId]:
        """Parse a body. Return the message and the id of its row. Raises RefusedMessageError for a malformed body."""

    def name(self, ident: RowId) -> str:
        """Return the name of the row for use in sentences, such as `job 7f…`."""

    def topic(self, ident: RowId) -> str: ...

    def owner(self, ident: RowId) -> int | None:
        """Return the tenant of a row, or None if there is no such row."""

    def claim(self, tenant_id: int, ident: RowId, *, lease_alive: bool) -> C | ClaimRefusal: ...

    def finish(self, job: C, result: dict[str, Any]) -> None: ...

    def fail(self, job: C, code: str, message: str) -> None: ...

    def give_back(self, job: C, pause: float = 0.0) -> None:
        """Make the job PENDING as its next attempt, which may begin after `pause` seconds."""


class AiJobs:
    """A JobStore of the rows of `aijob`: imports, exports and bulk messages."""

    def ident(self, body: str) -> tuple[Message, UUID]:
        message = read_message(JobMessage, body)
        return message, message.job_id

    def name(self, ident: UUID) -> str:
        return f"job {ident}"

    def topic(self, ident: UUID) -> str:
        return job_topic(ident)

    def owner(self, ident: UUID) -> int | None:
        return repositories_ai.tenant_of_job(ident)

    def claim(self, tenant_id: int, ident: UUID, *, lease_alive: bool) -> ClaimedJob | ClaimRefusal:
        return jobs.claim(tenant_id, ident, lease_alive=lease_alive)

    def finish(self, job: ClaimedJob, result: dict[str, Any]) -> None:
        jobs.finish(job, result)

    def fail(self, job: ClaimedJob, code: str, message: str) -> None:
        jobs.fail(job, code, message)

    def give_back(self, job: ClaimedJob, pause: float = 0.0) -> None:
        jobs.give_back(job, pause)


def find_row(store: JobStore[RowId, C], body: str) -> tuple[int, RowId]:
    """Return the tenant and the id of the row that a message refers to.

    Raises RefusedMessageError if the message is malformed, if there is no such row, or if the message names a tenant
    that the row does not belong to.
    """
    message, ident = store.ident(body)
    owner, name = store.owner(ident), store.name(ident)
    if owner is None:
        raise RefusedMessageError(f"There is no {name}.")
    if message.tenant_id not in {None, owner}:
        raise RefusedMessageError(f"{name.capitalize()} is not tenant {message.tenant_id}'s.")
    if message.tenant_code not in {None, repositories_core.find_tenant_code(owner)}:
        raise RefusedMessageError(f"{name.capitalize()} is not tenant {message.tenant_code!r}'s.")
    return owner, ident


def read_message(kind: type[M], body: str) -> M:
    """Return the body of a message as an instance of `kind`. Raises RefusedMessageError if the body is malformed."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as problem:
        first = problem.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        reason = f"{field} {first['msg']}".strip()
        raise RefusedMessageError(f"The message is malformed: {reason}") from None
