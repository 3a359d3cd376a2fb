"""Stores and deletes the files of videos: the uploaded file, and the encoded files of each attempt."""

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
"""If the file of an announced video has not arrived this long after the announcement, the video is deleted. An upload
may begin just before its address expires, and then take up to `UPLOAD_SECONDS`."""
ADDRESS_EXPIRED = timedelta(seconds=UPLOAD_SECONDS + 60)
"""This long after the announcement, the upload address has expired, even if the storage's clock is a minute slow."""
MOST_SWEPT = 200
DISCARD_PATIENCE = timedelta(minutes=5)
"""A sweep tries again after this time if a video's files were not deleted (a worker died, or the storage was down)."""
DELETED_KEPT = timedelta(days=2)
"""How long the row of a deleted video stays, because its minutes count towards the quota of the day."""
COPY_BYTES = 4_000_000


def source_name(tenant_id: int) -> str:
    """Return a new name in the storage for an upload.

    It contains nothing of the original name, because a suffix could make a server or a browser run the file. ffmpeg
    recognises a file by its content.
    """
    return f"{UPLOAD_FOLDER}/{tenant_id}/{uuid4()}"


def shown_name(file_name: str) -> str:
    """Return the last 200 characters of an upload's file name, without the folders that some browsers send."""
    return PurePath(file_name.replace("\\", "/")).name[-MAX_FILE_NAME:]


def fetch_source(video: ClaimedVideo, folder: Path, report: Callable[[float], None]) -> Path:
    """Return the path of the uploaded file on this machine. If the storage is a bucket, copy the file to `folder`.

    `report` is called with the progress of the copy, 0 to 100. If `report` raises, the copy ends.
    """
    give_back_connection()  # fetching and encoding take minutes
    try:
        return Path(default_storage.path(video.source))
    except NotImplementedError:
        pass  # the storage is a bucket
    path = folder / f"source{PurePath(video.source).suffix}"
    with default_storage.open(video.source, "rb") as stored, path.open("wb") as local:
        total, copied = max(1, stored.size), 0
        while part := stored.read(COPY_BYTES):
            local.write(part)
            copied += len(part)
            report(min(100.0, 100 * copied / total))
    return path


def keep_files(video: ClaimedVideo, folder: Path, files: Sequence[Path], report: Callable[[float], None]) -> None:
    """Store the encoded files of this attempt. Files that the same attempt stored before are replaced.

    `report` is called with the progress, 0 to 100. If storing or `report` fails, all files of the attempt are deleted.
    """
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
    """Delete announced videos that were not marked as uploaded within `ANNOUNCED_KEPT`, with their files."""
    given_up = repositories_video.announced_before(timezone.now() - ANNOUNCED_KEPT, MOST_SWEPT)
    for tenant_id, video_id, source in given_up:
        # Delete the row first: if deleting the file then fails, a sweep deletes it later. If the video was marked as
        # uploaded after the query above, `forget_announced` returns False, and the row and the file stay.
        if repositories_video.forget_announced(tenant_id, video_id):
            default_storage.delete(source)


def drop_other_attempts(video: ClaimedVideo) -> None:
    """Delete the files of all other attempts of a video. Workers that died have left them behind."""
    for attempt in attempts_of(video.tenant_id, video.video_id):
        if attempt != video.attempt:
            drop_folder(f"{video_folder(video.tenant_id, video.video_id)}/{attempt}")


def sweep_discarded() -> None:
    """Delete the files of deleted videos, and the encoded files of videos that failed or were cancelled.

    `Video.files_due_at` is the time to delete them. If the storage is down or a worker dies, they are deleted later.
    """
    for _ in range(MOST_SWEPT):
        discarded = repositories_video.take_discarded(DISCARD_PATIENCE)
        if discarded is None:
            return
        _delete_files(discarded)
        repositories_video.note_discarded(discarded, _again_at(discarded))


def _again_at(video: Discarded) -> list[datetime]:
    """Return the times at which to delete the files of a deleted video again.

    Files may still be stored after the deletion, by an encoding that was running or by an upload that began before its
    address expired. `note_discarded` ignores the times if the video was not deleted.
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
    """Run the sweeps that a worker repeats every few seconds: `sweep_discarded` and `sweep_announced`."""
    sweep_discarded()
    sweep_announced()
