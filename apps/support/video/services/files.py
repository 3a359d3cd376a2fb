"""The files of videos in the storage: what was uploaded, and what each attempt made of it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from uuid import uuid4

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.utils import timezone

from academy.adapters.db.django import repositories_video
from academy.adapters.db.django.connections import give_back_connection
from academy.adapters.db.django.repositories_video import Discarded
from academy.adapters.storage.folders import drop_folder
from academy.domain.videos import UPLOAD_FOLDER, UPLOAD_SECONDS, ClaimedVideo, still_needs, video_folder
from academy.leftovers import attempts_of

MAX_FILE_NAME = 200
ANNOUNCED_KEPT = timedelta(seconds=2 * UPLOAD_SECONDS)
"""When an announced upload is given up: one that began while its address was good may take as long again."""
ADDRESS_EXPIRED = timedelta(seconds=UPLOAD_SECONDS + 60)
"""After its announcement the address of an upload takes no file any more, whatever the storage's clock says."""
MOST_SWEPT = 200
DISCARD_PATIENCE = timedelta(minutes=5)
"""After this another worker deletes the files that one was about to delete: it died, or the storage was away."""
DELETED_KEPT = timedelta(days=2)
"""How long the row of a deleted video stays. The minutes that it was encoded today go on counting."""
COPY_BYTES = 4_000_000


def source_name(tenant_id: int) -> str:
    """Return where an upload will be kept.

    Nothing of its sender's name is in it: a suffix could make a server or a browser run the file. ffmpeg looks at what
    a file holds.
    """
    return f"{UPLOAD_FOLDER}/{tenant_id}/{uuid4()}"


def shown_name(file_name: str) -> str:
    """The name of an upload without the folders that some browsers send."""
    return PurePath(file_name.replace("\\", "/")).name[-MAX_FILE_NAME:]


def fetch_source(video: ClaimedVideo, folder: Path, report: Callable[[float], None]) -> Path:
    """The uploaded file on this machine: itself where the storage is a folder here, else a copy in `folder`.

    `report` is told how far the copy is, 0 to 100; what it raises ends the copy.
    """
    give_back_connection()  # fetching and encoding take minutes
    try:
        return Path(default_storage.path(video.source))
    except NotImplementedError:
        pass  # a storage elsewhere
    path = folder / f"source{PurePath(video.source).suffix}"
    with default_storage.open(video.source, "rb") as stored, path.open("wb") as local:
        total, copied = max(1, stored.size), 0
        while part := stored.read(COPY_BYTES):
            local.write(part)
            copied += len(part)
            report(min(100.0, 100 * copied / total))
    return path


def keep_files(video: ClaimedVideo, folder: Path, files: Sequence[Path], report: Callable[[float], None]) -> None:
    """Store what this attempt made, and keep nothing else of it; nothing at all if `report` or the storage raises."""
    try:
        drop_folder(video.folder)
        for number, name in enumerate(files, 1):
            with (folder / name).open("rb") as local:
                default_storage.save(f"{video.folder}/{name.as_posix()}", File(local))
            report(100 * number / len(files))
    except BaseException:
        drop_folder(video.folder)
        raise


def sweep_announced() -> None:
    """Delete videos that were announced and never arrived, with what the storage may have of them."""
    given_up = repositories_video.announced_before(timezone.now() - ANNOUNCED_KEPT, MOST_SWEPT)
    for tenant_id, video_id, source in given_up:
        # The row first: a file whose row is gone is swept as a leftover, and one that has just arrived stays.
        if repositories_video.forget_announced(tenant_id, video_id):
            default_storage.delete(source)


def drop_other_attempts(video: ClaimedVideo) -> None:
    """What workers left behind that died."""
    for attempt in attempts_of(video.tenant_id, video.video_id):
        if attempt != video.attempt:
            drop_folder(f"{video_folder(video.tenant_id, video.video_id)}/{attempt}")


def sweep_discarded() -> None:
    """Delete the files of videos that were deleted, and what was made of those that failed or were cancelled.

    Whoever ends a video notes in its row that files are due; so a storage that is away, or a worker that dies, only
    delays it.
    """
    for _ in range(MOST_SWEPT):
        discarded = repositories_video.take_discarded(DISCARD_PATIENCE)
        if discarded is None:
            return
        _delete_files(discarded)
        repositories_video.note_discarded(discarded, _again_at(discarded))


def _again_at(video: Discarded) -> list[datetime]:
    """When to delete the files of a deleted video again, since somebody may have stored some meanwhile.

    Its address takes uploads until it expires, and one that began before may end later; so may an encoding.
    """
    times = [video.deleted_at + DELETED_KEPT] if video.deleted_at is not None else []
    if video.announced_at is not None:
        times += [video.announced_at + ADDRESS_EXPIRED, video.announced_at + ANNOUNCED_KEPT]
    return times


def _delete_files(video: Discarded) -> None:
    folder = video_folder(video.tenant_id, video.video_id)
    if video.deleted_at is not None:
        default_storage.delete(video.source)
        drop_folder(folder)
        return
    for attempt in attempts_of(video.tenant_id, video.video_id):
        if not still_needs(attempt, video.status, video.attempt):
            drop_folder(f"{folder}/{attempt}")


def sweep_soon() -> None:
    """Delete what requests and ended jobs left to the workers."""
    sweep_discarded()
    sweep_announced()
