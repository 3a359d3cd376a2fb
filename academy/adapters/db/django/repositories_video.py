"""Queries on videos."""

from django.db.models import Q

from academy.adapters.db.django.tenancy import rows_of
from apps.support.video.models import Video


def videos_visible_to(tenant_id: int, user_id: int, video_ids: set[int]) -> set[int]:
    """Which of these videos belong to a lecture that this student, or a child of this parent, attends."""
    attends = Q(session__lecture__enrollments__student__user_id=user_id)
    child_attends = Q(session__lecture__enrollments__student__parent__user_id=user_id)
    present = Q(session__lecture__enrollments__student__deleted_at=None)
    rows = rows_of(tenant_id, Video).filter((attends | child_attends) & present, pk__in=video_ids)
    return set(rows.values_list("pk", flat=True))
