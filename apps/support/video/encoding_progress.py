"""How far the encoding of a video is: a thin binding of `realtime.publish`, and how old clients are answered."""

from collections.abc import Mapping
from typing import Any

from academy.adapters.cache.redis_progress_adapter import record_topic_progress
from academy.domain.videos import VideoStatus, video_topic
from realtime import conf


def record_encoding_progress(tenant_id: int, video_id: int, step: str, extra: Mapping[str, Any]) -> None:
    """Says how far it is. Never raises or waits for a Redis that is down: progress is best effort.

    `extra` is as `RedisProgressAdapter.record_progress` takes it.
    """
    record_topic_progress(conf.publisher(), tenant_id, video_topic(video_id), step, extra)


def progress_answer(video_id: int, record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as clients of the old polling know it."""
    progress = record["progress"] or {}
    step = progress.get("step") or {}
    status, data = record["status"], record["data"]
    answer = {
        "id": video_id,
        "status": status,
        "encoding_progress": 100.0 if status == VideoStatus.READY else progress.get("percent", 0.0),
        "encoding_remaining_seconds": progress.get("remaining_seconds"),
        "encoding_step_index": step.get("index"),
        "encoding_step_total": step.get("total"),
        "encoding_step_name": step.get("name"),
        "encoding_step_percent": step.get("percent"),
    }
    if status == VideoStatus.READY:
        answer |= {"hls_path": data.get("hls_path"), "duration": data.get("duration")}
    if record["error"]:
        answer["error_reason"] = record["error"]["message"]
    return answer
