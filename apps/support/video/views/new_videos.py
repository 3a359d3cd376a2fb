"""Creates videos: checks what was sent, stores the file or announces it, and inserts the row."""

from dataclasses import dataclass
from typing import Any, cast

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from academy import quotas, videos
from academy.adapters.db.django import repositories_lectures, repositories_video
from academy.adapters.storage.presigned import CONTENT_TYPE, presigned_upload
from academy.domain.videos import video_topic
from academy.videos import Place
from apps.core.audit import Event
from apps.core.audit_requests import audit_as
from apps.core.errors import ApiError
from apps.core.tokens import Caller
from apps.support.video.serializers import VideoSerializer
from apps.support.video.services.files import shown_name, source_name


def check_size(size: int) -> None:
    if size == 0:
        raise ApiError(400, "empty_file", "The file is empty: choose the video again.")
    if size > settings.MAX_VIDEO_BYTES:
        most = settings.MAX_VIDEO_BYTES // 1_000_000
        raise ApiError(413, "too_large", f"The video is larger than {most} MB: export it with a lower quality.")


@dataclass(frozen=True, slots=True)
class Made:
    """A new video: its id, where it goes, and if it was announced, where the client sends the file."""

    video_id: int
    place: Place
    upload: dict[str, Any] | None = None


def audit_replacement(request: Request, made: Made) -> None:
    """Write into the audit log that a replacement has begun, and which earlier replacement was deleted for it, if any.

    Do nothing if the new video does not replace another one.
    """
    if made.place.replaces_id is None:
        return
    if made.place.removed_id is not None:
        audit_as(request, Event.VIDEO_DELETED, subject=video_topic(made.place.removed_id))
    audit_begun(request, made.place.replaces_id, made.video_id)


def audit_begun(request: Request, replaces_id: int, video_id: int) -> None:
    """Write into the audit log that the caller has begun to replace a video, or has begun the next attempt to do so."""
    audit_as(request, Event.VIDEO_REPLACEMENT_BEGUN, subject=video_topic(replaces_id), replaced_by=video_id)


def answer_with(caller: Caller, made: Made) -> Response:
    """Return the answer to the request that made the video.

    Raises NotFound if somebody has deleted the video meanwhile, so write the audit log before you call this.
    """
    data = shown(caller, made.video_id)
    if made.upload is None:
        return Response(data, status=202)
    return Response({**data, "upload": made.upload}, status=201)


def take_upload(caller: Caller, sent: dict[str, Any]) -> Made:
    file = cast("File[bytes]", sent["file"])
    check_place(caller.tenant_id, sent)
    quotas.check_before(caller.tenant_id, adds_bytes=file.size, encodes=True)
    file.content_type = CONTENT_TYPE  # type: ignore[attr-defined]  # else a bucket keeps the type that was sent
    stored = default_storage.save(source_name(caller.tenant_id), file)
    try:
        with transaction.atomic():
            place = place_of(caller.tenant_id, sent)
            video_id = videos.submit(
                caller.tenant_id,
                place.session_id,
                title=place.title,
                replaces_id=place.replaces_id,
                file_name=shown_name(file.name or ""),
                source=stored,
                size=file.size,
                created_by_id=caller.user_id,
            )
    except Exception:
        default_storage.delete(stored)
        raise
    return Made(video_id, place)


def expect_upload(caller: Caller, sent: dict[str, Any]) -> Made:
    name = source_name(caller.tenant_id)
    upload = presigned_upload(name, sent["size"])
    if upload is None:
        raise ApiError(
            409, "no_presigned_upload", "Files are kept in a folder of this server: send the file as multipart instead."
        )
    check_place(caller.tenant_id, sent)
    quotas.check_before(caller.tenant_id, encodes=True)
    with transaction.atomic():
        place = place_of(caller.tenant_id, sent)
        video_id = videos.announce(
            caller.tenant_id,
            place.session_id,
            title=place.title,
            replaces_id=place.replaces_id,
            file_name=shown_name(sent["file_name"]),
            source=name,
            size=sent["size"],
            created_by_id=caller.user_id,
        )
        quotas.check_announced(caller.tenant_id, caller.user_id)
    return Made(video_id, place, upload)


def check_place(tenant_id: int, sent: dict[str, Any]) -> None:
    """Raise ValidationError if the lesson, the lecture, or the video to replace does not exist.

    Call this before a large file is stored. Raises JobStateError if the video cannot be replaced now.
    """
    if "replaces" in sent and not videos.check_replaceable(tenant_id, sent["replaces"]):
        raise serializers.ValidationError({"replaces": ["There is no such video."]})
    if "session" in sent and not repositories_lectures.session_exists(tenant_id, sent["session"]):
        raise serializers.ValidationError({"session": ["There is no such lesson."]})
    if "lecture" in sent and repositories_lectures.find_lecture(tenant_id, sent["lecture"]) is None:
        raise serializers.ValidationError({"lecture": ["There is no such lecture."]})


def place_of(tenant_id: int, sent: dict[str, Any]) -> Place:
    """Return where a new video goes. If the form names a lecture, add a lesson to that lecture.

    Call this in the transaction that creates the video. Raises ApiError if the lesson, the lecture, or the video to
    replace was deleted after `check_place`, for instance while the file was being stored. Raises JobStateError if the
    video cannot be replaced now.
    """
    if "replaces" in sent:
        place = videos.replace(tenant_id, sent["replaces"])
        if place is None:
            raise ApiError(
                409, "video_gone", "The video was deleted while its replacement arrived: upload it as a new video."
            )
        return place
    return Place(lesson_of(tenant_id, sent), sent["title"])


def lesson_of(tenant_id: int, sent: dict[str, Any]) -> int:
    """Return the id of the lesson that the form names, or of a new lesson of the lecture that it names."""
    if "session" in sent:
        if not repositories_lectures.lock_session(tenant_id, sent["session"]):
            raise ApiError(409, "lesson_gone", "The lesson was deleted while its video arrived: choose another one.")
        return int(sent["session"])
    session = repositories_lectures.add_session(tenant_id, sent["lecture"], sent["title"])
    if session is None:
        raise ApiError(409, "lecture_gone", "The lecture was deleted while its video arrived: choose another one.")
    return session.pk


def shown(caller: Caller, video_id: int) -> dict[str, Any]:
    video = repositories_video.videos_of(caller.tenant_id).filter(pk=video_id).first()
    if video is None:  # it was deleted during this request
        raise NotFound("There is no such video.")
    return dict(VideoSerializer(video).data)
