"""The storages of uploaded files. Storing may take minutes, and no database connection is held meanwhile."""

from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any, ClassVar

from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from django.core.files.storage import FileSystemStorage
from storages.backends.s3 import S3Storage

from academy.adapters.db.django.connections import give_back_connection

SLOW = ("save", "open", "delete", "exists", "listdir", "size", "get_modified_time")
"""The methods of a storage that touch its files."""

LARGEST_PUT_BYTES = 5 * 1024**3
"""The largest object that S3 takes in one request."""
SPOOLED_BYTES = 1_000_000
"""How much of a file that is read from the bucket stands in memory. The rest is in a temporary file."""
MAX_LINKS = 64
"""Connections to S3 that a process keeps for the next request."""


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


class ExactNames:
    """Keeps each file under the very name that it is given, in the place of an older one.

    Whoever stores gives a name that is one attempt's or one upload's alone. Only storing it again meets an older file.
    """

    def get_available_name(self, name: str, max_length: int | None = None) -> str:  # noqa: ARG002 - Django's signature
        return name


@without_connection
class FolderStorage(ExactNames, FileSystemStorage):
    """A folder of this machine, or one that it shares."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_overwrite=True)


@without_connection
class BucketStorage(ExactNames, S3Storage):  # type: ignore[misc]  # django-storages has no types
    """A bucket of S3. What a transfer holds in memory depends neither on the size of its file nor on its speed.

    - A file is sent as it is read, in one request. boto3 would send it in parts: up to 15 of 8 MB in memory and 10
      threads for each upload.
    - A file that is read is spooled to disk. django-storages would keep all of it in memory.
    - All threads share one client. django-storages makes one for each thread: under ASGI each request has a thread of
      its own, and a client is 40,000 objects in cycles.
    """

    client_config: Config
    _making: ClassVar[Lock] = Lock()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.client_config = self.client_config.merge(Config(max_pool_connections=MAX_LINKS))
        self._shared_connection: Any = None

    def get_default_settings(self) -> dict[str, Any]:
        transfer = TransferConfig(use_threads=False, multipart_threshold=LARGEST_PUT_BYTES)
        ours = {"transfer_config": transfer, "max_memory_size": SPOOLED_BYTES}
        return {**super().get_default_settings(), **ours}

    @property
    def connection(self) -> Any:
        """Only its client and the buckets made of it are used, which threads may share."""
        with self._making:
            if self._shared_connection is None:
                self._shared_connection = super().connection
            return self._shared_connection
