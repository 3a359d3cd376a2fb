"""Views of videos in the database: list, detail, upload, retry, cancel, delete. Progress is pushed to clients."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from academy import videos
from academy.adapters.db.django import repositories_video
from academy.domain.jobs import JobStateError
from academy.domain.roles import EVERYONE, FACULTY
from academy.domain.videos import VideoStatus, video_topic
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.authentication import caller_of
from apps.core.errors import ApiError
from apps.core.openapi import extend_schema
from apps.core.parsers import BoundedJSONParser, CheckedMultiPartParser
from apps.core.query_params import number_param
from apps.core.tokens import Caller
from apps.support.video.models import Video
from apps.support.video.serializers import PresignedForm, RenameForm, UploadForm, VideoSerializer
from apps.support.video.views.new_videos import (
    answer_with,
    audit_begun,
    audit_replacement,
    check_size,
    expect_upload,
    take_upload,
)
from config.form_size import FORM_BYTES


class VideoListView(ListAPIView[Video]):
    """The videos, filtered by `?status=`, `?session=` and `?lecture=`.

    Students and parents see only the READY videos of their lectures.

    `POST` creates a video. A multipart form contains the `file` itself. JSON announces a file with `file_name` and
    `size`: the answer says in `upload` where to send the file. After that, `POST …/{id}/uploaded/` begins the encoding.

    With `replaces`, the new video replaces another one. The other one stays as it is until the new one is READY.
    """

    roles = {"GET": EVERYONE, "POST": FACULTY}  # noqa: RUF012 - read only
    serializer_class = VideoSerializer
    parser_classes = (CheckedMultiPartParser, BoundedJSONParser)

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
        with conflicts():
            made = take_upload(caller, sent) if multipart else expect_upload(caller, sent)
        audit_replacement(request, made)
        return answer_with(caller, made)


class VideoDetailView(APIView):
    """One video. `GET` also updates the video's record in Redis, if the record was lost or is older than the row.

    `PATCH` changes the title of a video that is READY, FAILED or CANCELLED. `DELETE` deletes a video in any state, and
    the video that is to replace it, if there is one. A worker deletes the files of both afterwards.

    For a video that was replaced, the answer is 404 `video_replaced`, and `replaced_by` is the video in its place.
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
        deleted = videos.delete(caller_of(request).tenant_id, video_id)
        if not deleted:
            raise no_such_video(caller_of(request), video_id)
        for one in deleted:
            audit_as(request, Event.VIDEO_DELETED, subject=video_topic(one))
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
        return begin(request, video, lambda: videos.mark_uploaded(video.tenant_id, video_id, size))


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
        video = find_video(request, video_id)
        return begin(request, video, lambda: videos.retry(video.tenant_id, video_id))


def visible_videos(caller: Caller) -> QuerySet[Video]:
    if caller.role in FACULTY:
        return repositories_video.videos_of(caller.tenant_id)
    return repositories_video.videos_watched_by(caller.tenant_id, caller.user_id)


def find_video(request: Request, video_id: int) -> Video:
    caller = caller_of(request)
    video = visible_videos(caller).filter(pk=video_id).first()
    if video is None:
        raise no_such_video(caller, video_id)
    return video


def no_such_video(caller: Caller, video_id: int) -> Exception:
    """Return the error for a video that does not exist.

    If the video was replaced, and the caller may see the new video, the error names the new video.
    """
    new_id = repositories_video.video_in_place_of(caller.tenant_id, video_id)
    if new_id is None or not visible_videos(caller).filter(pk=new_id).exists():
        return NotFound("There is no such video.")
    return ApiError(404, "video_replaced", f"This video was replaced by video {new_id}.", more={"replaced_by": new_id})


def begin(request: Request, video: Video, work: Callable[[], bool]) -> Response:
    """Call `work`, which begins an encoding, and answer with the video. If `work` returns False, answer 404.

    If the video is to replace another one, write into the audit log that the caller has begun the replacement.
    """

    def audited() -> bool:
        done = work()
        if done and video.replaces_id is not None:
            audit_begun(request, video.replaces_id, video.pk)
        return done

    return change(request, video.pk, audited)


def change(request: Request, video_id: int, work: Callable[[], bool]) -> Response:
    with conflicts():
        if not work():
            raise no_such_video(caller_of(request), video_id)
    return Response(VideoSerializer(find_video(request, video_id)).data)


@contextmanager
def conflicts() -> Iterator[None]:
    """Answer 409 if the block raises JobStateError: a video's state does not allow the request."""
    try:
        yield
    except JobStateError as problem:
        raise ApiError(409, problem.code, str(problem)) from None
