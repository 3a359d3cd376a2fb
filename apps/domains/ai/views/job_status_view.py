"""Views of jobs in the database: list, detail, result, cancel, retry. The push engine sends the progress of jobs."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy import jobs
from academy.adapters.db.django import repositories_ai
from academy.domain.jobs import JobStateError, JobStatus
from academy.domain.roles import FACULTY, OFFICE
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.authentication import caller_of
from apps.core.errors import ApiError
from apps.core.openapi import extend_schema
from apps.core.pagination import Pages
from apps.domains.ai.models import OUTCOMES, AIJob
from apps.domains.ai.serializers import ImportedRowSerializer, JobSerializer


class JobListView(ListAPIView[AIJob]):
    """The academy's jobs, newest first. `?status=PROCESSING` selects those with this status."""

    roles = {"GET": FACULTY}  # noqa: RUF012 - read only
    serializer_class = JobSerializer

    def get_queryset(self) -> Any:
        status = self.request.query_params.get("status")
        if status is not None and status not in JobStatus.__members__:
            raise ApiError(400, "invalid", f"status is one of {', '.join(JobStatus)}.")
        return repositories_ai.jobs_of(caller_of(self.request).tenant_id, status=status)


class JobDetailView(APIView):
    """One job. The request also updates the job's record in Redis, if the record was lost or is older than the row."""

    roles = {"GET": FACULTY}  # noqa: RUF012 - read only

    @extend_schema(responses=JobSerializer)
    def get(self, request: Request, job_id: UUID) -> Response:
        job = find_job(request, job_id)
        jobs.mend(job)
        return Response(JobSerializer(job).data)


class JobResultView(APIView):
    """The result of a job, and the outcomes of an import's rows in pages, such as `?outcome=failed&page=2`."""

    roles = {"GET": FACULTY}  # noqa: RUF012 - read only

    @extend_schema(
        parameters=[OpenApiParameter("outcome", enum=[name for name, _ in OUTCOMES]), OpenApiParameter("page", int)],
        responses=ImportedRowSerializer(many=True),
    )
    def get(self, request: Request, job_id: UUID) -> Response:
        job = find_job(request, job_id)
        outcome = request.query_params.get("outcome")
        if outcome is not None and outcome not in dict(OUTCOMES):
            raise ApiError(400, "invalid", f"outcome is one of {', '.join(dict(OUTCOMES))}.")
        pages = Pages()
        rows = pages.paginate_queryset(repositories_ai.imported_rows(job.tenant_id, job_id, outcome), request)
        listed = pages.get_paginated_response(ImportedRowSerializer(rows, many=True).data).data
        listed["rows"] = listed.pop("results")
        if rows:
            audit_as(request, Event.PERSONAL_DATA_READ, subject=f"job:{job_id}", what="import_rows", rows=len(rows))
        return Response({"job_id": str(job_id), "result": JobSerializer(job).data["result"], **listed})


class JobCancelView(APIView):
    """Cancel a job that has not ended. Its worker stops at the next write. What the worker has written stays."""

    roles = {"POST": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(request=None, responses=JobSerializer)
    def post(self, request: Request, job_id: UUID) -> Response:
        return change(request, job_id, lambda: jobs.cancel(caller_of(request).tenant_id, job_id))


class JobRetryView(APIView):
    """Retry a failed or cancelled job, as its next attempt."""

    roles = {"POST": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(request=None, responses=JobSerializer)
    def post(self, request: Request, job_id: UUID) -> Response:
        return change(request, job_id, lambda: jobs.retry(caller_of(request).tenant_id, job_id))


def find_job(request: Request, job_id: UUID) -> AIJob:
    job = repositories_ai.find_job(caller_of(request).tenant_id, job_id)
    if job is None:
        raise NotFound("There is no such job.")
    return job


def change(request: Request, job_id: UUID, work: Any) -> Response:
    try:
        if not work():
            raise NotFound("There is no such job.")
    except JobStateError as problem:
        raise ApiError(409, problem.code, str(problem)) from None
    return Response(JobSerializer(find_job(request, job_id)).data)
