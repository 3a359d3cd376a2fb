"""The download of the file that a job made."""

from pathlib import PurePath
from uuid import UUID

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView

from academy.domain.jobs import EXCEL_PARSING, STUDENT_EXPORT, JobStatus
from academy.domain.roles import OFFICE
from academy.exports import ExportGoneError, open_export
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.errors import ApiError
from apps.core.file_parts import FileParts
from apps.core.openapi import extend_schema
from apps.domains.ai.models import AIJob
from apps.domains.ai.views.job_status_view import find_job

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

FAILED_ROWS_GONE = "The file is no longer kept: it is deleted after 24 hours. Import the workbook again."


class JobFileView(APIView):
    """The workbook of an export, or of an import's failed rows, for 24 hours after the job's end.

    Only the roles that may export and import may download it.
    """

    roles = {"GET": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(responses={(200, XLSX): OpenApiTypes.BINARY})
    def get(self, request: Request, job_id: UUID) -> StreamingHttpResponse:
        job = find_job(request, job_id)
        if job.finished_at is None or not _makes_file(job):
            raise NotFound("This job has no file to download.")
        is_export = job.job_type == STUDENT_EXPORT
        try:
            file = open_export(job.tenant_id, job_id, job.attempt, job.finished_at)
        except ExportGoneError as problem:
            sentence = str(problem) if is_export else FAILED_ROWS_GONE
            raise ApiError(410, "file_gone", sentence) from None
        what = "export_file" if is_export else "failed_rows_file"
        audit_as(request, Event.PERSONAL_DATA_READ, subject=f"job:{job_id}", what=what)
        headers = {
            "Content-Length": str(file.size),
            "Content-Disposition": str(content_disposition_header(True, _name_of(job))),  # noqa: FBT003
            "Cache-Control": "private, no-store",
        }
        return StreamingHttpResponse(FileParts(file), content_type=XLSX, headers=headers)


def _makes_file(job: AIJob) -> bool:
    """Return whether the job has made a file: it is a DONE export, or a DONE import with failed rows."""
    if job.status != JobStatus.DONE:
        return False
    failed = job.result.result.get("failed") if hasattr(job, "result") else 0
    return job.job_type == STUDENT_EXPORT or (job.job_type == EXCEL_PARSING and bool(failed))


def _name_of(job: AIJob) -> str:
    name = str(job.payload["file_name"])
    return name if job.job_type == STUDENT_EXPORT else f"{PurePath(name).stem} 실패한 행.xlsx"
