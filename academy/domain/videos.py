"""What holds for videos: their states, and what everybody who may watch one sees of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

VIDEO_ENCODING = "video_encoding"
UPLOAD_FOLDER, MADE_FOLDER = "uploads/videos", "videos"
"""Where the storage keeps what was uploaded, and what was made of it; with a folder for each academy."""
UPLOAD_SECONDS = 3600
"""How long the address of an announced upload is good. So long the file counts as stored before it is there."""


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
    """A video that this process is to encode: nobody else holds this attempt of it. A `Claimed`."""

    tenant_id: int
    video_id: int
    attempt: int
    title: str
    source: str
    """Where the storage keeps what was uploaded."""

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
        """Where the storage keeps what this attempt makes; never another attempt's."""
        return f"{video_folder(self.tenant_id, self.video_id)}/{self.attempt}"


def still_needs(attempt: int, status: str, current: int) -> bool:
    """Whether a video that is in its attempt `current` needs what one of its attempts made."""
    return attempt > current or (attempt == current and status not in {VideoStatus.FAILED, VideoStatus.CANCELLED})


def video_topic(video_id: int) -> str:
    return f"video:{video_id}"


def video_folder(tenant_id: int, video_id: int) -> str:
    """Where the storage keeps everything that was made of a video."""
    return f"{MADE_FOLDER}/{tenant_id}/{video_id}"


def shown_data(title: str) -> dict[str, Any]:
    return {"job_type": VIDEO_ENCODING, "title": title}


def deleted_data(title: str) -> dict[str, Any]:
    """Of a video that was deleted. Its record is CANCELLED, of an attempt that nobody makes."""
    return shown_data(title) | {"deleted": True}


def ready_data(title: str, hls_path: str, duration: float | None) -> dict[str, Any]:
    return shown_data(title) | {"hls_path": hls_path, "duration": duration}
