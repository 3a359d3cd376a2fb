"""Views that list, find, show, create, change and delete students. For removed students, see `removed_views`."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError
from rest_framework.views import APIView

from academy.adapters.db.django import repositories_students
from academy.domain.roles import FACULTY, OFFICE, Role
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.authentication import caller_of
from apps.core.errors import ApiError
from apps.core.openapi import extend_schema
from apps.core.query_params import number_param, search_param
from apps.domains.students.models import Student
from apps.domains.students.serializers import StudentForm, StudentSerializer
from apps.domains.students.services.lecture_enroll import (
    LectureMissingError,
    get_or_create_student_for_lecture_enroll,
)


class StudentListView(ListAPIView[Student]):
    """The students. `?search=` searches names, schools and phones, also by initial consonants, such as `ㄱㅁㅅ`.

    `?lecture=` selects the students who attend that lecture, and `?not_in_lecture=` those who do not attend that
    lecture. A caller who is a student sees only their own record.
    """

    roles = {"GET": FACULTY | {Role.STUDENT}, "POST": OFFICE}  # noqa: RUF012 - read only
    serializer_class = StudentSerializer

    def get_queryset(self) -> Any:
        caller = caller_of(self.request)
        found = repositories_students.students_of(
            caller.tenant_id,
            search=search_param(self.request),
            lecture_id=number_param(self.request, "lecture"),
        )
        if (lecture_id := number_param(self.request, "not_in_lecture")) is not None:
            found = repositories_students.students_not_in(caller.tenant_id, lecture_id, found)
        return found.filter(user_id=caller.user_id) if caller.role is Role.STUDENT else found

    @extend_schema(request=StudentForm, responses={201: StudentSerializer, 200: StudentSerializer})
    def post(self, request: Request) -> Response:
        """Create a student (201), or find or restore the student with this name and parent's phone (200)."""
        form = StudentForm(data=request.data)
        form.is_valid(raise_exception=True)
        caller = caller_of(request)
        tenant_id = caller.tenant_id
        try:
            enrolled = get_or_create_student_for_lecture_enroll(
                tenant_id=tenant_id, row=form.row(), lecture_id=form.validated_data.get("lecture"), by=caller.user_id
            )
        except LectureMissingError:
            raise ValidationError({"lecture": ["There is no such lecture."]}) from None
        student = repositories_students.find_student(tenant_id, enrolled.student_id)
        body = {**StudentSerializer(student).data, "outcome": enrolled.outcome}
        return Response(body, status=201 if enrolled.outcome == "created" else 200)


class StudentDetailView(APIView):
    """One student. Students see only their own record."""

    roles = {  # noqa: RUF012 - read only
        "GET": FACULTY | {Role.STUDENT},
        "PATCH": OFFICE,
        "DELETE": OFFICE,
    }

    @extend_schema(responses=StudentSerializer)
    def get(self, request: Request, student_id: int) -> Response:
        return Response(StudentSerializer(self._find(request, student_id)).data)

    @extend_schema(request=StudentForm, responses=StudentSerializer)
    def patch(self, request: Request, student_id: int) -> Response:
        """Change the fields that the request contains, and keep the others."""
        before = self._find(request, student_id)
        form = StudentForm(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        caller, changes = caller_of(request), form.changes(before)
        try:
            student = repositories_students.change_student(caller.tenant_id, student_id, changes, by=caller.user_id)
        except repositories_students.StudentExistsError as problem:
            raise ApiError(409, "student_exists", str(problem)) from None
        if student is None:
            raise NotFound("There is no such student.")
        return Response(StudentSerializer(student).data)

    @extend_schema(responses={204: None}, parameters=[OpenApiParameter("student_id", int, "path")])
    def delete(self, request: Request, student_id: int) -> Response:
        """Mark the student as deleted and close the account. Adding or importing this student again restores both."""
        caller = caller_of(request)
        if not repositories_students.delete_student(caller.tenant_id, student_id, by=caller.user_id):
            raise NotFound("There is no such student.")
        audit_as(request, Event.STUDENT_DELETED, subject=f"student:{student_id}")
        return Response(status=204)

    @staticmethod
    def _find(request: Request, student_id: int) -> Student:
        caller = caller_of(request)
        student = repositories_students.find_student(caller.tenant_id, student_id)
        if student is None or (caller.role is Role.STUDENT and student.user_id != caller.user_id):
            raise NotFound("There is no such student.")
        return student
