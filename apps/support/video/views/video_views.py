"""Views of videos in the database: list, detail, upload, retry, cancel, delete. Progress is pushed to clients."""

from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy import quotas, videos
from academy.adapters.db.django import repositories_lectures, repositories_video
from academy.adapters.storage.presigned import CONTENT_TYPE, presigned_upload
from academy.domain.jobs import JobStateError
from academy.domain.roles import EVERYONE, FACULTY
from academy.domain.videos import VideoStatus
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.authentication import caller_of
from apps.core.errors import ApiError
from apps.core.openapi import extend_schema
from apps.core.parsers import BoundedJSONParser
from apps.core.query_params import number_param
from apps.core.tokens import Caller
from apps.support.video.models import Video
from apps.support.video.serializers import PresignedForm, RenameForm, UploadForm, VideoSerializer
from apps.support.video.services.files import shown_name, source_name
from config.form_size import FORM_BYTES


class VideoListView(ListAPIView[Video]):
    """The videos, filtered by `?status=`, `?session=` and `?lecture=`.

    Students and parents see only the READY videos of their lectures.

    `POST` creates a video. A multipart form contains the `file` itself. JSON announces a file with `file_name` and
    `size`: the answer says in `upload` where to send the file. After that, `POST …/{id}/uploaded/` begins the encoding.
    """

    roles = {"GET": EVERYONE, "POST": FACULTY}  # noqa: RUF012 - read only
    serializer_class = VideoSerializer
    parser_classes = (MultiPartParser, BoundedJSONParser)

    @staticmethod
    def max_upload_bytes() -> int:
        return int(settings.MAX_VIDEO_BYTES) + FORM_BYTES

    def get_queryset(self) -> Any:
        status = self.request.query_params.get("status")
        if status is not None and status not in VideoStatus.__members__:
            raise ApiError(400, "invalid", f"status is one of {', '.join(VideoStatus)}.")
        wanted = {
            "status": status,
            "session_id": number_param(self.request, "session"),
            "session__lecture_id": number_param(self.request, "lecture"),
        }
        found = visible_videos(caller_of(self.request))
        return found.filter(**{name: value for name, value in wanted.items() if value is not None})

    @extend_schema(
        request={"multipart/form-data": UploadForm, "application/json": PresignedForm},
        responses={202: VideoSerializer, 201: OpenApiResponse(OpenApiTypes.OBJECT)},
    )
    def post(self, request: Request) -> Response:
        multipart = (request.content_type or "").startswith("multipart/")
        if multipart and "file" not in request.data:
            raise ApiError(400, "file_missing", "No file was sent: choose a video.")
        form = (UploadForm if multipart else PresignedForm)(data=request.data)
        form.is_valid(raise_exception=True)
        sent = form.validated_data
        check_size(sent["file"].size if multipart else sent["size"])
        caller = caller_of(request)
        return take_upload(caller, sent) if multipart else expect_upload(caller, sent)


class VideoDetailView(APIView):
    """One video. `GET` also updates the video's record in Redis, if the record was lost or is older than the row.

    `PATCH` changes the title of a video that is READY, FAILED or CANCELLED. `DELETE` deletes a video in any state. A
    worker deletes its files afterwards.
    """

    roles = {"GET": EVERYONE, "PATCH": FACULTY, "DELETE": FACULTY}  # noqa: RUF012 - read only

    @extend_schema(responses=VideoSerializer, parameters=[OpenApiParameter("video_id", int, "path")])
    def get(self, request: Request, video_id: int) -> Response:
        video = find_video(request, video_id)
        videos.mend(video)
        return Response(VideoSerializer(video).data)

    @extend_schema(
        request=RenameForm, responses=VideoSerializer, parameters=[OpenApiParameter("video_id", int, "path")]
    )
    def patch(self, request: Request, video_id: int) -> Response:
        form = RenameForm(data=request.data)
        form.is_valid(raise_exception=True)
        tenant_id, title = caller_of(request).tenant_id, form.validated_data["title"]
        return change(request, video_id, lambda: videos.rename(tenant_id, video_id, title))

    @extend_schema(responses={204: None}, parameters=[OpenApiParameter("video_id", int, "path")])
    def delete(self, request: Request, video_id: int) -> Response:
        if not videos.delete(caller_of(request).tenant_id, video_id):
            raise NotFound("There is no such video.")
        audit_as(request, Event.VIDEO_DELETED, subject=f"video:{video_id}")
        return Response(status=204)


class VideoUploadedView(APIView):
    """Begin the encoding of an announced video, after the client has uploaded the file to the storage."""

    roles = {"POST": FACULTY}  # noqa: RUF012 - read only

    @extend_schema(request=None, responses=VideoSerializer, parameters=[OpenApiParameter("video_id", int, "path")])
    def post(self, request: Request, video_id: int) -> Response:
        video = find_video(request, video_id)
        size = default_storage.size(video.source) if default_storage.exists(video.source) else None
        if size is None or size != video.size:
            raise ApiError(409, "not_uploaded", f"The file of {video.size} bytes has not arrived yet: upload it first.")
        return change(request, video_id, lambda: videos.mark_uploaded(video.tenant_id, video_id, size))


class VideoCancelView(APIView):
    """Cancel the processing of a video. The video itself is not deleted.

    A running encoding stops within a second. The encoded files are deleted, and the uploaded file is kept, so that the
    video can be encoded again. If the processing has already ended, the answer is 409.
    """

    roles = {"POST": FACULTY}  # noqa: RUF012 - read only

    @extend_schema(request=None, responses=VideoSerializer, parameters=[OpenApiParameter("video_id", int, "path")])
    def post(self, request: Request, video_id: int) -> Response:
        tenant_id = caller_of(request).tenant_id
        return change(request, video_id, lambda: videos.cancel(tenant_id, video_id))


class VideoRetryView(APIView):
    """Encode a failed or cancelled video again, as its next attempt."""

    roles = {"POST": FACULTY}  # noqa: RUF012 - read only

    @extend_schema(request=None, responses=VideoSerializer, parameters=[OpenApiParameter("video_id", int, "path")])
    def post(self, request: Request, video_id: int) -> Response:
        tenant_id = caller_of(request).tenant_id
        return change(request, video_id, lambda: videos.retry(tenant_id, video_id))


def visible_videos(caller: Caller) -> QuerySet[Video]:
    if caller.role in FACULTY:
        return repositories_video.videos_of(caller.tenant_id)
    return repositories_video.videos_watched_by(caller.tenant_id, caller.user_id)


def find_video(request: Request, video_id: int) -> Video:
    video = visible_videos(caller_of(request)).filter(pk=video_id).first()
    if video is None:
        raise NotFound("There is no such video.")
    return video


def shown(caller: Caller, video_id: int) -> dict[str, Any]:
    video = repositories_video.videos_of(caller.tenant_id).filter(pk=video_id).first()
    if video is None:  # it was deleted during this request
        raise NotFound("There is no such video.")
    return dict(VideoSerializer(video).data)


def check_size(size: int) -> None:
    if size == 0:
        raise ApiError(400, "empty_file", "The file is empty: choose the video again.")
    if size > settings.MAX_VIDEO_BYTES:
        most = settings.MAX_VIDEO_BYTES // 1_000_000
        raise ApiError(413, "too_large", f"The video is larger than {most} MB: export it with a lower quality.")


def take_upload(caller: Caller, sent: dict[str, Any]) -> Response:
    file = cast("File[bytes]", sent["file"])
    check_place(caller.tenant_id, sent)
    quotas.check_before(caller.tenant_id, adds_bytes=file.size, encodes=True)
    file.content_type = CONTENT_TYPE  # type: ignore[attr-defined]  # else a bucket keeps the type that was sent
    stored = default_storage.save(source_name(caller.tenant_id), file)
    try:
        with transaction.atomic():
            video_id = videos.submit(
                caller.tenant_id,
                lesson_of(caller.tenant_id, sent),
                title=sent["title"],
                file_name=shown_name(file.name or ""),
                source=stored,
                size=file.size,
                created_by_id=caller.user_id,
            )
    except Exception:
        default_storage.delete(stored)
        raise
    return Response(shown(caller, video_id), status=202)


def expect_upload(caller: Caller, sent: dict[str, Any]) -> Response:
    name = source_name(caller.tenant_id)
    upload = presigned_upload(name, sent["size"])
    if upload is None:
        raise ApiError(
            409, "no_presigned_upload", "Files are kept in a folder of this server: send the file as multipart instead."
        )
    check_place(caller.tenant_id, sent)
    quotas.check_before(caller.tenant_id, encodes=True)
    with transaction.atomic():
        video_id = videos.announce(
            caller.tenant_id,
            lesson_of(caller.tenant_id, sent),
            title=sent["title"],
            file_name=shown_name(sent["file_name"]),
            source=name,
            size=sent["size"],
            created_by_id=caller.user_id,
        )
        quotas.check_announced(caller.tenant_id, caller.user_id)
    return Response({**shown(caller, video_id), "upload": upload}, status=201)


def check_place(tenant_id: int, sent: dict[str, Any]) -> None:
    """Raise ValidationError if the lesson or lecture does not exist. Call this before a large file is stored."""
    if "session" in sent and not repositories_lectures.session_exists(tenant_id, sent["session"]):
        raise serializers.ValidationError({"session": ["There is no such lesson."]})
    if "lecture" in sent and repositories_lectures.find_lecture(tenant_id, sent["lecture"]) is None:
        raise serializers.ValidationError({"lecture": ["There is no such lecture."]})


def lesson_of(tenant_id: int, sent: dict[str, Any]) -> int:
    """Return the id of a new video's lesson. If the form names a lecture, add a lesson to that lecture.

    Call this in the transaction that creates the video. Raises ApiError if the lesson or lecture was deleted after
    `check_place`, for instance while the file was being stored.
    """
    if "session" in sent:
        if not repositories_lectures.lock_session(tenant_id, sent["session"]):
            raise ApiError(409, "lesson_gone", "The lesson was deleted while its video arrived: choose another one.")
        return int(sent["session"])
    session = repositories_lectures.add_session(tenant_id, sent["lecture"], sent["title"])
    if session is None:
        raise ApiError(409, "lecture_gone", "The lecture was deleted while its video arrived: choose another one.")
    return session.pk


def change(request: Request, video_id: int, work: Callable[[], bool]) -> Response:
    try:
        if not work():
            raise NotFound("There is no such video.")
    except JobStateError as problem:
        raise ApiError(409, problem.code, str(problem)) from None
    return Response(VideoSerializer(find_video(request, video_id)).data)
