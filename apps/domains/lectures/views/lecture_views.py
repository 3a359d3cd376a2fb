"""Lectures: list, detail, create, change, search, delete. Also the lectures of students and parents."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.adapters.db.django import repositories_lectures
from academy.domain.roles import FACULTY, OFFICE, Role
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.authentication import caller_of
from apps.core.errors import ApiError
from apps.core.openapi import extend_schema
from apps.core.query_params import flag_param, search_param
from apps.domains.lectures.models import Lecture
from apps.domains.lectures.serializers import LectureSerializer, MyLectureSerializer


class LectureListView(ListAPIView[Lecture]):
    """The lectures. `?search=` searches their titles. `?active=true` selects the active ones, `false` the archived."""

    roles = {"GET": FACULTY, "POST": OFFICE}  # noqa: RUF012 - read only
    serializer_class = LectureSerializer

    def get_queryset(self) -> Any:
        return repositories_lectures.lectures_of(
            caller_of(self.request).tenant_id,
            search=search_param(self.request),
            active=flag_param(self.request, "active"),
        )

    @extend_schema(request=LectureSerializer, responses={201: LectureSerializer})
    def post(self, request: Request) -> Response:
        form = LectureSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        lecture = repositories_lectures.create_lecture(caller_of(request).tenant_id, form.validated_data)
        return Response(LectureSerializer(lecture).data, status=201)


class MyLectureListView(ListAPIView[Lecture]):
    """The lectures that the caller, or a child of the caller, attends."""

    roles = {"GET": {Role.STUDENT, Role.PARENT}}  # noqa: RUF012 - read only
    serializer_class = MyLectureSerializer

    def get_queryset(self) -> Any:
        caller = caller_of(self.request)
        return repositories_lectures.lectures_attended(caller.tenant_id, caller.user_id)


class LectureDetailView(APIView):
    """One lecture. `DELETE` deletes it, with its lessons and enrolments.

    `DELETE` answers 409 if the lecture has videos, or if one of its videos was deleted in the last two days.
    """

    roles = {"GET": FACULTY, "PATCH": OFFICE, "DELETE": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(responses=LectureSerializer, parameters=[OpenApiParameter("lecture_id", int, "path")])
    def get(self, request: Request, lecture_id: int) -> Response:
        return self._answer(request, lecture_id)

    @extend_schema(request=LectureSerializer, responses=LectureSerializer)
    def patch(self, request: Request, lecture_id: int) -> Response:
        form = LectureSerializer(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        repositories_lectures.change_lecture(caller_of(request).tenant_id, lecture_id, form.validated_data)
        return self._answer(request, lecture_id)

    @extend_schema(responses={204: None}, parameters=[OpenApiParameter("lecture_id", int, "path")])
    def delete(self, request: Request, lecture_id: int) -> Response:
        try:
            if not repositories_lectures.delete_lecture(caller_of(request).tenant_id, lecture_id):
                raise NotFound("There is no such lecture.")
        except repositories_lectures.HasVideosError:
            raise ApiError(
                409,
                "has_videos",
                "The lecture has videos, or some were deleted in the last two days: archive it instead.",
            ) from None
        audit_as(request, Event.LECTURE_DELETED, subject=f"lecture:{lecture_id}")
        return Response(status=204)

    @staticmethod
    def _answer(request: Request, lecture_id: int) -> Response:
        lecture = repositories_lectures.find_lecture(caller_of(request).tenant_id, lecture_id)
        if lecture is None:
            raise NotFound("There is no such lecture.")
        return Response(LectureSerializer(lecture).data)
