"""The lessons of lectures: list, create, rename, delete."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.adapters.db.django import repositories_lectures
from academy.domain.roles import FACULTY, OFFICE
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.authentication import caller_of
from apps.core.errors import ApiError
from apps.core.openapi import extend_schema
from apps.domains.lectures.models import Session
from apps.domains.lectures.serializers import LessonSerializer

OF_A_LECTURE = [OpenApiParameter("lecture_id", int, "path")]
ONE = [OpenApiParameter("lesson_id", int, "path")]


class LessonListView(ListAPIView[Session]):
    """The lessons of a lecture, in their order. `POST` adds one at the end."""

    roles = {"GET": FACULTY, "POST": OFFICE}  # noqa: RUF012 - read only
    serializer_class = LessonSerializer

    def get_queryset(self) -> Any:
        return repositories_lectures.lessons_of(
            caller_of(self.request).tenant_id, lecture_id=self.kwargs.get("lecture_id", 0)
        )

    @extend_schema(parameters=OF_A_LECTURE)
    def get(self, request: Request, lecture_id: int) -> Response:
        if repositories_lectures.find_lecture(caller_of(request).tenant_id, lecture_id) is None:
            raise NotFound("There is no such lecture.")
        return self.list(request)

    @extend_schema(request=LessonSerializer, responses={201: LessonSerializer}, parameters=OF_A_LECTURE)
    def post(self, request: Request, lecture_id: int) -> Response:
        form = LessonSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        title = form.validated_data["title"]
        lesson = repositories_lectures.add_session(caller_of(request).tenant_id, lecture_id, title)
        if lesson is None:
            raise NotFound("There is no such lecture.")
        return Response(LessonSerializer(lesson).data, status=201)


class LessonDetailView(APIView):
    """One lesson. `PATCH` renames it, and `DELETE` deletes it.

    `DELETE` answers 409 if the lesson has videos, or if one of its videos was deleted in the last two days.
    """

    roles = {"GET": FACULTY, "PATCH": OFFICE, "DELETE": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(responses=LessonSerializer, parameters=ONE)
    def get(self, request: Request, lesson_id: int) -> Response:
        lesson = repositories_lectures.lessons_of(caller_of(request).tenant_id, session_id=lesson_id).first()
        if lesson is None:
            raise NotFound("There is no such lesson.")
        return Response(LessonSerializer(lesson).data)

    @extend_schema(request=LessonSerializer, responses=LessonSerializer, parameters=ONE)
    def patch(self, request: Request, lesson_id: int) -> Response:
        form = LessonSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        repositories_lectures.rename_session(caller_of(request).tenant_id, lesson_id, form.validated_data["title"])
        return self.get(request, lesson_id)

    @extend_schema(responses={204: None}, parameters=ONE)
    def delete(self, request: Request, lesson_id: int) -> Response:
        try:
            if not repositories_lectures.delete_session(caller_of(request).tenant_id, lesson_id):
                raise NotFound("There is no such lesson.")
        except repositories_lectures.HasVideosError:
            raise ApiError(
                409,
                "has_videos",
                "The lesson has videos, or some were deleted in the last two days: it stays for them.",
            ) from None
        audit_as(request, Event.LESSON_DELETED, subject=f"lesson:{lesson_id}")
        return Response(status=204)
