"""The life of a video. Each step is one transaction that changes the row and says so through the outbox."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from academy import quotas
from academy.adapters.db.django import repositories_video
from academy.adapters.queue.sqs import VIDEO_QUEUE
from academy.dispatch import release_on_commit
from academy.domain.jobs import Claim, JobStateError
from academy.domain.videos import ClaimedVideo, VideoStatus, ready_data, video_topic
from apps.support.video.models import Video
from realtime.outbox import publish_status_on_commit


def submit_video(tenant_id: int, session_id: int, **fields: Any) -> Video:
    """Writes a video whose file is stored. Its record leaves at the commit, and its message when it is its turn.

    Raises QuotaError.
    """
    with transaction.atomic():
        video = repositories_video.create_video(tenant_id, session_id, uploaded_at=timezone.now(), **fields)
        _say_pending(video)
        quotas.check(tenant_id, storage=True)
    return video


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
        video.uploaded_at, video.size = max(timezone.now(), video.created_at + timedelta.resolution), size
        video.save(update_fields=["uploaded_at", "size", "updated_at"])
        _say_pending(video)
        quotas.check(tenant_id, storage=True)
    return True


def mark_processing(tenant_id: int, video_id: int, *, lease_alive: bool) -> ClaimedVideo | Claim:
    """Takes a video to encode it; says why not, if it is not to be had."""
    return repositories_video.claim(tenant_id, video_id, lease_alive=lease_alive)


def complete_video(video: ClaimedVideo, *, hls_path: str, duration: float, made_bytes: int = 0) -> None:
    """READY, to be played from there; `made_bytes` are stored for it. Raises AttemptSupersededError."""
    with transaction.atomic():
        repositories_video.save_ready(video, hls_path=hls_path, duration=duration, made_bytes=made_bytes)
        _say(video, VideoStatus.READY, ready_data(video.title, hls_path, duration))


def fail_video(video: ClaimedVideo, code: str, message: str) -> None:
    """FAILED, with the reason. What was made of it is deleted by a worker. Raises AttemptSupersededError."""
    error = {"code": code, "message": message}
    with transaction.atomic():
        repositories_video.save(video, status=VideoStatus.FAILED, error=error, files_due_at=timezone.now())
        _say(video, VideoStatus.FAILED, video.shown, error)


def give_back_video(video: ClaimedVideo, pause: float = 0.0) -> None:
    """PENDING, as the next attempt, whose message comes after `pause` seconds. Raises AttemptSupersededError."""
    with transaction.atomic():
        repositories_video.give_back(video, pause)
        publish_status_on_commit(
            tenant_id=video.tenant_id,
            topic=video.topic,
            attempt=video.attempt + 1,
            status=VideoStatus.PENDING,
            data=video.shown,
        )
        release_on_commit(VIDEO_QUEUE)  # others may go while it waits


def cancel_video(tenant_id: int, video_id: int) -> bool:
    """CANCELLED; a worker that encodes it stops within a second, and a worker deletes what was made of it.

    False if there is no such video. Raises JobStateError.
    """
    with transaction.atomic():
        row = repositories_video.lock_video(tenant_id, video_id)
        if row is None:
            return False
        if VideoStatus(row.status).terminal:
            raise JobStateError("video_ended", f"There is nothing to cancel: the video is {row.status}.")
        _cancel(row)
    return True


def delete_video(tenant_id: int, video_id: int) -> bool:
    """Delete a video in whatever state: nobody sees it any more, and its bytes do not count. False if there is none.

    The bytes of an announced one count until its address expires, since the storage takes the file again until then.
    A worker deletes its files. One that encodes it stops within a second, since its attempt is overtaken: the record of
    the end is that of the next attempt, so it also comes after one that was READY.
    """
    with transaction.atomic():
        row = repositories_video.lock_video(tenant_id, video_id)
        if row is None:
            return False
        row.deleted_at, row.attempt = timezone.now(), row.attempt + 1
        _cancel(row)
    return True


def _cancel(row: Video) -> None:
    """End a locked video, and say so. One that was only announced is in no feed, and has no files but its upload."""
    row.status, row.finished_at = VideoStatus.CANCELLED, timezone.now()
    if row.uploaded_at is not None:
        row.files_due_at = row.finished_at
    row.save(update_fields=["status", "attempt", "finished_at", "deleted_at", "files_due_at", "updated_at"])
    if row.uploaded_at is not None:
        _say(repositories_video.claimed(row), VideoStatus.CANCELLED, dict(repositories_video.state_of(row).data))


def retry_video(tenant_id: int, video_id: int) -> bool:
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
        video.status, video.attempt, video.error, video.finished_at = VideoStatus.PENDING, video.attempt + 1, None, None
        video.dispatched_at, video.encoding_counted = None, False
        video.save(
            update_fields=[
                *("status", "attempt", "error", "finished_at", "dispatched_at", "encoding_counted", "updated_at")
            ]
        )
        _say_pending(video)
        quotas.check(tenant_id)
    return True


def _say_pending(row: Video) -> None:
    video = repositories_video.claimed(row)
    _say(video, VideoStatus.PENDING, video.shown)
    release_on_commit(VIDEO_QUEUE)


def _say(video: ClaimedVideo, status: VideoStatus, data: dict[str, Any], error: dict[str, str] | None = None) -> None:
    publish_status_on_commit(
        tenant_id=video.tenant_id,
        topic=video_topic(video.video_id),
        attempt=video.attempt,
        status=status,
        data=data,
        error=error,
    )
    if status.terminal:
        release_on_commit(VIDEO_QUEUE)
