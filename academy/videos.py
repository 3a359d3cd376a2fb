"""The life cycle of a video. `academy.lifecycle` has the parts that jobs and videos share."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from academy import quotas
from academy.adapters.db.django import repositories_video
from academy.adapters.db.django.repositories_video import VideoRow
from academy.adapters.queue.sqs import VIDEO_QUEUE
from academy.domain.jobs import JobStateError
from academy.domain.videos import ClaimedVideo, VideoStatus
from academy.lectures import publish_video_change
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
    """Create a video whose file is not uploaded yet, and return its id. It has no record before its file arrives."""
    video = repositories_video.new_video(tenant_id, session_id, **fields)
    with transaction.atomic():
        LIFE.insert(video)
    return video.pk


def submit(tenant_id: int, session_id: int, **fields: Any) -> int:
    """Create a video whose file is stored, and return its id.

    Its record is published after the commit, and its message is sent at its turn. Raises QuotaError if a quota is
    exceeded.
    """
    video = repositories_video.new_video(tenant_id, session_id, uploaded_at=timezone.now(), **fields)
    with transaction.atomic():
        LIFE.insert(video)
        quotas.check(tenant_id, storage=True)
    return video.pk


def mark_uploaded(tenant_id: int, video_id: int, size: int) -> bool:
    """Record that the file of an announced video has arrived, with `size` bytes.

    The encoding may begin. From now on, the file counts towards the quota of bytes even after its upload address
    expires. Return False if there is no such video. Raises JobStateError if its file has already arrived or if its
    upload was cancelled, and QuotaError if a quota is exceeded.
    """
    with transaction.atomic():
        video = repositories_video.lock_video(tenant_id, video_id)
        if video is None:
            return False
        if video.uploaded_at is not None:
            raise JobStateError("uploaded_already", "The file of this video has been uploaded already.")
        if VideoStatus(video.status).terminal:
            raise JobStateError("video_ended", f"This upload was cancelled ({video.status}): announce it again.")
        # Later than `created_at`, even if the clocks of two hosts differ: `was_announced` compares these two times.
        arrived = max(timezone.now(), video.created_at + timedelta.resolution)
        LIFE.begin(video, uploaded_at=arrived, size=size)
        quotas.check(tenant_id, storage=True)
    return True


def finish(video: ClaimedVideo, *, hls_path: str, duration: float, made_bytes: int = 0) -> int | None:
    """Make the video READY, with its playlist at `hls_path`. Return the id of the video that it has replaced, or None.

    A video that replaces another takes over its title and its place in lists, and the other one is deleted.

    `made_bytes` is the size of the encoded files in the storage, `duration` is in seconds. Raises
    AttemptSupersededError, and replaces nothing, if the attempt does not hold the video any more.
    """
    with transaction.atomic():
        old = repositories_video.lock_video(video.tenant_id, video.replaces_id) if video.replaces_id else None
        taken_over = {"title": old.title, "listed_at": old.listed_at or old.created_at} if old else {}
        LIFE.end(
            video,
            VideoStatus.READY,
            also=lambda row: publish_video_change(row.tenant_id, row.session_id),
            error=None,
            hls_path=hls_path,
            duration=duration,
            made_bytes=made_bytes,
            encoding_seconds=repositories_video.counted_seconds(duration),
            encoding_reserved=0,
            **taken_over,
        )
        if old is None:
            return None
        _remove(old, replaced_by_id=video.video_id)
    return old.pk


def fail(video: ClaimedVideo, code: str, message: str) -> None:
    """Make the video FAILED, with the reason, and let a sweep delete the video's encoded files soon.

    Raises AttemptSupersededError if the attempt is no longer the video's current one.
    """
    error = {"code": code, "message": message}
    LIFE.end(video, VideoStatus.FAILED, error=error, files_due_at=timezone.now())


def give_back(video: ClaimedVideo, pause: float = 0.0) -> None:
    """Make the video PENDING as the next attempt, which may run after `pause` seconds.

    Raises AttemptSupersededError if the attempt does not hold the video any more.
    """
    LIFE.give_back(video, pause)


def cancel(tenant_id: int, video_id: int) -> bool:
    """Make the video CANCELLED, and let a sweep delete its encoded files.

    A worker that encodes the video stops within a second. Return False if there is no such video. Raises JobStateError
    if the video has ended.
    """
    with transaction.atomic():
        video = repositories_video.lock_video(tenant_id, video_id)
        if video is None:
            return False
        if VideoStatus(video.status).terminal:
            raise JobStateError("video_ended", f"There is nothing to cancel: the video is {video.status}.")
        LIFE.cancel(video, files_due_at=_files_due_at(video.uploaded_at))
    return True


def delete(tenant_id: int, video_id: int) -> list[int]:
    """Delete a video in any state, with the video that is to replace it. Return their ids, or [] if there is no video.

    Nobody sees the video any more, and a sweep deletes its files. Its bytes no longer count towards the quota,
    except those of an announced video: they count until its upload address expires, because until then the storage
    accepts the file. The last record of the video has the status CANCELLED and the number of the next attempt, because
    only a new attempt can follow a READY record. A worker that encodes the video stops within a second, because its
    attempt is superseded.
    """
    with transaction.atomic():
        video = repositories_video.lock_video(tenant_id, video_id)
        if video is None:
            return []
        removed = [video]
        if replacement := repositories_video.lock_replacement(tenant_id, video_id):
            removed.append(replacement)
        for one in removed:
            _remove(one)
        if video.status == VideoStatus.READY:
            publish_video_change(tenant_id, video.session_id)
    return [one.pk for one in removed]


def _remove(video: VideoRow, **changes: Any) -> None:
    """Write the deletion of a locked video."""
    due_at = _files_due_at(video.uploaded_at)
    LIFE.cancel(video, attempt=video.attempt + 1, deleted_at=timezone.now(), files_due_at=due_at, **changes)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new video goes. `replaces_id` is the video that it replaces, or None if it is an additional one."""

    session_id: int
    title: str
    replaces_id: int | None = None
    removed_id: int | None = None
    """The earlier replacement, failed or cancelled, that was deleted for this one."""


def check_replaceable(tenant_id: int, video_id: int) -> bool:
    """Return whether there is such a video. Raises JobStateError if it cannot be replaced now.

    Call it before storing a file, and `replace` afterwards.
    """
    video = repositories_video.find_video(tenant_id, video_id)
    if video is not None:
        _check_replaceable(video, repositories_video.find_replacement(tenant_id, video_id))
    return video is not None


def replace(tenant_id: int, video_id: int) -> Place | None:
    """Return the place for a replacement of this video. Return None if there is no such video.

    Call this in the transaction that inserts the replacement. The video is locked until the transaction ends, so that
    it cannot get another replacement. An earlier replacement that has failed or was cancelled is deleted. Raises
    JobStateError if the video cannot be replaced now.
    """
    video = repositories_video.lock_video(tenant_id, video_id)
    if video is None:
        return None
    earlier = repositories_video.lock_replacement(tenant_id, video_id)
    _check_replaceable(video, earlier)
    if earlier is not None:
        _remove(earlier)
    return Place(video.session_id, video.title, video.pk, earlier.pk if earlier else None)


def _check_replaceable(video: VideoRow, replacement: VideoRow | None) -> None:
    _check_own_place(video)
    if not VideoStatus(video.status).terminal:
        raise JobStateError("video_not_ended", "The video is being prepared: replace it when that has ended.")
    if replacement is not None and not VideoStatus(replacement.status).terminal:
        raise JobStateError(
            "replacement_running",
            f"Video {replacement.pk} is to replace this video already: wait until that has ended, or cancel it.",
        )


def _check_own_place(video: VideoRow) -> None:
    """Raise JobStateError if this video is still to replace another one: it gets that one's title and place later.

    The other one may be gone, because a sweep deletes an announced video that was cancelled. This video then replaces
    nothing.
    """
    if video.replaces_id is None or video.status == VideoStatus.READY:
        return
    if repositories_video.find_video(video.tenant_id, video.replaces_id) is not None:
        raise JobStateError(
            "video_replaces", f"This video is to replace video {video.replaces_id}: change or replace that one."
        )


def rename(tenant_id: int, video_id: int, title: str) -> bool:
    """Change the title of a video that has ended. Return False if there is no such video.

    All pages that show the video must get the new title, and only a new attempt can replace a record that has ended. So
    the video gets a new attempt with the new title, and with the same status and files. Raises JobStateError if the
    video has not ended, because its worker reports its progress with the old title. Raises it also if the video is to
    replace another one.
    """
    with transaction.atomic():
        video = repositories_video.lock_video(tenant_id, video_id)
        if video is None:
            return False
        _check_own_place(video)
        if not VideoStatus(video.status).terminal:
            raise JobStateError("video_not_ended", "The video is being prepared: change its title when that has ended.")
        if title == video.title:
            return True
        LIFE.change(video, title=title, attempt=video.attempt + 1)
        if video.status == VideoStatus.READY:
            publish_video_change(tenant_id, video.session_id)
    return True


def retry(tenant_id: int, video_id: int) -> bool:
    """Make a failed or cancelled video PENDING again, as the next attempt.

    Return False if there is no such video. Raises JobStateError if the video cannot be retried, and QuotaError if a
    quota is used up.
    """
    with transaction.atomic():
        video = repositories_video.lock_video(tenant_id, video_id)
        if video is None:
            return False
        if video.status not in {VideoStatus.FAILED, VideoStatus.CANCELLED}:
            raise JobStateError(
                "video_not_failed", f"Only a failed or cancelled video is tried again; this is {video.status}."
            )
        if video.uploaded_at is None:
            raise JobStateError("not_uploaded", "The file of this video was never uploaded: upload it again.")
        LIFE.retry(video, encoding_counted=False)
        quotas.check(tenant_id)
    return True


def _files_due_at(uploaded_at: datetime | None) -> datetime | None:
    """Return the time from which `sweep_discarded` deletes what a cancelled or deleted video no longer needs: now.

    If the video was never marked as uploaded, return None: `sweep_announced` deletes the video and its file later.
    """
    return timezone.now() if uploaded_at is not None else None
