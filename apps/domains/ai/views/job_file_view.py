"""The download of the file that a job made."""

from uuid import UUID

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView

from academy.domain.jobs import STUDENT_EXPORT, JobStatus
from academy.domain.roles import OFFICE
from academy.exports import ExportGoneError, open_export
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.errors import ApiError
from apps.core.file_parts import FileParts
from apps.core.openapi import extend_schema
from apps.domains.ai.views.job_status_view import find_job

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class JobFileView(APIView):
    """The workbook of an export, for 24 hours after the job's end. Only the roles that may export may download it."""

    roles = {"GET": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(responses={(200, XLSX): OpenApiTypes.BINARY})
    def get(self, request: Request, job_id: UUID) -> StreamingHttpResponse:
        job = find_job(request, job_id)
        if (job.job_type, job.status) != (STUDENT_EXPORT, JobStatus.DONE) or job.finished_at is None:
            raise NotFound("This job has no file to download.")
        try:
            file = open_export(job.tenant_id, job_id, job.attempt, job.finished_at)
        except ExportGoneError as problem:
            raise ApiError(410, "file_gone", str(problem)) from None
        audit_as(request, Event.PERSONAL_DATA_READ, subject=f"job:{job_id}", what="export_file")
        headers = {
            "Content-Length": str(file.size),
            "Content-Disposition": str(content_disposition_header(True, job.payload["file_name"])),  # noqa: FBT003
            "Cache-Control": "private, no-store",
        }
        return StreamingHttpResponse(FileParts(file), content_type=XLSX, headers=headers)
