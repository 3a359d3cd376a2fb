"""Finds, claims, ends and gives back the rows of `video`, which the video worker's messages refer to."""

from typing import Any

from pydantic import PositiveInt

from academy import videos
from academy.adapters.db.django import repositories_video
from academy.adapters.storage.folders import drop_folder
from academy.domain.jobs import AttemptSupersededError, ClaimRefusal
from academy.domain.videos import ClaimedVideo, video_topic
from apps.support.video.services.finishing import finish_video
from apps.worker.store import Message, read_message


class VideoMessage(Message):
    video_id: PositiveInt


class Videos:
    """A JobStore of the rows of `video`."""

    def ident(self, body: str) -> tuple[Message, int]:
        message = read_message(VideoMessage, body)
        return message, message.video_id

    def name(self, ident: int) -> str:
        return f"video {ident}"

    def topic(self, ident: int) -> str:
        return video_topic(ident)

    def owner(self, ident: int) -> int | None:
        return repositories_video.tenant_of_video(ident)

    def claim(self, tenant_id: int, ident: int, *, lease_alive: bool) -> ClaimedVideo | ClaimRefusal:
        return videos.claim(tenant_id, ident, lease_alive=lease_alive)

    def finish(self, job: ClaimedVideo, result: dict[str, Any]) -> None:
        try:
            finish_video(job, **result)
        except AttemptSupersededError:
            drop_folder(job.folder)  # the attempt was cancelled or superseded while its last files were stored
            raise

    def fail(self, job: ClaimedVideo, code: str, message: str) -> None:
        videos.fail(job, code, message)

    def give_back(self, job: ClaimedVideo, pause: float = 0.0) -> None:
        videos.give_back(job, pause)
