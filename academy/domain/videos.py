"""The rules of videos: their states, where their files are, and what their records show."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

VIDEO_ENCODING = "video_encoding"
UPLOAD_FOLDER, MADE_FOLDER = "uploads/videos", "videos"
"""The storage's folders of uploaded files and of encoded files. Each has a folder in it for each academy."""
UPLOAD_SECONDS = 3600
"""How long the address of an announced upload is valid. The file counts as stored for that time, even if it is not
there yet."""


class VideoStatus(StrEnum):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    READY = "READY"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        return self not in {VideoStatus.PENDING, VideoStatus.PROCESSING}


@dataclass(frozen=True, slots=True)
class ClaimedVideo:
    """A claimed video, which this process encodes. Implements `Claimed`."""

    tenant_id: int
    video_id: int
    attempt: int
    title: str
    source: str
    """The name of the uploaded file in the storage."""

    @property
    def job_type(self) -> str:
        return VIDEO_ENCODING

    @property
    def topic(self) -> str:
        return video_topic(self.video_id)

    @property
    def shown(self) -> dict[str, Any]:
        return shown_data(self.title)

    @property
    def folder(self) -> str:
        """The storage's folder of what this attempt encodes. Each attempt has its own."""
        return f"{video_folder(self.tenant_id, self.video_id)}/{self.attempt}"


def still_needs(attempt: int, status: str, current: int) -> bool:
    """Return whether the files of `attempt` are still needed, for a video with this status in its attempt `current`."""
    return attempt > current or (attempt == current and status not in {VideoStatus.FAILED, VideoStatus.CANCELLED})


def video_topic(video_id: int) -> str:
    return f"video:{video_id}"


def video_folder(tenant_id: int, video_id: int) -> str:
    """Return the storage's folder of all encoded files of a video."""
    return f"{MADE_FOLDER}/{tenant_id}/{video_id}"


def shown_data(title: str) -> dict[str, Any]:
    return {"job_type": VIDEO_ENCODING, "title": title}


def deleted_data(title: str) -> dict[str, Any]:
    """Return the data of a deleted video's record, which is CANCELLED in an attempt that never runs."""
    return shown_data(title) | {"deleted": True}


def ready_data(title: str, hls_path: str, duration: float | None) -> dict[str, Any]:
    return shown_data(title) | {"hls_path": hls_path, "duration": duration}
