"""`POST /api/v1/students/export/` starts an export. When it is done, its file is at `/api/v1/jobs/{job_id}/file/`."""

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.adapters.db.django.repositories_students import lecture_exists
from academy.domain.roles import OFFICE
from academy.exports import submit_export
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.authentication import caller_of
from apps.core.openapi import extend_schema
from apps.domains.students.serializers import ExportForm


class StudentExportView(APIView):
    """Start a job that writes students to an .xlsx file: all, or those that match the given filters."""

    roles = {"POST": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(
        request=ExportForm, responses={202: inline_serializer("ExportJob", {"job_id": serializers.UUIDField()})}
    )
    def post(self, request: Request) -> Response:
        form = ExportForm(data=request.data)
        form.is_valid(raise_exception=True)
        caller, lecture_id = caller_of(request), form.validated_data.get("lecture")
        if lecture_id is not None and not lecture_exists(caller.tenant_id, lecture_id):
            raise serializers.ValidationError({"lecture": ["There is no such lecture."]})
        job_id = submit_export(
            tenant_id=caller.tenant_id,
            created_by=caller.user_id,
            lecture_id=lecture_id,
            search=form.validated_data.get("search"),
        )
        audit_as(request, Event.PERSONAL_DATA_READ, subject=f"job:{job_id}", what="export_started")
        return Response({"job_id": job_id}, status=202)
