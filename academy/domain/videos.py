"""The rules of videos: their states, where their files are, and what their records show."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

VIDEO_ENCODING = "video_encoding"
UPLOAD_FOLDER, MADE_FOLDER = "uploads/videos", "videos"
"""The folders of the storage for uploaded and for encoded files. Both have a subfolder for each academy."""
UPLOAD_SECONDS = 3600
"""How long the address of an announced upload is valid. During that time the file counts as stored, even if it has not
arrived."""


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
    replaces_id: int | None = None
    """The video whose place this one takes when it is READY."""
    created_by_id: int | None = None
    """The account that uploaded it."""

    @property
    def job_type(self) -> str:
        return VIDEO_ENCODING

    @property
    def topic(self) -> str:
        return video_topic(self.video_id)

    @property
    def shown(self) -> dict[str, Any]:
        return shown_data(self.title, self.replaces_id)

    @property
    def folder(self) -> str:
        """The folder in the storage for the encoded files of this attempt."""
        return f"{video_folder(self.tenant_id, self.video_id)}/{self.attempt}"


def still_needs(attempt: int, status: str, current: int) -> bool:
    """Return whether the files of `attempt` are needed by a video that now has this status and attempt `current`."""
    return attempt > current or (attempt == current and status not in {VideoStatus.FAILED, VideoStatus.CANCELLED})


def made_attempt(hls_path: str, attempt: int) -> int:
    """Return the attempt that made the playlist at `hls_path`. If the path names none, return `attempt`.

    A change of the title is a new attempt of a READY video, but makes no new files.
    """
    found = re.search(r"/([1-9][0-9]{0,8})/master\.m3u8$", hls_path, re.ASCII)
    return int(found[1]) if found else attempt


def video_topic(video_id: int) -> str:
    return f"video:{video_id}"


def video_folder(tenant_id: int, video_id: int) -> str:
    """Return the folder in the storage for all encoded files of a video."""
    return f"{MADE_FOLDER}/{tenant_id}/{video_id}"


def shown_data(title: str, replaces_id: int | None = None) -> dict[str, Any]:
    """Return the data that each record of a video has. `replaces_id` is the video whose place it takes or has taken."""
    return {"job_type": VIDEO_ENCODING, "title": title} | ({"replaces": replaces_id} if replaces_id else {})


def deleted_data(title: str, replaces_id: int | None = None, replaced_by_id: int | None = None) -> dict[str, Any]:
    """Return the data of the last record of a deleted video. `replaced_by_id` is the video that has taken its place.

    The record has the status CANCELLED and the number of an attempt that never runs.
    """
    replaced_by = {"replaced_by": replaced_by_id} if replaced_by_id else {}
    return shown_data(title, replaces_id) | {"deleted": True} | replaced_by


def ready_data(title: str, hls_path: str, duration: float | None, replaces_id: int | None = None) -> dict[str, Any]:
    return shown_data(title, replaces_id) | {"hls_path": hls_path, "duration": duration}
