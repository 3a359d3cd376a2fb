"""Tests of the storage in a bucket, with the emulator of S3: files deleted while in use, and memory for large files."""

import secrets
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.core.files.base import ContentFile, File

from academy.adapters.storage.backends import BucketStorage
from embedded.group import Servers

LARGE = 48_000_000
BLOCKS = LARGE // 8
"""How many bytes one transfer may hold in memory: a few of the blocks of 1 MB in which boto3 reads a file."""


@pytest.fixture
def bucket(servers: Servers, settings: Any) -> BucketStorage:
    named = settings.AWS_CREDENTIALS
    storage = BucketStorage(
        bucket_name=f"memory-{secrets.token_hex(6)}",
        endpoint_url=servers.environment()["S3_ENDPOINT_URL"],
        region_name=settings.AWS_REGION,
        access_key=named["aws_access_key_id"],
        secret_key=named["aws_secret_access_key"],
    )
    region: Any = {"LocationConstraint": settings.AWS_REGION}
    storage.bucket.create(CreateBucketConfiguration=region)
    return storage


@pytest.fixture
def large_file() -> Iterator[Callable[[], "File[bytes]"]]:
    """Yield a function that opens a large file."""
    with tempfile.NamedTemporaryFile() as kept:
        kept.truncate(LARGE)
        yield lambda: File(open(kept.name, "rb"))  # noqa: PTH123, SIM115 - the test closes it


def most_held(work: Callable[[], object]) -> int:
    """Return the highest number of bytes that all threads together held during `work`, beyond those held before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def store(bucket: BucketStorage, name: str, opened: "File[bytes]") -> None:
    with opened as file:
        bucket.save(name, file)


def test_a_large_file_is_not_held_while_it_is_stored(
    bucket: BucketStorage, large_file: Callable[[], "File[bytes]"]
) -> None:
    bucket.save("small", ContentFile(b"small"))  # so that modules loaded at the first use are not counted
    assert most_held(lambda: store(bucket, "large", large_file())) < BLOCKS
    assert bucket.size("large") == LARGE


def test_many_large_files_are_stored_at_once_in_the_memory_of_their_blocks(
    bucket: BucketStorage, large_file: Callable[[], "File[bytes]"]
) -> None:
    bucket.save("small", ContentFile(b"small"))  # so that modules loaded at the first use are not counted

    def all_at_once() -> None:
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda number: store(bucket, f"large-{number}", large_file()), range(6)))

    assert most_held(all_at_once) < 6 * BLOCKS


def test_a_large_file_is_not_held_while_it_is_read(
    bucket: BucketStorage, large_file: Callable[[], "File[bytes]"]
) -> None:
    store(bucket, "large", large_file())

    def read() -> None:
        with bucket.open("large") as file:
            assert sum(len(part) for part in file.chunks(100_000)) == LARGE

    assert most_held(read) < BLOCKS


def test_a_file_that_is_deleted_after_it_was_opened_can_still_be_read(bucket: BucketStorage) -> None:
    bucket.save("lesson", ContentFile(b"lesson"))
    with bucket.open("lesson") as file:
        bucket.delete("lesson")
        assert file.read() == b"lesson"


def test_a_file_that_is_deleted_while_it_is_opened_is_not_found(bucket: BucketStorage) -> None:
    bucket.save("lesson", ContentFile(b"lesson"))
    # Opening asks for the size first. Delete the file before the second request, which asks for the content.
    events = bucket.connection.meta.client.meta.events
    events.register_first("before-call.s3.GetObject", lambda **_: bucket.delete("lesson"))
    with pytest.raises(FileNotFoundError, match="lesson"):
        bucket.open("lesson")


def test_all_threads_share_one_client(bucket: BucketStorage) -> None:
    """Each client costs a tenth of a second and about 20 MB, which only the garbage collector frees."""
    together = Barrier(4)

    def client() -> Any:
        together.wait(60)
        bucket.exists("nothing")
        return bucket.connection.meta.client

    with ThreadPoolExecutor(4) as pool:
        clients = {found.result() for found in [pool.submit(client) for _ in range(4)]}
    assert clients == {bucket.bucket.meta.client}
