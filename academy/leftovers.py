"""Files that nobody needs: left by processes that died between storing a file and writing its row, or the reverse.

A file is left alone until it is older than `GRACE`, and so is everything whose name is not one that this product gives.
Each academy is swept by itself: what goes wrong with one, or takes long, does not concern the others.
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
"""Longer than the longest upload: a body may take 6 hours, and an address of the storage itself is good for one."""
WORKBOOKS_KEPT = timedelta(days=7)
"""After an import failed or was cancelled. So long it can be tried again."""
MOST = 1000
"""Files and folders that one sweep deletes of one kind for one academy. The next one goes on."""
FEW = 20
"""This many files without a row may always be deleted. More only if most of the academy's files have a row."""
SWEEP_SECONDS = 600.0
CHUNK = 200


@dataclass(frozen=True, slots=True)
class Found:
    """Something in the storage. `needed` where a row says so, or where it is still young."""

    name: str
    needed: bool
    has_row: bool = True
    drop: Callable[[], object] = lambda: None


@dataclass(slots=True)
class Sweep:
    """What a sweep may do, and what it did."""

    dry_run: bool = False
    even_most: bool = False
    """Deletes what has no row although that is most of an academy's files. Only a person knows that this is right."""
    until: float = 0.0
    names: list[str] = field(default_factory=list)

    @property
    def has_time(self) -> bool:
        return time.monotonic() < self.until


def sweep_leftovers(*, only: int | None = None, dry_run: bool = False, even_most: bool = False) -> list[str]:
    """Delete the files that nobody needs, for some minutes at most. Return the names of the files and folders.

    `only` names one academy. With `dry_run` all of them stay.
    """
    sweep = Sweep(dry_run, even_most, until=time.monotonic() + SWEEP_SECONDS)
    tenants = [only] if only is not None else repositories_core.all_tenant_ids()
    random.shuffle(tenants)  # so that each has its turn, even where there is never time for all
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
    except Exception:  # the storage or the database may be away: the next sweep will do
        log.exception("leftovers_not_swept", tenant=tenant_id)


def _leftovers(sweep: Sweep, tenant_id: int, look: Callable[[int], Iterator[Found]]) -> list[Found]:
    """What may go. Nothing without a row, where most has none: then this is probably the wrong database."""
    leftovers: list[Found] = []
    seen = 0
    for found in look(tenant_id):
        seen += 1
        if not found.needed and len(leftovers) < MOST:
            leftovers.append(found)
        if not sweep.has_time:
            break
    without = sum(not found.has_row for found in leftovers)
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
    """Uploaded videos. The file is stored before its row is written, or announced by its row."""
    old = timezone.now() - GRACE
    for page in files_in(f"{UPLOAD_FOLDER}/{tenant_id}"):
        files = [file for file in page if _uuid(PurePath(file.name).name)]
        known = repositories_video.known_sources(tenant_id, [file.name for file in files])
        for file in files:
            needed = known.get(file.name, False) or file.written_at > old
            yield Found(file.name, needed, file.name in known, _deletes(file.name))


def _workbooks(tenant_id: int) -> Iterator[Found]:
    """Workbooks of imports. The file is stored before its row, and deleted once the import is DONE."""
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
    """What attempts made of videos: one folder each, and one around them for each video."""
    for page in folders_in(f"{MADE_FOLDER}/{tenant_id}"):
        video_ids = [int(name) for name in page if re.fullmatch(r"[1-9][0-9]{0,17}", name, re.ASCII)]
        for start in range(0, len(video_ids), CHUNK):
            yield from _made_of(tenant_id, video_ids[start : start + CHUNK])


def _made_of(tenant_id: int, video_ids: list[int]) -> Iterator[Found]:
    old = timezone.now() - GRACE
    # The folders first: a row that is read afterwards knows of each attempt that had one.
    attempts = {video_id: attempts_of(tenant_id, video_id) for video_id in video_ids}
    rows = repositories_video.attempts_needed(tenant_id, video_ids)
    for video_id, numbers in attempts.items():
        row = rows.get(video_id)
        for number in numbers:
            folder = f"{video_folder(tenant_id, video_id)}/{number}"
            needed = row is not None and still_needs(number, *row)
            yield Found(folder, needed or _is_young(folder, old), row is not None, _drops(folder))


def attempts_of(tenant_id: int, video_id: int) -> list[int]:
    """The attempts of which the storage has files."""
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
        except Exception:  # it may not be permitted
            log.exception("uploads_not_aborted", folder=folder)


def _deletes(name: str) -> Callable[[], object]:
    return lambda: default_storage.delete(name)


def _drops(folder: str) -> Callable[[], object]:
    return lambda: drop_folder(folder)


def _forgets_workbook(tenant_id: int, job_id: UUID, name: str) -> Callable[[], object]:
    def forget() -> None:
        # The row first: a file that stays is found again, and a job that is tried again meanwhile keeps its file.
        if repositories_ai.forget_workbook(tenant_id, job_id):
            default_storage.delete(name)

    return forget


def _uuid(text: str) -> UUID | None:
    """The id that a name is, if it is spelt as this product spells it."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None
