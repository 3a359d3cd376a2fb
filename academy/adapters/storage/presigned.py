"""Uploads that go from the browser to S3 itself (AWS Signature Version 4, presigned PUT)."""

from typing import Any

from django.core.files.storage import default_storage

from academy.domain.videos import UPLOAD_SECONDS

CONTENT_TYPE = "application/octet-stream"
"""Of every upload: a browser that is shown the object itself saves it, and runs nothing."""


def presigned_upload(name: str, size: int) -> dict[str, Any] | None:
    """`{"method", "url", "headers", "expires_in"}` for a file of exactly `size` bytes; None where no bucket is used.

    Length and type are signed, so S3 itself refuses others.
    """
    bucket = getattr(default_storage, "bucket", None)
    if bucket is None:
        return None
    url = bucket.meta.client.generate_presigned_url(
        "put_object",
        Params={"Bucket": bucket.name, "Key": name, "ContentLength": size, "ContentType": CONTENT_TYPE},
        ExpiresIn=UPLOAD_SECONDS,
    )
    headers = {"Content-Length": str(size), "Content-Type": CONTENT_TYPE}
    return {"method": "PUT", "url": url, "headers": headers, "expires_in": UPLOAD_SECONDS}
