"""The rules of all jobs: their states, their attempts, and what their records show."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

EXCEL_PARSING = "excel_parsing"
STUDENT_EXPORT = "student_export"
BULK_MESSAGE = "bulk_message"

MAX_RESULT_BYTES = 10_000
"""A larger result is kept only in the database. The job's record then has the address of the result."""


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
    """The job cannot be done, and another attempt would not help. `code` and the message say why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class JobStateError(Exception):
    """The state of the job does not allow what was requested, such as a cancellation. The message says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Claimed(Protocol):
    """A job or a video that this process has claimed. No other process holds the same attempt."""

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
        """The data that each record of the job carries. Everybody in the academy may see it."""


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job of the table `aijob` that this process has claimed. Implements `Claimed`."""

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
        """The part of the payload that each record of the job carries. Everybody in the academy may see it."""
        return shown_data(self.job_type, self.payload)


class ClaimRefusal(StrEnum):
    """Why a job could not be claimed."""

    BUSY = "busy"
    """Another worker is running the job, and its lease has not run out."""
    ENDED = "ended"
    """The job has ended already."""
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
    """Return the data of a record with this result: the result itself, or its address if it is large."""
    if len(json.dumps(result).encode()) > MAX_RESULT_BYTES:
        return {"result_url": f"/api/v1/jobs/{job_id}/result/"}
    return {"result": result}
