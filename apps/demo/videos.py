"""Two demo videos of an academy. The product's own encoder encodes one, and fails on the other, which is only text."""

from collections.abc import Callable
from pathlib import Path

from django.core.files.base import File
from django.core.files.storage import default_storage

from academy import videos
from academy.adapters.db.django import repositories_lectures
from academy.adapters.video.sample import make_sample
from academy.domain.jobs import ClaimRefusal, JobFailedError
from apps.core.models import Tenant
from apps.support.video.services.files import source_name
from apps.worker.handlers import JobProgress
from apps.worker.video_worker.encoding import STEPS, encode_video
from apps.worker.workspace import workspace

SECONDS = 8.0
FRAME_RATE = 10  # enough for a test picture, and quickly encoded
NOTES = "1강 수업 노트: 이 파일은 동영상이 아닙니다.\n"


def load_videos(tenant: Tenant, lecture_id: int) -> None:
    """Create the demo videos of a new academy. This takes about a second for each video."""
    _load(tenant, lecture_id, "1강 수업 영상", "1강.mp4", _make)
    _load(tenant, lecture_id, "1강 수업 노트", "1강 노트.mp4", lambda path: path.write_text(NOTES, encoding="utf-8"))


def _make(path: Path) -> None:
    make_sample(path, SECONDS, frame_rate=FRAME_RATE)


def _load(tenant: Tenant, lecture_id: int, title: str, file_name: str, make: Callable[[Path], object]) -> None:
    session = repositories_lectures.add_session(tenant.pk, lecture_id, title)
    if session is None:
        return
    with workspace() as folder:
        path = folder / file_name
        make(path)
        with path.open("rb") as local:
            stored = default_storage.save(source_name(tenant.pk), File(local))
        size = path.stat().st_size
    video_id = videos.announce(tenant.pk, session.pk, title=title, file_name=file_name, source=stored, size=size)
    _encode(tenant, video_id, size)


def _encode(tenant: Tenant, video_id: int, size: int) -> None:
    """Encode a video as a worker does, but at once, so that the academy has an encoded video from the start."""
    videos.mark_uploaded(tenant.pk, video_id, size)
    claimed = videos.claim(tenant.pk, video_id, lease_alive=False)
    if isinstance(claimed, ClaimRefusal):  # a worker claimed it first
        return
    try:
        made = encode_video(claimed, JobProgress(claimed, STEPS))
    except JobFailedError as problem:
        videos.fail(claimed, problem.code, str(problem))
    else:
        videos.finish(claimed, **made)
