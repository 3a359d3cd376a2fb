"""The representations of videos in the API, and the forms of the requests."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from academy.domain.videos import made_attempt
from apps.support.video.models import Video
from apps.support.video.playback import Playable, playback_address


class VideoSerializer(serializers.ModelSerializer[Video]):
    session_title = serializers.CharField(source="session.title")
    lecture_id = serializers.IntegerField(source="session.lecture_id")
    replaces_id = serializers.IntegerField(
        allow_null=True, help_text="The video whose place this one takes when it is READY, or has taken."
    )
    listed_at = serializers.SerializerMethodField(
        help_text="Orders the lists: when this video, or the first one in its place, was created."
    )
    error_code = serializers.SerializerMethodField()
    error_reason = serializers.SerializerMethodField()
    hls_url = serializers.SerializerMethodField(help_text="Valid for six hours.")
    thumbnail_url = serializers.SerializerMethodField(help_text="Valid for six hours.")

    class Meta:
        model = Video
        fields = (
            "id",
            "title",
            "session_id",
            "session_title",
            "lecture_id",
            "status",
            "attempt",
            "file_name",
            "size",
            "duration",
            "hls_path",
            "hls_url",
            "thumbnail_url",
            "error_code",
            "error_reason",
            "created_at",
            "uploaded_at",
            "finished_at",
            "replaces_id",
            "listed_at",
        )

    def get_listed_at(self, video: Video) -> datetime:
        return timezone.localtime(video.listed_at or video.created_at)

    def get_error_code(self, video: Video) -> str | None:
        return str(video.error["code"]) if video.error else None

    def get_error_reason(self, video: Video) -> str | None:
        return str(video.error["message"]) if video.error else None

    def get_hls_url(self, video: Video) -> str | None:
        return _address(video, "master.m3u8")

    def get_thumbnail_url(self, video: Video) -> str | None:
        return _address(video, "thumbnail.jpg")


def _address(video: Video, name: str) -> str | None:
    if video.status != "READY":
        return None
    made = made_attempt(video.hls_path, video.attempt)
    return playback_address(Playable(video.tenant_id, video.pk, made), name)


class RenameForm(serializers.Serializer[Any]):
    """The fields of a video that may be changed."""

    title = serializers.CharField(max_length=100)


class VideoForm(serializers.Serializer[Any]):
    """A new video for a lesson (`session`), or for a new lesson of a `lecture`, or in place of a video (`replaces`).

    With `replaces`, the new video gets the title of the replaced one, and `title` is refused. Else `title` is required.
    """

    title = serializers.CharField(max_length=100, required=False)
    session = serializers.IntegerField(min_value=1, required=False)
    lecture = serializers.IntegerField(min_value=1, required=False)
    replaces = serializers.IntegerField(min_value=1, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs.keys() & {"session", "lecture", "replaces"}) != 1:
            sentence = "Name the lesson (session), the lecture, or the video to replace (replaces), one of them."
            raise serializers.ValidationError({"session": [sentence]})
        if "replaces" in attrs and "title" in attrs:
            raise serializers.ValidationError({"title": ["A video that replaces another keeps the title of that one."]})
        if "replaces" not in attrs and "title" not in attrs:
            raise serializers.ValidationError({"title": [self.fields["title"].error_messages["required"]]})
        return attrs


class UploadForm(VideoForm):
    """A multipart form that contains the file."""

    file = serializers.FileField(allow_empty_file=True)


class PresignedForm(VideoForm):
    """A JSON form, which announces a file. The client then uploads the file to the address in the answer."""

    file_name = serializers.CharField(max_length=200)
    size = serializers.IntegerField(min_value=1)
