"""Removed students: list, detail, restore. And the history of a student, removed or not."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.adapters.db.django import repositories_history, repositories_students
from academy.domain.roles import FACULTY, OFFICE
from apps.core.authentication import caller_of
from apps.core.errors import ApiError
from apps.core.openapi import extend_schema
from apps.core.query_params import search_param
from apps.domains.students.models import Student
from apps.domains.students.serializers import (
    RemovedStudentSerializer,
    StudentHistorySerializer,
    StudentSerializer,
)


class RemovedStudentListView(ListAPIView[Student]):
    """The removed students, the most recently removed first. `?search=` searches as in the list of students."""

    roles = {"GET": OFFICE}  # noqa: RUF012 - read only
    serializer_class = RemovedStudentSerializer

    def get_queryset(self) -> Any:
        tenant_id = caller_of(self.request).tenant_id
        removed = repositories_students.removed_students_of(tenant_id, search=search_param(self.request))
        return repositories_history.with_remover(removed)


class RemovedStudentView(APIView):
    """One removed student."""

    roles = {"GET": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(responses=RemovedStudentSerializer, parameters=[OpenApiParameter("student_id", int, "path")])
    def get(self, request: Request, student_id: int) -> Response:
        removed = repositories_students.removed_students_of(caller_of(request).tenant_id).filter(pk=student_id)
        student = repositories_history.with_remover(removed).first()
        if student is None:
            raise NotFound("There is no such removed student.")
        return Response(RemovedStudentSerializer(student).data)


class StudentRestoreView(APIView):
    """Restore a removed student, with the account and the enrolments. A student who was not removed is not changed."""

    roles = {"POST": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(request=None, responses=StudentSerializer, parameters=[OpenApiParameter("student_id", int, "path")])
    def post(self, request: Request, student_id: int) -> Response:
        caller = caller_of(request)
        try:
            student = repositories_students.bring_back_student(caller.tenant_id, student_id, by=caller.user_id)
        except repositories_students.StudentExistsError as problem:
            raise ApiError(409, "student_exists", str(problem)) from None
        if student is None:
            raise NotFound("There is no such student.")
        return Response(StudentSerializer(student).data)


class StudentHistoryView(ListAPIView[Any]):
    """Who added, changed, removed, restored or imported the student, and when, newest first.

    The history of a removed student is for the office.
    """

    roles = {"GET": FACULTY}  # noqa: RUF012 - read only
    serializer_class = StudentHistorySerializer

    @extend_schema(parameters=[OpenApiParameter("student_id", int, "path")])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> Any:
        caller, student_id = caller_of(self.request), self.kwargs["student_id"]
        found = repositories_students.find_student(caller.tenant_id, student_id)
        if found is None and caller.role in OFFICE:
            found = repositories_students.find_removed_student(caller.tenant_id, student_id)
        if found is None:
            raise NotFound("There is no such student.")
        return repositories_history.history_of(caller.tenant_id, student_id)
