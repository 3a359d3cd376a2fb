"""Functions with which older code claims videos and makes them READY or FAILED. They call `academy.videos`."""

from academy import videos
from academy.domain.jobs import ClaimRefusal
from academy.domain.videos import ClaimedVideo
from apps.support.video.services.finishing import finish_video


def mark_processing(tenant_id: int, video_id: int, *, lease_alive: bool) -> ClaimedVideo | ClaimRefusal:
    """Claim a video to encode it. Return the claimed video, or why the claim was refused."""
    return videos.claim(tenant_id, video_id, lease_alive=lease_alive)


def complete_video(video: ClaimedVideo, *, hls_path: str, duration: float, made_bytes: int = 0) -> None:
    """Make a claimed video READY, with its playlist at `hls_path`. Raises AttemptSupersededError for an old attempt."""
    finish_video(video, hls_path=hls_path, duration=duration, made_bytes=made_bytes)


def fail_video(video: ClaimedVideo, code: str, message: str) -> None:
    """Make a claimed video FAILED, with the reason. Raises AttemptSupersededError for an old attempt."""
    videos.fail(video, code, message)
