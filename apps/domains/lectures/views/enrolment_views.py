"""Enrolments: list, search, create one or several, delete."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError
from rest_framework.views import APIView

from academy.adapters.db.django import repositories_lectures, repositories_students
from academy.domain.roles import FACULTY, OFFICE
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.authentication import caller_of
from apps.core.openapi import extend_schema
from apps.core.query_params import number_param, search_param
from apps.domains.lectures.models import Enrollment
from apps.domains.lectures.serializers import EnrolledAnswer, EnrolmentForm, EnrolmentSerializer, EnrolmentsForm

SHOWN_IDS = 10


class EnrolmentListView(ListAPIView[Enrollment]):
    """The enrolments, filtered by `?lecture=` and `?student=`. `?search=` searches the students."""

    roles = {"GET": FACULTY, "POST": OFFICE}  # noqa: RUF012 - read only
    serializer_class = EnrolmentSerializer

    def get_queryset(self) -> Any:
        return repositories_lectures.enrolments_of(
            caller_of(self.request).tenant_id,
            lecture_id=number_param(self.request, "lecture"),
            student_id=number_param(self.request, "student"),
            search=search_param(self.request),
        )

    @extend_schema(request=EnrolmentForm, responses={201: EnrolmentSerializer})
    def post(self, request: Request) -> Response:
        """Enrol a student in a lecture. If the student is enrolled already, answer with that enrolment."""
        form = EnrolmentForm(data=request.data)
        form.is_valid(raise_exception=True)
        tenant_id = caller_of(request).tenant_id
        lecture_id, student_id = form.validated_data["lecture"], form.validated_data["student"]
        wrong = {}
        if not repositories_students.lecture_exists(tenant_id, lecture_id):
            wrong["lecture"] = ["There is no such lecture."]
        if repositories_students.find_student(tenant_id, student_id) is None:
            wrong["student"] = ["There is no such student."]
        if wrong:
            raise ValidationError(wrong)
        repositories_students.enroll_student(tenant_id, student_id, lecture_id)
        rows = repositories_lectures.enrolments_of(tenant_id, lecture_id=lecture_id, student_id=student_id)
        return Response(EnrolmentSerializer(rows.get()).data, status=201)


class LectureStudentsView(APIView):
    """Enrol up to 1,000 students in a lecture: all of them, or none if one of them does not exist."""

    roles = {"POST": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(
        request=EnrolmentsForm, responses=EnrolledAnswer, parameters=[OpenApiParameter("lecture_id", int, "path")]
    )
    def post(self, request: Request, lecture_id: int) -> Response:
        form = EnrolmentsForm(data=request.data)
        form.is_valid(raise_exception=True)
        tenant_id, students = caller_of(request).tenant_id, set(form.validated_data["students"])
        if not repositories_students.lecture_exists(tenant_id, lecture_id):
            raise NotFound("There is no such lecture.")
        try:
            enrolled = repositories_lectures.enroll_students(tenant_id, lecture_id, students)
        except repositories_lectures.UnknownStudentsError as problem:
            absent = ", ".join(map(str, problem.student_ids[:SHOWN_IDS]))
            raise ValidationError({"students": [f"There are no students with these ids: {absent}."]}) from None
        return Response({"enrolled": enrolled, "already": len(students) - enrolled})


class EnrolmentDetailView(APIView):
    roles = {"DELETE": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(responses={204: None}, parameters=[OpenApiParameter("enrolment_id", int, "path")])
    def delete(self, request: Request, enrolment_id: int) -> Response:
        if not repositories_lectures.delete_enrolment(caller_of(request).tenant_id, enrolment_id):
            raise NotFound("There is no such enrolment.")
        audit_as(request, Event.ENROLMENT_DELETED, subject=f"enrolment:{enrolment_id}")
        return Response(status=204)
