"""Uploads that go from the browser to S3 itself (AWS Signature Version 4, presigned PUT)."""

from typing import Any

from django.core.files.storage import default_storage

UPLOAD_SECONDS = 3600


def presigned_upload(name: str, size: int) -> dict[str, Any] | None:
    """`{"method", "url", "headers", "expires_in"}` for a file of exactly `size` bytes; None where no bucket is used.

    The length is signed, so S3 itself refuses another one.
    """
    bucket = getattr(default_storage, "bucket", None)
    if bucket is None:
        return None
    url = bucket.meta.client.generate_presigned_url(
        "put_object",
        Params={"Bucket": bucket.name, "Key": name, "ContentLength": size},
        ExpiresIn=UPLOAD_SECONDS,
    )
    return {"method": "PUT", "url": url, "headers": {"Content-Length": str(size)}, "expires_in": UPLOAD_SECONDS}
