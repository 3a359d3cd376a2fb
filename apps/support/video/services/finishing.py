"""Makes a video READY, and writes into the audit log which video it has replaced."""

from typing import Any

from academy import videos
from academy.domain.videos import ClaimedVideo, video_topic
from apps.core.audit import Event, audit


def finish_video(video: ClaimedVideo, **result: Any) -> None:
    """Make a claimed video READY, with the `result` that `academy.videos.finish` takes.

    If it replaces an older video, the older one is deleted. The audit log then names the uploader of the new video. The
    uploader need not have begun this attempt: the event `video_replacement_begun` names the user who did. Raises
    AttemptSupersededError for an old attempt.
    """
    old_id = videos.finish(video, **result)
    if old_id is not None:
        audit(
            Event.VIDEO_DELETED,
            tenant=video.tenant_id,
            subject=video_topic(old_id),
            replaced_by=video.video_id,
            uploaded_by=video.created_by_id,
        )
