"""Signs addresses at which browsers upload files directly to S3 (AWS Signature Version 4, presigned PUT)."""

from typing import Any

from django.core.files.storage import default_storage

from academy.domain.videos import UPLOAD_SECONDS

CONTENT_TYPE = "application/octet-stream"
"""The content type of every upload. A browser that opens a file of this type downloads it and runs nothing in it."""


def presigned_upload(name: str, size: int) -> dict[str, Any] | None:
    """Return `{"method", "url", "headers", "expires_in"}` for a file of exactly `size` bytes.

    Return None if the storage is not a bucket. The length and the type are signed, so S3 refuses any others.
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
