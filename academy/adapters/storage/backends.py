"""The storages of files: a folder or a bucket.

The methods in `SLOW` may take minutes. So they first close the database connection of their thread.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from threading import Lock
from typing import Any, ClassVar

from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage
from storages.backends.s3 import S3Storage

from academy.adapters.db.django.connections import give_back_connection

SLOW = ("save", "open", "delete", "exists", "listdir", "size", "get_modified_time")
"""The methods of a storage that access its files."""

LARGEST_PUT_BYTES = 5 * 1024**3
"""The largest object that S3 accepts in one request."""
SPOOLED_BYTES = 1_000_000
"""A file that is read from the bucket is kept in memory up to this size. A larger file is in a temporary file."""
MAX_LINKS = 64
"""How many connections to S3 a process keeps open for later requests."""


def without_connection(storage: type) -> type:
    """Make each slow method of a storage class close the database connection first. Return the class.

    Inside `atomic()` the methods raise RuntimeError, because a transaction keeps its connection and its locks.
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


class ExactNames:
    """Stores each file under exactly the given name, and replaces an older file with that name.

    Callers give each attempt and each upload a name of its own. So a file is replaced only if the same attempt or
    upload stores it once more.
    """

    def get_available_name(self, name: str, max_length: int | None = None) -> str:  # noqa: ARG002 - Django's signature
        return name


@without_connection
class FolderStorage(ExactNames, FileSystemStorage):
    """A folder of this machine, local or on a network file system."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_overwrite=True)


@without_connection
class BucketStorage(ExactNames, S3Storage):  # type: ignore[misc]  # django-storages has no types
    """A bucket of S3. A large or slow transfer takes no more memory than a small or fast one.

    - An upload is one request, which sends the file while reading it. By default, boto3 sends parts: up to 15 parts of
      8 MB in memory and 10 threads for each upload.
    - A download is spooled to disk. By default, django-storages keeps all of it in memory.
    - `open` downloads a file. By default, django-storages downloads it at the first read. If the file was deleted
      between `open` and the first read, an answer would break off after its head was sent.
    - All threads share one client. By default, django-storages creates a client for each thread. Under ASGI each
      request has a thread of its own, and a client consists of 40,000 objects in reference cycles.
    """

    client_config: Config
    _making: ClassVar[Lock] = Lock()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.client_config = self.client_config.merge(Config(max_pool_connections=MAX_LINKS))
        self._shared_connection: Any = None

    def _open(self, name: str, mode: str = "rb") -> "File[bytes]":
        file: File[bytes] = super()._open(name, mode)
        if "r" in mode:
            try:
                file.open()
            except ClientError as problem:
                file.close()
                if problem.response["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.NOT_FOUND:
                    raise
                raise FileNotFoundError(name) from problem
        return file

    def get_default_settings(self) -> dict[str, Any]:
        transfer = TransferConfig(use_threads=False, multipart_threshold=LARGEST_PUT_BYTES)
        ours = {"transfer_config": transfer, "max_memory_size": SPOOLED_BYTES}
        return {**super().get_default_settings(), **ours}

    @property
    def connection(self) -> Any:
        """The connection that all threads share. Threads use only its client and its buckets, which may be shared."""
        with self._making:
            if self._shared_connection is None:
                self._shared_connection = super().connection
            return self._shared_connection
