"""What holds for every long job: who may go on with it, and how it ends."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

EXCEL_PARSING = "excel_parsing"
STUDENT_EXPORT = "student_export"
BULK_MESSAGE = "bulk_message"

MAX_RESULT_BYTES = 10_000
"""A larger result stays in the database; the record then has its address."""


class JobStatus(StrEnum):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        return self not in {JobStatus.PENDING, JobStatus.PROCESSING}


class AttemptSupersededError(Exception):
    """Another attempt has taken this job over, or the job has ended: this attempt must write nothing more."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class JobFailedError(Exception):
    """The job cannot be done, and trying again would not help; `code` and the sentence tell people why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class JobStateError(Exception):
    """The job's state does not allow this; the sentence says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Claimed(Protocol):
    """Something that this process is to do: nobody else holds this attempt of it."""

    @property
    def tenant_id(self) -> int: ...

    @property
    def attempt(self) -> int: ...

    @property
    def job_type(self) -> str: ...

    @property
    def topic(self) -> str: ...

    @property
    def shown(self) -> dict[str, Any]:
        """What everybody in the academy may see of it, in each of its records."""


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A row of `aijob`, claimed."""

    tenant_id: int
    job_id: UUID
    job_type: str
    attempt: int
    payload: dict[str, Any]

    @property
    def topic(self) -> str:
        return job_topic(self.job_id)

    @property
    def shown(self) -> dict[str, Any]:
        """What of the payload everybody in the academy may see, in each record of the job."""
        return shown_data(self.job_type, self.payload)


class Claim(StrEnum):
    """What became of the wish to do a job, where it was not granted."""

    BUSY = "busy"
    """Somebody is at work on it: its lease is alive."""
    ENDED = "ended"
    """It has ended already."""
    ABSENT = "absent"
    """This tenant has no such job."""


def job_topic(job_id: UUID) -> str:
    return f"job:{job_id}"


def shown_data(job_type: str, payload: dict[str, Any]) -> dict[str, Any]:
    data = {"job_type": job_type}
    if "file_name" in payload:
        data["file_name"] = payload["file_name"]
    return data


def result_data(job_id: UUID, result: dict[str, Any]) -> dict[str, Any]:
    """How a record tells of a result: itself, or where it is to be had."""
    if len(json.dumps(result).encode()) > MAX_RESULT_BYTES:
        return {"result_url": f"/api/v1/jobs/{job_id}/result/"}
    return {"result": result}
