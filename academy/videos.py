"""The life of a video. `academy.lifecycle` has what it shares with that of a job."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from academy import quotas
from academy.adapters.db.django import repositories_video
from academy.adapters.queue.sqs import VIDEO_QUEUE
from academy.domain.jobs import JobStateError
from academy.domain.videos import ClaimedVideo, VideoStatus
from academy.lifecycle import Lifecycle

LIFE = Lifecycle(
    repositories_video.published_videos,
    lock=repositories_video.lock_video,
    claimed=repositories_video.claimed,
    row_of=repositories_video.row_of,
    queue_of=lambda _video: VIDEO_QUEUE,
)

claim = LIFE.claim
mend = LIFE.mend


def announce(tenant_id: int, session_id: int, **fields: Any) -> int:
    """Write a video whose file is still to be uploaded, and return its id. No feed knows of it until it arrives."""
    video = repositories_video.new_video(tenant_id, session_id, **fields)
    with transaction.atomic():
        LIFE.insert(video)
    return video.pk


def submit(tenant_id: int, session_id: int, **fields: Any) -> int:
    """Write a video whose file is stored, and return its id.

    Its record leaves at the commit, and its message when it is its turn. Raises QuotaError.
    """
    video = repositories_video.new_video(tenant_id, session_id, uploaded_at=timezone.now(), **fields)
    with transaction.atomic():
        LIFE.insert(video)
        quotas.check(tenant_id, storage=True)
    return video.pk


def mark_uploaded(tenant_id: int, video_id: int, size: int) -> bool:
    """The file of an announced video has arrived, with these bytes. False if there is no such video.

    It is counted now, whether its announcement still counts or not. Raises JobStateError, QuotaError.
    """
    with transaction.atomic():
        video = repositories_video.lock_video(tenant_id, video_id)
        if video is None:
            return False
        if video.uploaded_at is not None:
            raise JobStateError("uploaded_already", "The file of this video has been uploaded already.")
        if VideoStatus(video.status).terminal:
            raise JobStateError("video_ended", f"This upload was cancelled ({video.status}): announce it again.")
        # Later than its row, whatever the clocks of two hosts say: this tells that it was announced.
        arrived = max(timezone.now(), video.created_at + timedelta.resolution)
        LIFE.begin(video, uploaded_at=arrived, size=size)
        quotas.check(tenant_id, storage=True)
    return True


def finish(video: ClaimedVideo, *, hls_path: str, duration: float, made_bytes: int = 0) -> None:
    """READY, to be played from there; `made_bytes` are stored for it. Raises AttemptSupersededError."""
    LIFE.end(
        video,
        VideoStatus.READY,
        error=None,
        hls_path=hls_path,
        duration=duration,
        made_bytes=made_bytes,
        encoding_seconds=repositories_video.counted_seconds(duration),
        encoding_reserved=0,
    )


def fail(video: ClaimedVideo, code: str, message: str) -> None:
    """FAILED, with the reason. What was made of it is deleted by a worker. Raises AttemptSupersededError."""
    error = {"code": code, "message": message}
    LIFE.end(video, VideoStatus.FAILED, error=error, files_due_at=timezone.now())


def give_back(video: ClaimedVideo, pause: float = 0.0) -> None:
    """PENDING, as the next attempt, whose message comes after `pause` seconds. Raises AttemptSupersededError."""
    LIFE.give_back(video, pause)


def cancel(tenant_id: int, video_id: int) -> bool:
    """CANCELLED; a worker that encodes it stops within a second, and a worker deletes what was made of it.

    False if there is no such video. Raises JobStateError.
    """
    with transaction.atomic():
        video = repositories_video.lock_video(tenant_id, video_id)
        if video is None:
            return False
        if VideoStatus(video.status).terminal:
            raise JobStateError("video_ended", f"There is nothing to cancel: the video is {video.status}.")
        LIFE.cancel(video, files_due_at=_files_due_at(video.uploaded_at))
    return True


def delete(tenant_id: int, video_id: int) -> bool:
    """Delete a video in whatever state: nobody sees it any more, and its bytes do not count. False if there is none.

    The bytes of an announced one count until its address expires, since the storage takes the file again until then.
    A worker deletes its files. One that encodes it stops within a second, since its attempt is overtaken: the record of
    the end is that of the next attempt, so it also comes after one that was READY.
    """
    with transaction.atomic():
        video = repositories_video.lock_video(tenant_id, video_id)
        if video is None:
            return False
        due_at = _files_due_at(video.uploaded_at)
        LIFE.cancel(video, attempt=video.attempt + 1, deleted_at=timezone.now(), files_due_at=due_at)
    return True


def retry(tenant_id: int, video_id: int) -> bool:
    """PENDING again, as the next attempt. False if there is none. Raises JobStateError, QuotaError."""
    with transaction.atomic():
        video = repositories_video.lock_video(tenant_id, video_id)
        if video is None:
            return False
        if video.status not in {VideoStatus.FAILED, VideoStatus.CANCELLED}:
            raise JobStateError(
                "video_not_failed", f"Only a failed or cancelled video is tried again; this is {video.status}."
            )
        if video.uploaded_at is None:
            raise JobStateError("not_uploaded", "The file of this video was never uploaded: upload it anew.")
        LIFE.retry(video, encoding_counted=False)
        quotas.check(tenant_id)
    return True


def _files_due_at(uploaded_at: datetime | None) -> datetime | None:
    """When a worker is to delete the files of a video that ends. One that was only announced has but its upload."""
    return timezone.now() if uploaded_at is not None else None
