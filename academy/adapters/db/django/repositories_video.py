"""Queries on videos."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from academy.adapters.db.django.published_rows import PublishedRows
from academy.adapters.db.django.tenancy import rows_of
from academy.domain.jobs import AttemptSupersededError
from academy.domain.videos import (
    ClaimedVideo,
    VideoStatus,
    deleted_data,
    made_attempt,
    ready_data,
    shown_data,
    video_topic,
)
from apps.support.video.models import UNFINISHED, Video
from realtime.records.source import TopicState

VideoRow = Video
"""The type of the rows, for code that may not import models."""
MOST_REPLACEMENTS = 20
"""How many replacements `video_in_place_of` follows at most, from each to the next."""


def videos_of(tenant_id: int) -> QuerySet[Video]:
    """Return a tenant's videos with their lessons, newest first. A replacement takes the place of the old video."""
    place = Coalesce("listed_at", "created_at").desc()
    return _present(tenant_id).select_related("session").order_by(place, "-id")


def videos_watched_by(tenant_id: int, user_id: int) -> QuerySet[Video]:
    """Return the READY videos of the lectures that this student, or a child of this parent, attends."""
    return videos_of(tenant_id).filter(pk__in=_watched(tenant_id, user_id).values("pk"))


def videos_visible_to(tenant_id: int, user_id: int, video_ids: set[int]) -> set[int]:
    """Return the ids, among `video_ids`, of the videos that this student or parent may watch (`videos_watched_by`)."""
    return set(_watched(tenant_id, user_id).filter(pk__in=video_ids).values_list("pk", flat=True))


def _watched(tenant_id: int, user_id: int) -> QuerySet[Video]:
    attends = Q(session__lecture__enrollments__student__user_id=user_id)
    child_attends = Q(session__lecture__enrollments__student__parent__user_id=user_id)
    present = Q(session__lecture__enrollments__student__deleted_at=None)
    return _present(tenant_id).filter((attends | child_attends) & present, status=VideoStatus.READY)


def _present(tenant_id: int) -> QuerySet[Video]:
    """Return the tenant's videos that were not deleted."""
    return rows_of(tenant_id, Video).filter(deleted_at=None)


def status_of_video(tenant_id: int, video_id: int) -> str | None:
    return rows_of(tenant_id, Video).filter(pk=video_id).values_list("status", flat=True).first()


def lock_video(tenant_id: int, video_id: int) -> Video | None:
    """Lock the video until the transaction ends, and return it. Return None if there is no such video."""
    return _present(tenant_id).select_for_update().filter(pk=video_id).first()


def find_video(tenant_id: int, video_id: int) -> Video | None:
    return _present(tenant_id).filter(pk=video_id).first()


def lock_replacement(tenant_id: int, video_id: int) -> Video | None:
    """Lock the video that is to replace this one, until the transaction ends. Return None if there is none.

    The caller must lock the video itself first, so that all transactions lock the two in the same order.
    """
    return _replacements(tenant_id, video_id).select_for_update().first()


def find_replacement(tenant_id: int, video_id: int) -> Video | None:
    """Return the video that is to replace this one, or None."""
    return _replacements(tenant_id, video_id).first()


def _replacements(tenant_id: int, video_id: int) -> QuerySet[Video]:
    return _present(tenant_id).filter(replaces=video_id).exclude(status=VideoStatus.READY)


def video_in_place_of(tenant_id: int, video_id: int) -> int | None:
    """Follow the replacements of a video, and return the id of the newest one.

    Return None if no video has replaced this one, or if the newest replacement was deleted. Also return None if the row
    of a replacement between the two is gone: such a row is deleted some days after its video was replaced.
    """
    for _ in range(MOST_REPLACEMENTS):
        after = rows_of(tenant_id, Video).filter(replaces=video_id, listed_at__isnull=False).first()
        if after is None:
            return None
        if after.deleted_at is None:
            return after.pk
        video_id = after.pk
    return None


def new_video(tenant_id: int, session_id: int, **fields: Any) -> Video:
    """Return a new video, which is not written to the database yet."""
    return Video(tenant_id=tenant_id, session_id=session_id, **fields)


def videos_of_tenants(tenant_ids: Sequence[int]) -> QuerySet[Video]:
    """Return the uploaded videos of several tenants. Only `realtime_source` may call this, never a view."""
    return Video.objects.filter(tenant_id__in=tenant_ids, uploaded_at__isnull=False)


def videos_by_id(video_ids: Sequence[int]) -> QuerySet[Video]:
    """Return the uploaded videos with these ids, whichever tenant they belong to.

    Only `realtime_source` may call this, because the callers of `realtime_source` check the tenant.
    """
    return Video.objects.filter(pk__in=video_ids, uploaded_at__isnull=False)


def unfinished_videos() -> QuerySet[Video]:
    """Return all tenants' uploaded videos whose encoding has not ended. Only `academy.dispatch` may call this."""
    return Video.objects.filter(status__in=UNFINISHED, uploaded_at__isnull=False)


def announced_before(then: datetime, most: int) -> list[tuple[int, int, str]]:
    """Return the oldest videos of all tenants, at most `most`, that were announced before `then` and never arrived.

    Each is a tuple of the tenant's id, the video's id, and the file's name in the storage. Only sweeps may call this.
    """
    announced = Video.objects.filter(uploaded_at=None, created_at__lt=then).order_by("created_at")
    return list(announced.values_list("tenant_id", "pk", "source")[:most])


def forget_announced(tenant_id: int, video_id: int) -> bool:
    """Delete a video whose file never arrived. Return False if the file has arrived by now, or there is no video."""
    deleted, _ = rows_of(tenant_id, Video).filter(pk=video_id, uploaded_at=None).delete()
    return bool(deleted)


def known_sources(tenant_id: int, sources: Sequence[str]) -> dict[str, bool]:
    """Return a dict whose keys are the names, among `sources`, of files that belong to a video of the tenant.

    The value is False if the video was deleted, else True.
    """
    rows = rows_of(tenant_id, Video).filter(source__in=sources).values_list("source", "deleted_at")
    return {source: deleted_at is None for source, deleted_at in rows}


def attempts_needed(tenant_id: int, video_ids: Sequence[int]) -> dict[int, tuple[str, int]]:
    """Return a dict from id to status and attempt. Ids that are not of a video of the tenant are left out.

    The attempt is the one that made the files if the video is READY, else the current attempt.
    """
    rows = rows_of(tenant_id, Video).filter(pk__in=video_ids).values_list("pk", "status", "attempt", "hls_path")
    return {
        video_id: (status, _needed_attempt(status, attempt, hls_path)) for video_id, status, attempt, hls_path in rows
    }


def _needed_attempt(status: str, attempt: int, hls_path: str) -> int:
    return made_attempt(hls_path, attempt) if status == VideoStatus.READY else attempt


@dataclass(frozen=True, slots=True)
class Discarded:
    """A claimed video with files that are no longer needed. No other process deletes these files before `due_at`."""

    tenant_id: int
    video_id: int
    status: str
    attempt: int
    """The attempt that made the files if the video is READY, else the current attempt."""
    source: str
    deleted_at: datetime | None
    announced_at: datetime | None
    """When the client asked for an upload address, or None if the request that created the video contained the file."""
    due_at: datetime


def take_discarded(patience: timedelta) -> Discarded | None:
    """Claim the video whose unneeded files have been due for deletion the longest. Return None if no files are due.

    After `patience` another process may claim the video. Only sweeps may call this.
    """
    now = timezone.now()
    with transaction.atomic():
        due = Video.objects.filter(files_due_at__lte=now).select_for_update(skip_locked=True)
        video = due.order_by("files_due_at").first()
        if video is None:
            return None
        video.files_due_at = now + patience
        video.save(update_fields=["files_due_at"])
    attempt = _needed_attempt(video.status, video.attempt, video.hls_path)
    fields = video.tenant_id, video.pk, video.status, attempt, video.source, video.deleted_at
    announced_at = video.created_at if video.was_announced else None
    return Discarded(*fields, announced_at, due_at=video.files_due_at)


def note_discarded(discarded: Discarded, again_at: Sequence[datetime]) -> None:
    """Record that the files were deleted. If `files_due_at` has changed since the claim, do nothing.

    The files of a deleted video are due again at each of the times `again_at`, because files may be stored after the
    deletion. After the last of these times, the row of the video is deleted.
    """
    row = rows_of(discarded.tenant_id, Video).filter(pk=discarded.video_id, files_due_at=discarded.due_at)
    now = timezone.now()
    if discarded.deleted_at is None:
        row.update(files_due_at=None)
    elif later := [time for time in again_at if time > now]:
        row.update(files_due_at=min(later))
    else:
        row.delete()


def message_of(video: Video) -> dict[str, Any]:
    """Return the queue message that starts an encoding. The tenant of the video must have been read with the row."""
    return {"video_id": video.pk, "tenant_id": video.tenant_id, "tenant_code": video.tenant.code}


def tenant_of_video(video_id: int) -> int | None:
    """Return the id of the tenant of any video, or None if there is no such video.

    Call this only for a queue message that an older version sent: such a message does not name the tenant.
    """
    return Video.objects.filter(pk=video_id).values_list("tenant_id", flat=True).first()


def state_of(video: Video) -> TopicState:
    """Return the state that the record of a video shows, without progress."""
    if video.deleted_at is not None:
        data = deleted_data(video.title, video.replaces_id, video.replaced_by_id)
    elif video.status == VideoStatus.READY:
        data = ready_data(video.title, video.hls_path, video.duration, video.replaces_id)
    else:
        data = shown_data(video.title, video.replaces_id)
    since = (video.finished_at or video.updated_at).timestamp()
    return TopicState(video.tenant_id, video_topic(video.pk), video.attempt, video.status, since, data, video.error)


def claimed(video: Video) -> ClaimedVideo:
    return ClaimedVideo(
        video.tenant_id,
        video.pk,
        video.attempt,
        video.title,
        video.source,
        replaces_id=video.replaces_id,
        created_by_id=video.created_by_id,
    )


def row_of(video: ClaimedVideo) -> QuerySet[Video]:
    """Select the row of a claimed video, whatever its present state."""
    return rows_of(video.tenant_id, Video).filter(pk=video.video_id)


def lock_encoding(video: ClaimedVideo) -> bool:
    """Lock the video until the transaction ends. Return whether its encoding has been counted towards the quota.

    Raises AttemptSupersededError if this attempt no longer holds the video.
    """
    counted = _held(video).select_for_update().values_list("encoding_counted", flat=True).first()
    if counted is None:
        raise AttemptSupersededError
    return counted


def count_encoding(video: ClaimedVideo, day: date, seconds: float, reserved: float) -> None:
    """Count `seconds` and `reserved` towards the tenant's encoding quota of this day. Both are in seconds.

    `reserved` is a reservation for a video of unknown length (see `counted_seconds`), else 0. Raises
    AttemptSupersededError if this attempt no longer holds the video.
    """
    earlier = Case(When(encoding_day=day, then=Coalesce(F("encoding_seconds"), 0.0)), default=0.0)
    total = earlier + seconds + reserved
    if not _held(video).update(
        encoding_day=day, encoding_seconds=total, encoding_reserved=reserved, encoding_counted=True
    ):
        raise AttemptSupersededError


def counted_seconds(duration: float) -> Case:
    """Return the SQL expression for the new `encoding_seconds` of a video that becomes READY.

    `duration`, the actual length in seconds, replaces the reservation. Without a reservation the value does not change.
    """
    return Case(
        When(encoding_reserved__gt=0, then=F("encoding_seconds") - F("encoding_reserved") + duration),
        default=F("encoding_seconds"),
    )


def _held(video: ClaimedVideo) -> QuerySet[Video]:
    return row_of(video).filter(attempt=video.attempt, status=VideoStatus.PROCESSING)


published_videos = PublishedRows(state_of, in_feed=lambda video: video.uploaded_at is not None)
