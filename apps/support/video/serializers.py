"""The representations of videos in the API, and the forms for new ones."""

from typing import Any

from rest_framework import serializers

from academy.domain.videos import made_attempt
from apps.support.video.models import Video
from apps.support.video.playback import Playable, playback_address


class VideoSerializer(serializers.ModelSerializer[Video]):
    session_title = serializers.CharField(source="session.title")
    lecture_id = serializers.IntegerField(source="session.lecture_id")
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
        )

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
    """A new video for a lesson (`session`), or for a new lesson of a `lecture`."""

    title = serializers.CharField(max_length=100)
    session = serializers.IntegerField(min_value=1, required=False)
    lecture = serializers.IntegerField(min_value=1, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("session" in attrs) == ("lecture" in attrs):
            raise serializers.ValidationError({"session": ["Name the lesson (session) or the lecture, one of them."]})
        return attrs


class UploadForm(VideoForm):
    """A multipart form that contains the file."""

    file = serializers.FileField(allow_empty_file=True)


class PresignedForm(VideoForm):
    """A JSON form, which announces a file. The client then uploads the file to the address in the answer."""

    file_name = serializers.CharField(max_length=200)
    size = serializers.IntegerField(min_value=1)
