"""Deletes stored files that nobody needs. A process that dies before it writes a file's row leaves the file behind.

Files younger than `GRACE` are kept, and so are files whose names are not of the form that this product uses. Each
academy is swept separately, so that an error in one academy does not affect the others.
"""

import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePath
from uuid import UUID

import structlog
from django.core.files.storage import default_storage
from django.utils import timezone

from academy.adapters.db.django import repositories_ai, repositories_core, repositories_video
from academy.adapters.storage.folders import abort_uploads, drop_folder, files_in, first_written, folders_in
from academy.domain.videos import MADE_FOLDER, UPLOAD_FOLDER, still_needs, video_folder
from academy.exports import FOLDER as EXPORT_FOLDER
from academy.imports import FOLDER as IMPORT_FOLDER

log = structlog.get_logger(__name__)

GRACE = timedelta(hours=24)
"""How long a file is always kept: longer than the longest upload. A request body may take 6 hours, and a presigned
address is valid for one hour."""
WORKBOOKS_KEPT = timedelta(days=7)
"""For how long a failed or cancelled import can be retried. Its workbook is kept for this time."""
MOST = 1000
"""How many files and folders of one kind a sweep deletes at most for each academy. The next sweep continues."""
FEW = 20
"""If at most this many files have no row, they are deleted. If there are more, they are deleted only if at least half
of all files have a row."""
SWEEP_SECONDS = 600.0
CHUNK = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A file or folder in the storage. It is `needed` if its row still needs it, or if it is younger than `GRACE`."""

    name: str
    needed: bool
    has_row: bool = True
    drop: Callable[[], object] = lambda: None


@dataclass(slots=True)
class Sweep:
    """The options of a sweep, and the names of the files and folders that it deleted, or would delete (`dry_run`)."""

    dry_run: bool = False
    even_most: bool = False
    """Delete files without a row even if most files have no row. Only a person can decide that this is right."""
    until: float = 0.0
    names: list[str] = field(default_factory=list)

    @property
    def has_time(self) -> bool:
        return time.monotonic() < self.until


def sweep_leftovers(*, only: int | None = None, dry_run: bool = False, even_most: bool = False) -> list[str]:
    """Delete the files that nobody needs, and return their names. Stop after `SWEEP_SECONDS`.

    Sweeps all academies, or only the academy with the id `only`. Also aborts unfinished multipart
    uploads older than `GRACE`, always for all academies. With `dry_run`, only returns the names, and deletes and aborts
    nothing. `even_most` is described in `Sweep`.
    """
    sweep = Sweep(dry_run, even_most, until=time.monotonic() + SWEEP_SECONDS)
    tenants = [only] if only is not None else repositories_core.all_tenant_ids()
    random.shuffle(tenants)  # so that each academy is swept sometimes, even if the time never suffices for all
    for tenant_id in tenants:
        for look in (_uploads, _workbooks, _made):
            if sweep.has_time:
                _sweep_kind(sweep, tenant_id, look)
    if not dry_run:
        _abort_uploads()
    if sweep.names and not dry_run:
        log.info("leftovers_swept", deleted=len(sweep.names), first=sweep.names[:3])
    return sweep.names


def _sweep_kind(sweep: Sweep, tenant_id: int, look: Callable[[int], Iterator[Found]]) -> None:
    try:
        for found in _leftovers(sweep, tenant_id, look):
            if not sweep.dry_run:
                found.drop()
            sweep.names.append(found.name)
    except Exception:  # the storage or the database may be down: the next sweep tries again
        log.exception("leftovers_not_swept", tenant=tenant_id)


def _leftovers(sweep: Sweep, tenant_id: int, look: Callable[[int], Iterator[Found]]) -> list[Found]:
    """Return the files and folders of one kind that may be deleted.

    If more than half of the files have no row, the database is probably the wrong one. The files without a row are then
    not returned, unless there are at most `FEW` of them or the option `even_most` is set.
    """
    leftovers: list[Found] = []
    seen = without = 0
    for found in look(tenant_id):
        seen += 1
        without += not found.needed and not found.has_row
        if not found.needed and len(leftovers) < MOST:
            leftovers.append(found)
        if not sweep.has_time:
            break
    if without > FEW and 2 * without > seen and not sweep.even_most:
        log.error(
            "leftovers_too_many",
            tenant=tenant_id,
            without_row=without,
            seen=seen,
            hint="Does this storage belong to another database? If not: manage.py sweep_storage --even-most.",
        )
        return [found for found in leftovers if found.has_row]
    return leftovers


def _uploads(tenant_id: int) -> Iterator[Found]:
    """Yield the uploaded files of an academy's videos. A file may be stored before the row of its video is written."""
    old = timezone.now() - GRACE
    for page in files_in(f"{UPLOAD_FOLDER}/{tenant_id}"):
        files = [file for file in page if _uuid(PurePath(file.name).name)]
        known = repositories_video.known_sources(tenant_id, [file.name for file in files])
        for file in files:
            needed = known.get(file.name, False) or file.written_at > old
            yield Found(file.name, needed, file.name in known, _deletes(file.name))


def _workbooks(tenant_id: int) -> Iterator[Found]:
    """Yield the workbooks of an academy's imports.

    A workbook is stored before the row of its job is written, and deleted after the import.
    """
    old = timezone.now() - GRACE
    for page in files_in(f"{IMPORT_FOLDER}/{tenant_id}"):
        named = {file.name: job_id for file in page if (job_id := _uuid(PurePath(file.name).stem))}
        known = repositories_ai.workbooks_of(tenant_id, list(named.values()))
        for file in page:
            if (job_id := named.get(file.name)) is None:
                continue
            needed = file.written_at > old or repositories_ai.needs_workbook(known.get(job_id), WORKBOOKS_KEPT)
            yield Found(file.name, needed, job_id in known, _forgets_workbook(tenant_id, job_id, file.name))


def _made(tenant_id: int) -> Iterator[Found]:
    """Yield the folders of an academy's encoded videos: one for each attempt, in the folder of its video."""
    for page in folders_in(f"{MADE_FOLDER}/{tenant_id}"):
        video_ids = [int(name) for name in page if re.fullmatch(r"[1-9][0-9]{0,17}", name, re.ASCII)]
        for start in range(0, len(video_ids), CHUNK):
            yield from _made_of(tenant_id, video_ids[start : start + CHUNK])


def _made_of(tenant_id: int, video_ids: list[int]) -> Iterator[Found]:
    old = timezone.now() - GRACE
    # List the folders before reading the rows. In the other order, a folder could belong to an attempt that began after
    # the video's row was read.
    attempts = {video_id: attempts_of(tenant_id, video_id) for video_id in video_ids}
    rows = repositories_video.attempts_needed(tenant_id, video_ids)
    for video_id, numbers in attempts.items():
        row = rows.get(video_id)
        for number in numbers:
            folder = f"{video_folder(tenant_id, video_id)}/{number}"
            needed = row is not None and still_needs(number, *row)
            yield Found(folder, needed or _is_young(folder, old), row is not None, _drops(folder))


def attempts_of(tenant_id: int, video_id: int) -> list[int]:
    """Return the numbers of the attempts of a video that have encoded files in the storage."""
    pages = folders_in(video_folder(tenant_id, video_id))
    return [int(name) for page in pages for name in page if re.fullmatch(r"[1-9][0-9]{0,8}", name, re.ASCII)]


def _is_young(folder: str, old: datetime) -> bool:
    written = first_written(folder)
    return written is None or written > old


def _abort_uploads() -> None:
    for folder in (UPLOAD_FOLDER, IMPORT_FOLDER, EXPORT_FOLDER, MADE_FOLDER):
        try:
            if aborted := abort_uploads(folder, timezone.now() - GRACE, MOST):
                log.info("uploads_aborted", folder=folder, uploads=aborted)
        except Exception:  # aborting uploads may not be permitted
            log.exception("uploads_not_aborted", folder=folder)


def _deletes(name: str) -> Callable[[], object]:
    return lambda: default_storage.delete(name)


def _drops(folder: str) -> Callable[[], object]:
    return lambda: drop_folder(folder)


def _forgets_workbook(tenant_id: int, job_id: UUID, name: str) -> Callable[[], object]:
    def forget() -> None:
        # Change the row before deleting the file. If the deletion fails, the next sweep finds the file. If the import
        # has just been retried, `forget_workbook` returns False, and the file is kept.
        if repositories_ai.forget_workbook(tenant_id, job_id):
            default_storage.delete(name)

    return forget


def _uuid(text: str) -> UUID | None:
    """Return the text as a UUID, or None if the text is not a UUID in the form that this product writes."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None
