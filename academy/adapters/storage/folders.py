"""Lists and deletes the folders and files of the storage."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.files.storage import default_storage

from academy.adapters.db.django.connections import give_back_connection

PAGE = 1000


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in the storage: its full name, and when it was written (in a bucket: when its upload began)."""

    name: str
    written_at: datetime


def folders_in(folder: str) -> Iterator[list[str]]:
    """Yield the names of the folders directly below a folder, in lists of at most `PAGE` names."""
    for folders, _ in _pages(folder):
        yield folders


def files_in(folder: str) -> Iterator[list[StoredFile]]:
    """Yield the files directly below a folder, in lists of at most `PAGE` files."""
    for _, files in _pages(folder):
        yield files


def first_written(folder: str) -> datetime | None:
    """Return when the oldest file below a folder, at any depth, was written, or None if there is no file.

    In a bucket, only the first `PAGE` files are examined.
    """
    if (bucket := _bucket()) is None:
        paths = [path for path in Path(default_storage.path(folder)).rglob("*") if path.is_file()]
        return min((_modified(path.stat()) for path in paths), default=None)
    give_back_connection()
    answer = bucket.meta.client.list_objects_v2(Bucket=bucket.name, Prefix=f"{folder}/", MaxKeys=PAGE)
    return min((entry["LastModified"] for entry in answer.get("Contents", [])), default=None)


def drop_folder(name: str) -> None:
    """Delete a folder with everything in it. A folder that does not exist is no error."""
    for folders, files in list(_pages(name)):  # `list`, because deleting would change later pages
        for folder in folders:
            drop_folder(f"{name}/{folder}")
        for file in files:
            default_storage.delete(file.name)
    with suppress(NotImplementedError):  # a bucket has no folders
        shutil.rmtree(default_storage.path(name), ignore_errors=True)


def abort_uploads(folder: str, before: datetime, most: int) -> int:
    """Abort unfinished multipart uploads to a folder: only those that began before `before`, and at most `most`.

    Return how many were aborted. The parts of such uploads take storage, but no list of files shows them. If the
    storage is a folder of this machine, do nothing and return 0.
    """
    if (bucket := _bucket()) is None:
        return 0
    give_back_connection()
    client, aborted = bucket.meta.client, 0
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket.name, Prefix=f"{folder}/")
    for page in pages:
        for upload in page.get("Uploads", []):
            if aborted == most:
                return aborted
            if upload["Initiated"] < before:
                client.abort_multipart_upload(Bucket=bucket.name, Key=upload["Key"], UploadId=upload["UploadId"])
                aborted += 1
    return aborted


def _pages(folder: str) -> Iterator[tuple[list[str], list[StoredFile]]]:
    """Yield the names of the folders, and the files, directly below a folder: two lists for each page.

    No database connection is held while a page is fetched.
    """
    give_back_connection()
    if (bucket := _bucket()) is None:
        yield from _pages_of_this_machine(Path(default_storage.path(folder)), folder)
        return
    paginator = bucket.meta.client.get_paginator("list_objects_v2")
    for page in paginator.paginate(Bucket=bucket.name, Prefix=f"{folder}/", Delimiter="/"):
        folders = [entry["Prefix"].rstrip("/").rpartition("/")[2] for entry in page.get("CommonPrefixes", [])]
        yield folders, [StoredFile(entry["Key"], entry["LastModified"]) for entry in page.get("Contents", [])]
        give_back_connection()


def _pages_of_this_machine(path: Path, folder: str) -> Iterator[tuple[list[str], list[StoredFile]]]:
    folders: list[str] = []
    files: list[StoredFile] = []
    try:
        entries = os.scandir(path)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            if len(folders) + len(files) == PAGE:
                yield folders, files
                folders, files = [], []
            with suppress(FileNotFoundError):  # the entry was deleted after the scan began
                if entry.is_dir():
                    folders.append(entry.name)
                else:
                    files.append(StoredFile(f"{folder}/{entry.name}", _modified(entry.stat())))
    yield folders, files


def _modified(stat: os.stat_result) -> datetime:
    return datetime.fromtimestamp(stat.st_mtime, UTC)


def _bucket() -> Any:
    """Return the bucket of the storage, or None if the storage is a folder of this machine."""
    return getattr(default_storage, "bucket", None)
