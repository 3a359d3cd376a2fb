"""The status of videos in Redis: thin bindings of `realtime.publish`, which alone reads and writes the keys."""

from collections.abc import Mapping
from typing import Any

import orjson

from academy.domain.videos import video_topic
from realtime import conf
from realtime.record import draft_record


def get_video_status_from_redis(tenant_id: int, video_id: int) -> dict[str, Any] | None:
    """The video's record (realtime.md, section 3), or None if Redis knows nothing of it. Asks no database.

    Raises RedisError.
    """
    record = conf.record(tenant_id, video_topic(video_id))
    return orjson.loads(record.body) if record is not None else None


def cache_video_status(
    tenant_id: int,
    video_id: int,
    *,
    attempt: int,
    status: str,
    published_at: float,
    data: Mapping[str, Any],
    error: Mapping[str, str] | None = None,
) -> bool:
    """Bring Redis in line with the row; False if it held the same. Raises RedisError.

    What it no longer holds is restored, and nobody is told. What it holds of an earlier state is overtaken.
    """
    draft = draft_record(
        topic=video_topic(video_id), attempt=attempt, status=status, published_at=published_at, data=data, error=error
    )
    return conf.publisher().mend(tenant_id, draft)


def refresh_video_progress_ttl(tenant_id: int, video_id: int) -> None:
    """Lets a running video's keys live on, when it has nothing new to say for hours. Raises RedisError."""
    conf.publisher().refresh(tenant_id, video_topic(video_id))
