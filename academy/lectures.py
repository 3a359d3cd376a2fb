"""Tells the pages of students and parents that the videos of a lecture have changed."""

from academy.adapters.db.django import repositories_lectures
from academy.domain.lectures import lecture_topic
from realtime.outbox import publish_status_on_commit
from realtime.records.transitions import Status


def publish_video_change(tenant_id: int, session_id: int) -> None:
    """Publish the record that tells that READY videos of this lesson's lecture were added, changed or removed.

    Call it inside `atomic()`: the record is published after the commit.

    Students and parents may not watch the topic of a video before the video is READY, so they watch the topic of the
    lecture. The lecture's record has no data. Each change is a new attempt, because only a new attempt can replace a
    record that has ended.
    """
    lecture_id, number = repositories_lectures.count_video_change(tenant_id, session_id)
    publish_status_on_commit(
        tenant_id=tenant_id, topic=lecture_topic(lecture_id), attempt=number, status=Status.DONE.value
    )
