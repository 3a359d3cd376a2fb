"""`POST /api/v1/students/import/`, a template to fill in, and a sample workbook to import."""

from functools import partial

from django.conf import settings
from django.http import HttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.adapters.db.django import repositories_core
from academy.adapters.db.django.repositories_students import lecture_exists
from academy.adapters.excel.errors import WorkbookError, WorkbookTooLargeError
from academy.adapters.excel.sample import sample_workbook
from academy.adapters.excel.template import template_workbook
from academy.domain.roles import OFFICE
from academy.imports import submit_import
from academy.passwords import hash_password
from apps.core.authentication import address_of, caller_of
from apps.core.errors import ApiError
from apps.core.hashing import HashingBusyError, Origin, hashing
from apps.core.openapi import extend_schema
from apps.core.parsers import CheckedMultiPartParser
from apps.core.password_rules import check_new_password
from apps.core.query_params import number_param
from apps.core.throttling import count_attempt
from apps.domains.students.serializers import ImportForm
from config.form_size import FORM_BYTES

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SAMPLE_ROWS, MAX_SAMPLE_ROWS = 2_000, 10_000


class StudentImportView(APIView):
    """Accept a workbook (.xlsx, .xls or .csv, at most 20 MB) and start a job that imports it."""

    roles = {"POST": OFFICE}  # noqa: RUF012 - read only
    parser_classes = (CheckedMultiPartParser,)

    @staticmethod
    def max_upload_bytes() -> int:
        return int(settings.MAX_WORKBOOK_BYTES) + FORM_BYTES

    @extend_schema(
        request=ImportForm, responses={202: inline_serializer("ImportJob", {"job_id": serializers.UUIDField()})}
    )
    def post(self, request: Request) -> Response:
        if "file" not in request.data:
            raise ApiError(400, "file_missing", "No file was sent: choose a workbook (.xlsx, .xls or .csv).")
        form = ImportForm(data=request.data)
        form.is_valid(raise_exception=True)
        caller, sent = caller_of(request), form.validated_data
        lecture_id, password = sent.get("lecture"), sent.get("initial_password")
        if lecture_id is not None and not lecture_exists(caller.tenant_id, lecture_id):
            raise serializers.ValidationError({"lecture": ["There is no such lecture."]})
        if password:
            check_new_password("initial_password", password, repositories_core.names_of_tenant(caller.tenant_id))
        try:
            job_id = submit_import(
                tenant_id=caller.tenant_id,
                created_by=caller.user_id,
                file=sent["file"],
                lecture_id=lecture_id,
                hash_password=partial(_hash_initial_password, request, password) if password else None,
            )
        except WorkbookError as problem:
            status = 413 if isinstance(problem, WorkbookTooLargeError) else 400
            raise ApiError(status, problem.code, problem.message) from None
        return Response({"job_id": job_id}, status=202)


def _hash_initial_password(request: Request, password: str) -> str:
    """Return the hash of the initial password of an import.

    Raises Throttled (429) after too many imports with an initial password, and HashingBusyError (503) if too many
    passwords are being hashed.
    """
    caller, address = caller_of(request), address_of(request)
    attempt = count_attempt("import", address=address, tenant=caller.tenant_code, account=str(caller.user_id))
    try:
        origin = Origin(caller.tenant_code, address, user=caller.user_id)
        return hashing().run(lambda: hash_password(password), origin)
    except HashingBusyError:
        attempt.withdraw()
        raise


class SampleWorkbookView(APIView):
    """A sample workbook of invented students, with some invalid rows. `?rows=2000` sets the number of rows."""

    roles = {"GET": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(parameters=[OpenApiParameter("rows", int)], responses={(200, XLSX): OpenApiTypes.BINARY})
    def get(self, request: Request) -> HttpResponse:
        rows = number_param(request, "rows")
        rows = SAMPLE_ROWS if rows is None else rows
        if not 1 <= rows <= MAX_SAMPLE_ROWS:
            raise ApiError(400, "invalid", f"rows is a whole number from 1 to {MAX_SAMPLE_ROWS}.")
        answer = HttpResponse(sample_workbook(rows), content_type=XLSX)
        answer["Content-Disposition"] = 'attachment; filename="students.xlsx"'
        return answer


class TemplateWorkbookView(APIView):
    """A workbook to fill in. It has the columns, an example row, and notes in Korean. An import skips the example."""

    roles = {"GET": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(responses={(200, XLSX): OpenApiTypes.BINARY})
    def get(self, request: Request) -> HttpResponse:  # noqa: ARG002 - Django's signature
        answer = HttpResponse(template_workbook(), content_type=XLSX)
        name = "학생 명단 양식.xlsx"
        answer["Content-Disposition"] = str(content_disposition_header(True, name))  # noqa: FBT003 - Django's signature
        return answer
