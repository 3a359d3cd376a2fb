"""The storages of uploaded files. Storing may take minutes, and no database connection is held meanwhile."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.files.storage import FileSystemStorage
from storages.backends.s3 import S3Storage

from academy.adapters.db.django.connections import give_back_connection

SLOW = ("save", "open", "delete", "exists", "listdir", "size", "get_modified_time")
"""The methods of a storage that touch its files."""


def without_connection(storage: type) -> type:
    """Let each slow method of a storage give the database connection back first.

    They raise RuntimeError inside `atomic()`: a transaction would hold its connection, and its locks.
    """
    for name in SLOW:
        setattr(storage, name, _first_given_back(getattr(storage, name)))
    return storage


def _first_given_back(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def slow(*given: Any, **named: Any) -> Any:
        give_back_connection()
        return method(*given, **named)

    return slow


@without_connection
class FolderStorage(FileSystemStorage):
    """A folder of this machine, or one that it shares."""


@without_connection
class BucketStorage(S3Storage):  # type: ignore[misc]  # django-storages has no types
    """A bucket of S3."""
