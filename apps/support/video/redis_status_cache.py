"""Functions with which older code reads and publishes the status of videos, and extends the expiry of their keys."""

from collections.abc import Mapping
from typing import Any

from academy.adapters.cache.records import UNFINISHED_SECONDS, cache_status, read_record
from academy.domain.videos import video_topic
from realtime import conf


def get_video_status_from_redis(tenant_id: int, video_id: int) -> dict[str, Any] | None:
    """Return the video's record, or None if Redis has none. Makes no database query.

    Raises RedisError if Redis cannot be read.
    """
    return read_record(tenant_id, video_topic(video_id))


def cache_video_status(
    tenant_id: int,
    video_id: int,
    status: str,
    hls_path: str | None = None,
    duration: float | None = None,
    *,
    ttl: int = UNFINISHED_SECONDS,
    attempt: int | None = None,
    error: Mapping[str, Any] | None = None,
) -> bool:
    """Publish the video's status. Return whether Redis holds that status now. See `cache_status`."""
    return cache_status(
        tenant_id,
        video_topic(video_id),
        status,
        {"hls_path": hls_path, "duration": duration},
        attempt=attempt,
        error=error,
        ttl=ttl,
    )


def refresh_video_progress_ttl(tenant_id: int, video_id: int, ttl: int = UNFINISHED_SECONDS) -> bool:
    """Extend the expiry of an unfinished video's keys, and return True.

    Do nothing and return False if Redis has no record of the video, or if its encoding has ended. Raises RedisError if
    Redis cannot be reached or refuses a command.
    """
    return conf.publisher().refresh(tenant_id, video_topic(video_id), ttl)
