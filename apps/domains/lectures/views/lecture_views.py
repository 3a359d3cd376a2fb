"""Lectures: list, detail, create, change, search."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy.adapters.db.django import repositories_lectures
from academy.domain.roles import FACULTY, OFFICE
from apps.core.authentication import caller_of
from apps.core.openapi import extend_schema
from apps.core.query_params import search_param
from apps.domains.lectures.models import Lecture
from apps.domains.lectures.serializers import LectureSerializer


class LectureListView(ListAPIView[Lecture]):
    """The lectures. `?search=` searches their titles."""

    roles = {"GET": FACULTY, "POST": OFFICE}  # noqa: RUF012 - read only
    serializer_class = LectureSerializer

    def get_queryset(self) -> Any:
        return repositories_lectures.lectures_of(caller_of(self.request).tenant_id, search=search_param(self.request))

    @extend_schema(request=LectureSerializer, responses={201: LectureSerializer})
    def post(self, request: Request) -> Response:
        form = LectureSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        lecture = repositories_lectures.create_lecture(caller_of(request).tenant_id, form.validated_data)
        return Response(LectureSerializer(lecture).data, status=201)


class LectureDetailView(APIView):
    roles = {"GET": FACULTY, "PATCH": OFFICE}  # noqa: RUF012 - read only

    @extend_schema(responses=LectureSerializer, parameters=[OpenApiParameter("lecture_id", int, "path")])
    def get(self, request: Request, lecture_id: int) -> Response:
        return self._answer(request, lecture_id)

    @extend_schema(request=LectureSerializer, responses=LectureSerializer)
    def patch(self, request: Request, lecture_id: int) -> Response:
        form = LectureSerializer(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        repositories_lectures.change_lecture(caller_of(request).tenant_id, lecture_id, form.validated_data)
        return self._answer(request, lecture_id)

    @staticmethod
    def _answer(request: Request, lecture_id: int) -> Response:
        lecture = repositories_lectures.find_lecture(caller_of(request).tenant_id, lecture_id)
        if lecture is None:
            raise NotFound("There is no such lecture.")
        return Response(LectureSerializer(lecture).data)
