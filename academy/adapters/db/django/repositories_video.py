"""Queries on videos."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Q, QuerySet

from academy.adapters.db.django.tenancy import rows_of
from apps.support.video.models import Video
from realtime.source import TopicState


def videos_visible_to(tenant_id: int, user_id: int, video_ids: set[int]) -> set[int]:
    """Which of these videos belong to a lecture that this student, or a child of this parent, attends."""
    attends = Q(session__lecture__enrollments__student__user_id=user_id)
    child_attends = Q(session__lecture__enrollments__student__parent__user_id=user_id)
    present = Q(session__lecture__enrollments__student__deleted_at=None)
    rows = rows_of(tenant_id, Video).filter((attends | child_attends) & present, pk__in=video_ids)
    return set(rows.values_list("pk", flat=True))


def videos_of_tenants(tenant_ids: Sequence[int]) -> QuerySet[Video]:
    """The videos of several tenants. For `realtime_source` alone: nothing that a user asked for."""
    return Video.objects.filter(tenant_id__in=tenant_ids)


def videos_by_id(video_ids: Sequence[int]) -> QuerySet[Video]:
    """Videos, whosever they are. For `realtime_source` alone: whoever asks it compares the tenant."""
    return Video.objects.filter(pk__in=video_ids)


def state_of(video: Video) -> TopicState:
    """The video as its record tells it, but for progress."""
    data: dict[str, Any] = {}
    if video.status == "READY":
        data = {"hls_path": video.hls_path, "duration": video.duration}
    since = video.updated_at.timestamp()
    return TopicState(video.tenant_id, f"video:{video.pk}", video.attempt, video.status, since, data, video.error)
