"""The academy's own checks for `manage.py doctor` (`REALTIME_DOCTOR_CHECKS`). Each returns a text for the report."""

import secrets

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from academy.adapters.queue.sqs import QUEUES, QueueUnavailableError, outbox_queue
from academy.adapters.sandbox.start import missing_walls
from realtime.records.errors import CheckFailedError


def check_queues() -> str:
    """Return how many messages wait in each queue. Raises CheckFailedError if a queue cannot be used."""
    try:
        waiting = [f"{queue.name} ({queue.depth()} waiting)" for queue in map(outbox_queue, QUEUES)]
    except QueueUnavailableError as problem:
        raise CheckFailedError(
            str(problem).rstrip("."), "Look at SQS_ENDPOINT_URL and the AWS credentials, and run manage.py provision."
        ) from None
    return ", ".join(waiting)


def check_storage() -> str:
    """Write, read and delete a small file in the storage. Raises CheckFailedError if that fails."""
    try:
        name = default_storage.save(f"doctor-{secrets.token_hex(4)}.txt", ContentFile(b"doctor"))
        try:
            with default_storage.open(name) as file:
                content = file.read()
        finally:
            default_storage.delete(name)
    except Exception as problem:  # noqa: BLE001 - storages raise errors of any class
        raise CheckFailedError(
            f"a file cannot be written and read: {problem}".rstrip("."),
            "Look at S3_BUCKET, S3_ENDPOINT_URL and the AWS credentials, or at MEDIA_ROOT; run manage.py provision.",
        ) from None
    if content != b"doctor":
        raise CheckFailedError("a file came back with other content", "Look what else writes into the storage.")
    return f"a file was written, read and deleted ({default_storage.__class__.__name__})"


def check_parsers() -> str:
    """Raise CheckFailedError if this machine cannot confine the programs that read uploads."""
    if missing := missing_walls():
        raise CheckFailedError(
            f"not confined fully: this machine lacks {'; and '.join(missing)}",
            "Run workers on Linux 5.13 or later, on x86-64 or ARM64, as a user that may read only what they need.",
        )
    return "ffmpeg and the reader of workbooks are confined: no other files, no network, no other processes"
