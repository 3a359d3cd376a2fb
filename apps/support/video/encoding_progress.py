"""The function with which older code reports the progress of an encoding. It calls `academy.adapters.cache.records`."""

from collections.abc import Mapping
from typing import Any

from academy.adapters.cache.records import record_step
from academy.domain.videos import video_topic
from realtime import conf


def record_encoding_progress(tenant_id: int, video_id: int, step: str, extra: Mapping[str, Any] | None = None) -> None:
    """Report progress in the named step. `records.record_step` describes `extra`. Raises nothing if Redis is down."""
    record_step(conf.publisher(), tenant_id, video_topic(video_id), step, extra or {})
